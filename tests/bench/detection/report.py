"""The figures as tables, and whether each goal is met."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.detection import limits
from bench.detection.goals import MILLION, Delays, FalseAlarms
from bench.detection.streams import floor

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` as they are shown; `missed`: the goals that are not met, in words."""

    title: str
    header: Row
    rows: list[Row]
    missed: list[str]


def tables(found: Sequence[Any]) -> list[Table]:
    flat = [one for item in found for one in (item if isinstance(item, list) else [item])]
    alarms = [one for one in flat if isinstance(one, FalseAlarms)]
    delays = [one for one in flat if isinstance(one, Delays)]
    rivals = [one for one in flat if isinstance(one, tuple)]
    made = [
        _quiet([one for one in alarms if one.goal == "G1"]),
        _rivals(rivals),
        *[_delays(goal, [one for one in delays if one.goal == goal]) for goal in ("G2", "G3")],
        _gate([one for one in alarms if one.goal == "G4"], [one for one in delays if one.goal == "G4"]),
        _honest([one for one in alarms if one.goal == "G5"]),
        _limits([one for one in flat if isinstance(one, limits.Row)]),
    ]
    return [table for table in made if table.rows]


def _quiet(found: list[FalseAlarms]) -> Table:
    """At most one false alarm in 1M events of a model; in days, so that traffic does not matter."""
    rows: list[Row] = []
    missed = []
    total = millions = 0.0
    for (what, traffic), group in _grouped(found, lambda one: (one.what, one.traffic)):
        count, budget = sum(one.alarms for one in group), sum(_budget(one) for one in group)
        total, millions = total + count, millions + budget
        rows.append((what, f"{traffic:g}", _count(sum(one.events for one in group)), f"{budget:.3g}", f"{count}"))
        if not _within(count, budget):
            missed.append(f"{what} at {traffic:g} x traffic: {count} false alarms, {budget:.3g} allowed")
    if rows:
        rows.append(("all", "", "", f"{millions:.3g}", f"{total:.0f}"))
    header = ("quiet stream", "traffic", "events", "allowed", "alarms")
    return Table("G1: false alarms of a model of 20 monitors, one allowed in 1M events' time", header, rows, missed)


def _budget(one: FalseAlarms) -> float:
    """How many alarms ARL0 allows in the time that was judged: it is kept in days, not in events."""
    return one.events / one.traffic / one.arl0


def _within(count: int, allowed: float) -> bool:
    """Whether a Poisson count does not contradict the allowance at 1 %: one run is one draw."""
    tail = 1.0 - sum(math.exp(-allowed) * allowed**k / math.factorial(k) for k in range(count))
    return tail >= 0.01


def _rivals(found: list[tuple[str, str, int, int]]) -> Table:
    streams = list(dict.fromkeys(one[1] for one in found))
    names = list(dict.fromkeys(one[0] for one in found))
    rate = {(name, what): alarms * MILLION / events for name, what, alarms, events in found}
    rows = [(what, *[f"{rate[name, what]:,.0f}" for name in names]) for what in streams]
    title = "Alarms of the others on the same streams, a million events of ONE monitor"
    return Table(title, ("quiet stream", *names), rows, [])


def _delays(goal: str, found: list[Delays]) -> Table:
    rows: list[Row] = []
    missed = []
    names = list(dict.fromkeys(one.who for one in found))
    for what, group in _grouped(found, lambda one: one.what):
        least = floor(group[0].kl, MILLION)
        held = group[0].held_to
        cells = []
        for name in names:
            mine = [one for one in group if one.who == name]
            cells.append(_median_cell(mine))
        ours = [one for one in group if one.who == "ours"]
        median = _median(ours)
        lost = sum(one.delays.count(None) for one in ours)
        efficiency = f"{least / median:.0%}" if median else ""
        rows.append((what, f"{least:,.0f}", f"{held:,}", efficiency, *cells))
        if median is None or median > held:
            missed.append(f"{what}: median {median if median is None else f'{median:,.0f}'}, goal {held:,}")
        if lost:
            missed.append(f"{what}: {lost} never found")
    kind = "mean shifts" if goal == "G2" else "shapes, shares and errors"
    title = f"{goal}: median delay in events, {kind}; missed trials after a slash, [alarms before the change]"
    return Table(title, ("change", "floor", "goal", "efficiency", *names), rows, missed)


def _median(found: Iterable[Delays]) -> float | None:
    """None where half of the trials or more found nothing."""
    all_of_them = [math.inf if delay is None else delay for one in found for delay in one.delays]
    if not all_of_them:
        return None
    median = statistics.median(all_of_them)
    return None if math.isinf(median) else median


