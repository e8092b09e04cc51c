"""Hard limits: has a share gone beyond what is allowed?

Guarantee: while every row's probability of being bad, given all before it, is within the bound, the limits of a
model together raise at most one false alarm in `arl0` days of traffic (or events) on average. A limit that has long
been kept is no harder to break: evidence never falls below what a fresh start has. Exact for rows that are 0 or 1,
and for numbers in [0, 1] (Hoeffding 1963: the exponential lies below its chord).

The evidence is that of `bounded_share`, a pane at a time. n_eff <= n is the reference's, where it has a witness of the
same rows: for dependent rows an approximation, for independent ones Jensen's inequality, which costs evidence and no
guarantee. In alarm it runs the other way until 20, and the alarm is resolved.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from driftline.contracts.records import Estimate, Severity, SignalState
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.bounded_share import BoundedShare, percent
from driftline.stats.change import Change, no_longer
from driftline.stats.codes import CODES
from driftline.stats.grid import MOMENT_UNIT
from driftline.stats.limit_rules import LimitRule, counted
from driftline.stats.quality import MISSING_WORDS
from driftline.stats.ratio_limits import RatioLimit, worth_in_words
from driftline.stats.rows_since import RowsSince
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import Witness
from driftline.stats.wording import moment

DAY_MS: Final = 86_400_000


class Limit(BoundedShare):
    """One limit on one column of a reference. `rows`, `all_bad`: what has been seen so far, for people."""

    def __init__(self, rule: LimitRule, column: ColumnReference, at: int, section: Section, positive: str | None):
        super().__init__(rule.bound)
        self.rule = rule
        self.at = at
        self.grid_column = section.grid.columns[at]
        found = counted(rule, self.grid_column, positive)
        self.why_not = found if isinstance(found, str) else ""
        self.counted = None if isinstance(found, str) else found
        self.witness = _witness(rule, column)
        self.waited = 0
        self.rows, self.all_bad = 0, 0.0

    def count(self, counts: PaneCounts) -> tuple[int, float]:
        """(rows that count, bad ones). Sums of integers: whatever the order, the same."""
        assert self.counted is not None
        held = counts.counts[self.at]
        n = int(held[self.counted.base].sum())
        if not self.counted.mean:
            return n, float(held[self.counted.bad].sum())
        total = int(counts.moments[self.at, 0]) / MOMENT_UNIT * self.grid_column.scale + n * self.grid_column.center
        total = min(max(total, 0.0), float(n))
        return n, n - total if self.rule.inverted else total

    def worth(self, n: float) -> float:
        return n if self.witness is None else min(n, 1.0 / self.witness.inflation(n))

    def take(self, counts: PaneCounts, start: int, dt: float) -> bool:
        """A pane, `dt` (days of traffic, or events) after the last that had rows which count. False: it has none."""
        n, bad = self.count(counts)
        if not n:
            return False
        self.rows += n
        self.all_bad += bad
        self.hear(n, bad, self.worth(n), start, dt)
        return True

    @property
    def starts(self) -> list[int]:
        """Onsets that an alarm may name."""
        return sorted(set(self.start.tolist()))

    @property
    def enough(self) -> bool:
        return float(self.n[self.winner]) >= self.rule.min_count

    def change(self, state: SignalState, end: int, threshold: float) -> Change:
        """The verdict that is due."""
        rule = self.rule
        since, _, n, _ = self.seen
        effect, evidence = self.told(rule.words, rule.level, threshold)
        now = effect.current
        if rule.complement:
            now = Estimate(value=1.0 - now.value, low=1.0 - now.high, high=1.0 - now.low, unit=now.unit)
            effect = msgspec.structs.replace(effect, current=now)
        side = "at most" if rule.at_most is not None else "at least"
        verdict = "beyond" if state == "alarm" else "back within"
        return Change(
            monitor=rule.monitor,
            state=state,
            severity=_severity(rule),
            time=end,
            onset=since,
            sentence=(
                f"{rule.subject}: the {rule.words} is {verdict} its limit of {side} {percent(rule.level)}: "
                f"{percent(now.value)} ({percent(now.low)} to {percent(now.high)}) of {n:,.0f} since {moment(since)}."
            ),
            effect=effect,
            evidence=evidence,
        )

    def describe(self) -> str:
        rule = self.rule
        if self.why_not:
            return f"{rule.monitor}: not judged: {self.why_not}"
        share = self.all_bad / self.rows if self.rows else 0.0
        shown = percent(1.0 - share if rule.complement else share)
        seen = f"{shown} of {self.rows:,}" if self.rows else "nothing"
        words = [
            f"{'beyond it, ' if self.alarm else ''}{seen} so far",
            f"from {rule.min_count:,} rows",
            worth_in_words(self.witness),
        ]
        if self.counted is not None and self.counted.nearest is not None:
            words.append(
                f"judged at {self.counted.nearest:g}, the nearest edge of the reference, until one is learnt with it"
            )
        return f"{rule.monitor}: {'; '.join(words)}"

    def to_state(self) -> dict[str, Any]:
        so_far = [self.waited, self.rows, self.all_bad]
        return {**super().to_state(), "so_far": so_far}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        waited, rows, all_bad = state["so_far"]
        self.waited, self.rows, self.all_bad = int(waited), int(rows), float(all_bad)


class Limits:
    """The limits of one stream of a model. `settings`: as they are for this model (`for_model`)."""

    def __init__(self, section: Section, settings: DetectionSettings) -> None:
        self.section = section
        names = section.grid.index
        positive = next(iter(settings.positive_class.values()), None)
        rules = {rule.monitor: rule for rule in settings.limits}
        mine = [rule for rule in rules.values() if rule.stream == section.stream]
        self.unknown = [rule for rule in mine if rule.subject not in names]
        self.limits = [
            RatioLimit(rule, section, names[rule.subject])
            if rule.segment
            else Limit(rule, section.columns[names[rule.subject]], names[rule.subject], section, positive)
            for rule in sorted(mine, key=lambda rule: rule.monitor)
            if rule.subject in names
        ]
        self.rows = RowsSince()
        self.in_events = settings.unit == "events"
        self.threshold = math.log(settings.arl0 * max(len(rules), 1))
        self.dropped: list[str] = []
        """In alarm when they were taken out of the configuration."""

    def update(self, start: int, end: int, counts: PaneCounts) -> list[Change]:
        """The pane from `start` to `end` ms: changes in the order of the limits' names. Raises ValueError for counts
        of another shape."""
        if counts.counts.shape != (len(self.section.grid.columns), CODES):
            raise ValueError(f"counts of shape {counts.counts.shape} for {len(self.section.grid.columns)} columns")
        changes = self.end_dropped(end)
        self.rows.add(start, counts.n)
        for limit in self.limits:
            if limit.why_not:
                continue
            limit.waited += counts.n if self.in_events else end - start
            if not limit.take(counts, start, limit.waited if self.in_events else limit.waited / DAY_MS):
                continue
            limit.waited = 0
            if limit.alarm:
                if limit.recovered:
                    changes.append(limit.change("resolved", end, self.threshold))
                    limit.resolve()
            elif limit.evidence >= self.threshold and limit.enough:
                changes.append(self._with_rows(limit.change("alarm", end, self.threshold)))
                limit.raise_alarm()
        self.rows.keep(start for limit in self.limits for start in limit.starts)
        return changes

    def end_dropped(self, at: int) -> list[Change]:
        """What was in alarm when the configuration lost it is over, and says why; once."""
        dropped, self.dropped = self.dropped, []
        return [no_longer(name, at, f"{name} was taken out of the configuration") for name in dropped]

    def _with_rows(self, change: Change) -> Change:
        """A limit counts positives, or one group's rows: who trains on what came since counts all."""
        assert change.evidence is not None
        evidence = msgspec.structs.replace(change.evidence, rows=self.rows.since(change.onset))
        return msgspec.structs.replace(change, evidence=evidence)

    def describe(self) -> list[str]:
        """Each limit in words, with what it has seen so far, and what it cannot do."""
        lines = [f"{rule.monitor}: not judged: the reference has no column {rule.subject}" for rule in self.unknown]
        return sorted(lines + [limit.describe() for limit in self.limits])

    @property
    def in_alarm(self) -> list[str]:
        return [limit.rule.monitor for limit in self.limits if limit.alarm]

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        held = {"of": {x.rule.monitor: x.to_state() for x in self.limits}, "dropped": sorted(self.dropped)}
        return held | {"rows": self.rows.to_state()}

    @staticmethod
    def from_state(section: Section, settings: DetectionSettings, state: dict[str, Any]) -> Limits:
        """Limits that the configuration has gained start cold; those it has lost are resolved if in alarm."""
        limits = Limits(section, settings)
        try:
            held = dict(state["of"])
            for limit in limits.limits:
                known = held.pop(limit.rule.monitor, None)
                if known is not None:
                    limit.restore(known)
            limits.rows.restore(state["rows"])
            limits.dropped = sorted([*state["dropped"], *(name for name, s in held.items() if s["alarm"])])
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"limits: {error}") from None
        return limits


def _witness(rule: LimitRule, column: ColumnReference) -> Witness | None:
    """Which of the reference's witnesses knows the variance of the bad rows: their own, or the one with most."""
    if rule.metric == "missing_share":
        return next((w for w in column.quality if w.label == MISSING_WORDS), None)
    wanted = {
        "loss": ("mean",),
        "share_above": ("below",),
        "share_below": ("below",),
    }
    forms = wanted.get(rule.metric, ("is", "below"))
    return max((w for w in column.witnesses if w.form in forms), key=lambda w: w.inflation(1_000.0), default=None)


def _severity(rule: LimitRule) -> Severity:
    return "critical" if rule.stream == "pairs" else "error"
