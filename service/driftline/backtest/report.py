"""A result for a person, on a terminal or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftline.backtest.result import MonitorLine, Result, per_month
from driftline.backtest.truth import Found, Score, Truth
from driftline.contracts.reasons import REMEDIES
from driftline.contracts.times import rfc3339
from driftline.stats.wording import moment
from driftline.terminal import printable

REQUESTS_SHOWN: Final = 5
DAY_MS: Final = 86_400_000
_REMEDIES: Final = {reason.value: text for reason, text in REMEDIES.items()}


def show_result(out: Console, result: Result) -> None:
    """Counts, monitors with alarms, retraining requests, what was refused."""
    summary = result.summary
    rate = (summary.events + summary.outcomes) / max(summary.seconds, 1e-9)
    _line(
        out,
        f"{summary.events:,} predictions and {summary.outcomes:,} outcomes in {summary.seconds:.1f} s "
        f"({rate:,.0f} a second); {summary.refused:,} refused, {summary.late:,} late",
    )
    for (model, version), profile in sorted(result.profiles.items()):
        section = profile.predictions
        how = "a file" if profile.source != "first_events" else "its first events"
        _line(
            out,
            f"{model} {version}: reference from {how}, {section.n:,} predictions from {moment(section.start)} to "
            f"{moment(section.end)}, panes of {length(profile.pane_ms)}",
        )
    lines = result.monitors()
    alarmed = [line for line in lines if line.alarms]
    if alarmed:
        _monitors(out, alarmed, several=len({(line.model, line.version) for line in lines}) > 1)
    quiet, mute = len(lines) - len(alarmed), sum(bool(line.why_not) for line in lines)
    silent = f", {mute} of which never page" if mute else ""
    alarms = sum(line.alarms for line in lines)
    _line(
        out,
        f"{alarms} alarms of {len(alarmed)} monitors in {result.days:,.1f} days judged "
        f"({per_month(alarms, result.days):.1f} in 30 days), {len(result.alerts)} alerts; {quiet} monitors without "
        f"any{silent}",
    )
    _requests(out, result)
    _refusals(out, result)
    for note in result.notes:
        out.print(Text(printable(f"note: {note}"), style="yellow"), soft_wrap=True)


def _monitors(out: Console, lines: Sequence[MonitorLine], *, several: bool) -> None:
    """Two lines each, in order of the first alarm: a sentence does not go into a column."""
    for line in sorted(lines, key=lambda line: (line.first_alarm or 0, line.monitor)):
        whose = f"{line.model} {line.version} " if several else ""
        count = f"{line.alarms} alarms" if line.alarms > 1 else "1 alarm"
        back = f", {line.resolved} resolved" if line.resolved else ""
        head = f"{short(line.first_alarm or 0)}  {whose}{line.monitor}"
        out.print(Text.assemble((printable(head), "bold"), f"  {count}{back}"), soft_wrap=True)
        _line(out, f"    {line.sentence or ''}")


def _requests(out: Console, result: Result) -> None:
    if not result.requests:
        _line(out, "it would have sent no retraining request")
        return
    _line(out, f"it would have sent {len(result.requests)} retraining requests:")
    for request in result.requests[:REQUESTS_SHOWN]:
        start = "" if request.window.start is None else f" on data from {short(request.window.start)}"
        _line(out, f"  {short(request.time)}  {request.model} {request.version}{start}: {request.reason}")
    if len(result.requests) > REQUESTS_SHOWN:
        _line(out, f"  and {len(result.requests) - REQUESTS_SHOWN} more")


def _refusals(out: Console, result: Result) -> None:
    for reason, count in result.refusals.by_reason.most_common():
        remedy = _REMEDIES.get(reason, "")
        _line(out, f"{count:,} refused as {reason}: {remedy}")
        for where, letter in [found for found in result.refusals.first if found[1].reason == reason][:3]:
            _line(out, f"  {where}: {letter.detail}")


def show_truth(out: Console, truth: Truth) -> None:
    """Delays to the known changes, beside the two detectors that need no data."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("change", "driftline", "by", "always-fire", "never-fire"):
        table.add_column(name, overflow="fold")
    for ours, always in zip(truth.ours.found, truth.always_fire.found, strict=True):
        change = ours.change
        what = change.label or change.monitor or "change"
        cells = (f"{short(change.time)} {what}", delay(ours), ours.alarm or "", delay(always), "missed")
        table.add_row(*(Text(printable(cell)) for cell in cells))
    scores = (truth.ours, truth.always_fire, truth.never_fire)
    ours_, always_, never_ = (f"{score.false_alarms:,}" for score in scores)
    table.add_row(Text(f"false alarms in the {truth.ours.days:,.1f} days before"), ours_, "", always_, never_)
    missed = (missed_of(score) for score in scores)
    table.add_row("missed", next(missed), "", next(missed), next(missed))
    out.print(table)


def missed_of(score: Score) -> str:
    return f"{score.missed} of {len(score.found)}"


def delay(found: Found) -> str:
    """2 h 5 min (126 events)."""
    if found.delay_ms is None:
        return "missed"
    events = "" if found.delay_events is None else f" ({found.delay_events:,} events)"
    return f"{length(found.delay_ms)}{events}"


def length(ms: int) -> str:
    """A span of time in its two largest units."""
    parts = []
    for name, size in (("d", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count:,} {name}")
    return " ".join(parts[:2]) or "0 s"


def short(ms: int) -> str:
    """2013-04-26 14:00."""
    return rfc3339(ms)[:16].replace("T", " ")


def _line(out: Console, text: str) -> None:
    out.print(Text(printable(text)), soft_wrap=True)
