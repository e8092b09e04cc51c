"""Hard limits: has a share gone beyond what is allowed?

Guarantee: while every row's probability of being bad, given all before it, is within the bound, the limits of a
model together raise at most one false alarm in `arl0` days of traffic (or events) on average. A limit that has long
been kept is no harder to break: evidence never falls below what a fresh start has. Exact for rows that are 0 or 1,
and for numbers in [0, 1] (Hoeffding 1963: the exponential lies below its chord). For bound L and an alternative
q > L, a pane of n rows of which k are bad adds

    l = (n_eff / n) [ k ln(q / L) + (n - k) ln((1 - q) / (1 - L)) ],     R <- (dt + R) exp(l)

and the mean of R over eight odds ratios q/(1-q) : L/(1-L) less the elapsed time is a supermartingale. n_eff <= n is
the reference's, where it has a witness of the same rows: for dependent rows an approximation, for independent ones
Jensen's inequality, which costs evidence and no guarantee. In alarm the mirrored process, of bound against all
that is less, runs until 20, on a floor of -ln 1000 (decision 4), and the alarm is resolved.

Shin, Ramdas, Rinaldo, "E-detectors" (2022); Waudby-Smith, Ramdas, "Estimating means of bounded random variables by
betting" (2024).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Effect, Estimate, Evidence, Severity, SignalState
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.cbe import RECOVERED, RECOVERY_FLOOR
from driftline.stats.change import Change
from driftline.stats.codes import CODES
from driftline.stats.grid import MOMENT_UNIT
from driftline.stats.limit_rules import LimitRule, counted
from driftline.stats.quality import MISSING_WORDS
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import Witness
from driftline.stats.wording import moment

Floats = NDArray[np.float64]

ODDS: Final = np.array([1.1, 1.2, 1.4, 1.8, 3.0, 8.0, 30.0, 300.0])
"""Odds ratios to the bound that are looked for, with equal weights: these cost ln 8 nats at the most."""
DAY_MS: Final = 86_400_000


class Limit:
    """One limit on one column of a reference. `rows`, `all_bad`: what has been seen so far, for people. The evidence
    is `log_r`, with `bad` of `n` rows worth `n_eff` since `start` for each of its alternatives (`back_...`: since
    things went back)."""

    def __init__(self, rule: LimitRule, column: ColumnReference, at: int, section: Section, positive: str | None):
        self.rule = rule
        self.at = at
        self.grid_column = section.grid.columns[at]
        found = counted(rule, self.grid_column, positive)
        self.why_not = found if isinstance(found, str) else ""
        self.counted = None if isinstance(found, str) else found
        self.witness = _witness(rule, column)
        odds = rule.bound / (1.0 - rule.bound)
        self._steps = [_steps(rule.bound, odds * ODDS), _steps(rule.bound, odds / ODDS)]
        self.log_r = np.full(len(ODDS), -np.inf)
        self.start = np.zeros(len(ODDS), np.int64)
        self.bad, self.n, self.n_eff = np.zeros(len(ODDS)), np.zeros(len(ODDS)), np.zeros(len(ODDS))
        self.waited = 0
        self.alarm = False
        self.back = np.zeros(len(ODDS))
        self.lowest, self.back_from = 0.0, 0
        self.back_bad = self.back_n = self.back_n_eff = 0.0
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

    def hear(self, n: int, bad: float, start: int, dt: float) -> None:
        """A pane that has `n` > 0 rows, `dt` (days of traffic, or events) after the last that had any."""
        self.rows += n
        self.all_bad += bad
        worth = self.worth(n)
        worse, better = (worth / n * (up * bad + down * (n - bad)) for up, down in self._steps)
        if self.alarm:
            self._recover(n, bad, worth, start, better)
            return
        self.log_r = np.logaddexp(math.log(dt), self.log_r) + worse
        up, down = self._steps[0]
        goes_on = up * self.bad + down * (self.n - self.bad) > 0.0
        self.start = np.where(goes_on, self.start, start)
        self.bad = np.where(goes_on, self.bad, 0.0) + bad
        self.n = np.where(goes_on, self.n, 0.0) + n
        self.n_eff = np.where(goes_on, self.n_eff, 0.0) + worth

    def _recover(self, n: int, bad: float, worth: float, start: int, better: Floats) -> None:
        self.back = np.maximum(self.back + better, RECOVERY_FLOOR)
        if not self.back_n:
            self.back_from = start
        self.back_bad += bad
        self.back_n += n
        self.back_n_eff += worth
        if self.recovery <= self.lowest:
            self.lowest = self.recovery
            self.back_bad = self.back_n = self.back_n_eff = 0.0

    @property
    def evidence(self) -> float:
        return float(np.logaddexp.reduce(self.log_r)) - math.log(len(ODDS))

    @property
    def recovery(self) -> float:
        return float(np.logaddexp.reduce(self.back)) - math.log(len(ODDS))

    @property
    def winner(self) -> int:
        return int(np.argmax(self.log_r))

    def raise_alarm(self) -> None:
        self.alarm = True
        self._settle()

    def resolve(self) -> None:
        self.alarm = False
        self.log_r[:] = -np.inf
        self.bad[:] = self.n[:] = self.n_eff[:] = self.start[:] = 0
        self._settle()

    def _settle(self) -> None:
        self.back[:] = 0.0
        self.lowest, self.back_from = 0.0, 0
        self.back_bad = self.back_n = self.back_n_eff = 0.0

    def to_state(self) -> dict[str, Any]:
        return {
            "cells": np.stack([self.log_r, self.bad, self.n, self.n_eff, self.back]),
            "start": self.start,
            "numbers": [self.waited, self.alarm, self.back_from, self.rows],
            "sums": [self.lowest, self.back_bad, self.back_n, self.back_n_eff, self.all_bad],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.log_r[:], self.bad[:], self.n[:], self.n_eff[:], self.back[:] = state["cells"]
        self.start[:] = state["start"]
        waited, alarm, back_from, rows = state["numbers"]
        self.waited, self.alarm, self.back_from, self.rows = int(waited), bool(alarm), int(back_from), int(rows)
        self.lowest, self.back_bad, self.back_n, self.back_n_eff, self.all_bad = map(float, state["sums"])


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
            Limit(rule, section.columns[names[rule.subject]], names[rule.subject], section, positive)
            for rule in sorted(mine, key=lambda rule: rule.monitor)
            if rule.subject in names
        ]
        self.in_events = settings.unit == "events"
        self.threshold = math.log(settings.arl0 * max(len(rules), 1))
        self.dropped: list[str] = []
        """In alarm when they were taken out of the configuration."""

    def update(self, start: int, end: int, counts: PaneCounts) -> list[Change]:
        """The pane from `start` to `end` ms: changes in the order of the limits' names. Raises ValueError for counts
        of another shape."""
        if counts.counts.shape != (len(self.section.grid.columns), CODES):
            raise ValueError(f"counts of shape {counts.counts.shape} for {len(self.section.grid.columns)} columns")
        changes = [_no_longer(name, end) for name in self.dropped]
        self.dropped = []
        for limit in self.limits:
            if limit.why_not:
                continue
            limit.waited += counts.n if self.in_events else end - start
            n, bad = limit.count(counts)
            if not n:
                continue
            limit.hear(n, bad, start, limit.waited if self.in_events else limit.waited / DAY_MS)
            limit.waited = 0
            if limit.alarm:
                if limit.recovery >= RECOVERED:
                    changes.append(self._resolved(limit, end))
                    limit.resolve()
            elif limit.evidence >= self.threshold and limit.n[limit.winner] >= limit.rule.min_count:
                changes.append(self._alarm(limit, end))
                limit.raise_alarm()
        return changes

    def _alarm(self, limit: Limit, end: int) -> Change:
        cell = limit.winner
        seen = float(limit.bad[cell]), float(limit.n[cell]), float(limit.n_eff[cell])
        return _change(limit.rule, "alarm", end, int(limit.start[cell]), seen, limit.evidence, self.threshold)

    def _resolved(self, limit: Limit, end: int) -> Change:
        seen = limit.back_bad, limit.back_n, limit.back_n_eff
        return _change(limit.rule, "resolved", end, limit.back_from, seen, limit.recovery, RECOVERED)

    def describe(self) -> list[str]:
        """Each limit in words, with what it has seen so far, and what it cannot do."""
        lines = [f"{rule.monitor}: not judged: the reference has no column {rule.subject}" for rule in self.unknown]
        return sorted(lines + [_describe(limit) for limit in self.limits])

    @property
    def in_alarm(self) -> list[str]:
        return [limit.rule.monitor for limit in self.limits if limit.alarm]

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {"of": {x.rule.monitor: x.to_state() for x in self.limits}, "dropped": sorted(self.dropped)}

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
            limits.dropped = sorted([*state["dropped"], *(name for name, s in held.items() if s["numbers"][1])])
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"limits: {error}") from None
        return limits


def _steps(bound: float, odds: Floats) -> tuple[Floats, Floats]:
    """Nats that a bad row adds, and a good one, for each alternative."""
    q = odds / (1.0 + odds)
    return np.log(q) - math.log(bound), np.log1p(-q) - math.log1p(-bound)


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


def _change(
    rule: LimitRule,
    state: SignalState,
    end: int,
    since: int,
    seen: tuple[float, float, float],
    evidence: float,
    threshold: float,
) -> Change:
    """`seen`: how many bad rows since `since`, of how many, worth how many independent ones."""
    bad, n, n_eff = seen
    share = bad / n
    half = 2.0 * math.sqrt(share * (1.0 - share) / n_eff)
    value, low, high = share, max(share - half, 0.0), min(share + half, 1.0)
    if rule.complement:
        value, low, high = 1.0 - value, 1.0 - high, 1.0 - low
    side = "at most" if rule.at_most is not None else "at least"
    verdict = "beyond" if state == "alarm" else "back within"
    return Change(
        monitor=rule.monitor,
        state=state,
        severity=_severity(rule),
        time=end,
        onset=since,
        sentence=(
            f"{rule.subject}: the {rule.words} is {verdict} its limit of {side} {_percent(rule.level)}: "
            f"{_percent(value)} ({_percent(low)} to {_percent(high)}) of {n:,.0f} since {moment(since)}."
        ),
        effect=Effect(
            witness=rule.words,
            reference=rule.level,
            current=Estimate(value=value, low=low, high=high, unit="share"),
        ),
        evidence=Evidence(detector="limit", log_evidence=evidence, log_threshold=threshold, n=int(n), n_eff=n_eff),
    )


def _severity(rule: LimitRule) -> Severity:
    return "critical" if rule.stream == "pairs" else "error"


def _no_longer(name: str, end: int) -> Change:
    sentence = f"{name} is no longer a limit: its alarm ends with it."
    return Change(monitor=name, state="resolved", severity="info", time=end, onset=end, sentence=sentence)


def _describe(limit: Limit) -> str:
    rule = limit.rule
    if limit.why_not:
        return f"{rule.monitor}: not judged: {limit.why_not}"
    share = limit.all_bad / limit.rows if limit.rows else 0.0
    seen = _percent(1.0 - share if rule.complement else share) if limit.rows else "nothing"
    words = [
        f"{'beyond it, ' if limit.alarm else ''}{seen} of {limit.rows:,} so far",
        f"from {rule.min_count:,} rows",
    ]
    if limit.witness is None:
        words.append("rows are taken as independent: the reference does not know how they vary")
    else:
        w = limit.witness
        words.append(f"a row is worth {1.0 / max(w.a, w.a_within):.2g} of an independent one")
    if limit.counted is not None and limit.counted.nearest is not None:
        words.append(
            f"judged at {limit.counted.nearest:g}, the nearest edge of the reference, until one is learnt with it"
        )
    return f"{rule.monitor}: {'; '.join(words)}"


def _percent(share: float) -> str:
    """Three significant digits of whichever is smaller, the share or what it lacks of 1."""
    part = 100.0 * min(share, 1.0 - share)
    text = f"{100.0 * share:.{min(max(2 - math.floor(math.log10(part)), 1), 7) if part > 0.0 else 1}f}"
    return f"{text.rstrip('0').rstrip('.')} %"