def _median_cell(found: list[Delays]) -> str:
    trials = sum(len(one.delays) for one in found)
    early = sum(one.before for one in found)
    if not trials:
        return f"[{early}]" if early else "-"
    median = _median(found)
    lost = sum(one.delays.count(None) for one in found)
    shown = "never" if median is None else f"{median:,.0f}"
    return shown + (f" /{lost} of {trials}" if lost else "") + (f" [{early}]" if early else "")


def _gate(quiet: list[FalseAlarms], loud: list[Delays]) -> Table:
    rows: list[Row] = []
    missed = []
    if quiet:
        count = sum(one.alarms for one in quiet)
        rows.append((quiet[0].what, f"{_count(sum(one.events for one in quiet))} events", f"{count} alarms"))
        if count:
            missed.append(f"{count} alarms on a shift of 0.6 min_effect")
    if loud:
        trials = sum(len(one.delays) for one in loud)
        lost = sum(one.delays.count(None) for one in loud)
        median = _median(loud)
        shown = "never" if median is None else f"{median:,.0f}"
        rows.append((loud[0].what, f"{trials} trials", f"{trials - lost} found, median {shown} events"))
        if lost:
            missed.append(f"{lost} of {trials} shifts of 2 min_effect never found")
    return Table("G4: the gate at min_effect 0.05 SD", ("shift", "judged", "found"), rows, missed)


def _honest(found: list[FalseAlarms]) -> Table:
    rows: list[Row] = []
    missed = []
    for (arl0, what, traffic), group in _grouped(found, lambda one: (one.arl0, one.what, one.traffic)):
        time, count = sum(one.events / one.traffic for one in group), sum(one.alarms for one in group)
        # Without an alarm all that is known is that ARL0 is at least about the time judged.
        ratio = time / max(count, 1) / arl0
        rows.append(
            (
                _count(arl0),
                what,
                f"{traffic:g}",
                f"{time / arl0:.3g}",
                f"{count}",
                f"{'>' if not count else ''}{ratio:.3g}",
            )
        )
        if not _within(count, time / arl0):
            missed.append(
                f"ARL0 {arl0:,.0f}, {what}, {traffic:g} x traffic: {count} alarms, {time / arl0:.3g} allowed"
            )
    header = ("ARL0 asked", "stream", "traffic", "allowed", "alarms", "realised / asked")
    return Table("G5: realised ARL0 against the one asked for, one monitor", header, rows, missed)


def _limits(found: list[limits.Row]) -> Table:
    header = ("change", "detector", "ARL0", "floor", "median", "90 %", "found", "alarms on the quiet lead")
    rows: list[Row] = [
        (
            f"{100 * one.before:.1f} % to {100 * one.after:.1f} %",
            one.detector,
            f"{one.arl0:,.0f}" if one.arl0 else "-",
            f"{one.floor:,.0f}" if one.floor is not None else "-",
            f"{one.median:,.0f}",
            f"{one.p90:,.0f}",
            f"{one.found:.0%} of {one.trials}",
            f"{one.early}",
        )
        for one in found
    ]
    missed = []
    for one in found:
        if one.detector == "limit" and one.arl0 and one.after <= limits.LIMIT:
            alarms = round(one.found * one.trials) + one.early
            allowed = one.trials * (limits.LEAD + limits.SEARCHED) / one.arl0
            if not _within(alarms, allowed):
                missed.append(
                    f"a rate within the limit, ARL0 {one.arl0:,.0f}: {alarms} alarms, {allowed:.3g} allowed"
                )
    title = "A limit of 0.5 % on the false-negative rate: labelled positives from the change to the alarm"
    return Table(title, header, rows, missed)


def _grouped(found: Iterable[Any], key: Any) -> list[tuple[Any, list[Any]]]:
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for one in found:
        groups[key(one)].append(one)
    return list(groups.items())


def _count(n: float) -> str:
    return f"{n / MILLION:g}M" if n >= MILLION else f"{n:,.0f}"


def as_markdown(found: Sequence[Table]) -> str:
    parts = []
    for table in found:
        lines = [f"### {table.title}", "", _line(table.header), _line(tuple("---" for _ in table.header))]
        lines += [_line(row) for row in table.rows]
        if table.missed:
            lines += ["", *[f"* missed: {why}" for why in table.missed]]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(cells: Row) -> str:
    return f"| {' | '.join(cells)} |"
