"""A hard limit on a ratio between segments: has one group less than so much of another's share?

`{metric: positive_rate_ratio, segment: sex, at_least: 0.8}`: of any two values of the segment, the share of positive
predictions of the one is at least 0.8 times that of the other. `recall_ratio` says so of the shares of positive
outcomes that were found, and so on (`segments.SHARES`). The guarantee is that of `share_ratio`, within the
budget that limits share: while every pair of groups keeps its ratio, no more false alarms than that, however many
groups there are. A group is a value of the segment that the reference knows (`segments`).

Rows are worth as little as those of the group's share that vary most in the reference: how many rows each group has may
vary too, so that evidence is lost where segments come in turns, and no guarantee.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from driftline.contracts.records import Effect, Estimate, Evidence, SignalState
from driftline.stats.block import PaneCounts
from driftline.stats.bounded_share import percent
from driftline.stats.cbe import RECOVERED
from driftline.stats.change import Change
from driftline.stats.limit_rules import LimitRule
from driftline.stats.questions import printable
from driftline.stats.section import Section
from driftline.stats.segments import SHARES, groups_of
from driftline.stats.share_ratio import ShareRatio
from driftline.stats.witness import Witness
from driftline.stats.wording import moment

USUAL_ROWS: Final = 1_000.0
"""Of so many rows is said what one is worth."""


class RatioLimit:
    """One limit. `good` of `rows`, by group: what has been seen so far, for people."""

    def __init__(self, rule: LimitRule, section: Section, at: int) -> None:
        self.rule = rule
        self.at = at
        column = section.columns[at]
        self.categories = section.grid.columns[at].codes
        self.groups = groups_of(section.grid.columns[at].categories, column.fine_counts, SHARES[rule.metric])
        self.why_not = ""
        if len(self.groups.names) < 2:
            self.why_not = f"the reference holds what it is about for fewer than two values of {rule.segment}"
        held = self.groups.rows @ column.fine_counts
        good = self.groups.good @ column.fine_counts
        self.ratio = ShareRatio(rule.level, good.astype(np.float64), held.astype(np.float64))
        compared = set(column.coarse_map[self.groups.rows.any(axis=0)].tolist())
        theirs = (w for w in column.witnesses if w.form == "is" and w.bin in compared)
        self.witness = max(theirs, key=lambda w: w.inflation(USUAL_ROWS), default=None)
        self.waited = 0
        self.good, self.rows = np.zeros_like(held), np.zeros_like(held)
        self.row_worth = 1.0
        """The part of an independent row that a row was worth in the last pane."""

    def take(self, counts: PaneCounts, start: int, dt: float) -> bool:
        """A pane, `dt` (days of traffic, or events) after the last that had rows of a group. False: it has none."""
        rows = self.groups.rows @ counts.counts[self.at]
        if not rows.any():
            return False
        good = self.groups.good @ counts.counts[self.at]
        n = int(counts.counts[self.at, : self.categories].sum())  # what varies together: more than what is compared
        self.good += good
        self.rows += rows
        self.row_worth = 1.0 if self.witness is None else min(1.0, 1.0 / (n * self.witness.inflation(n)))
        self.ratio.hear(good, rows, self.row_worth, start, dt)
        return True

    @property
    def evidence(self) -> float:
        return self.ratio.evidence

    @property
    def alarm(self) -> bool:
        return self.ratio.alarm

    @property
    def recovered(self) -> bool:
        return self.ratio.recovered

    @property
    def starts(self) -> list[int]:
        """Onsets that an alarm may name: of pairs, and of their open blocks."""
        return sorted({*self.ratio.since.tolist(), *self.ratio.begun.tolist()})

    @property
    def enough(self) -> bool:
        return float(self.ratio.seen[self.ratio.leader, :, 1].min()) >= self.rule.min_count

    def raise_alarm(self) -> None:
        self.ratio.raise_alarm()

    def resolve(self) -> None:
        self.ratio.resolve()

    def change(self, state: SignalState, end: int, threshold: float) -> Change:
        """The verdict that is due."""
        rule, ratio = self.rule, self.ratio
        since = int(ratio.since[ratio.leader])
        # In quotes, like names of categories: they stay out of messages, being about people.
        one, other = (f'"{printable(self.groups.names[g])}"' for g in ratio.pairs[ratio.leader].tolist())
        (good, n), (others_good, others_n) = ratio.seen[ratio.leader].tolist()
        value, low, high = ratio.ratio(self.row_worth)
        verdict = "beyond" if state == "alarm" else "back within"
        return Change(
            monitor=rule.monitor,
            state=state,
            severity="error",
            time=end,
            onset=since,
            sentence=(
                f"{rule.subject}: the {rule.words} is {verdict} its limit of at least {rule.level:g}: "
                f"{value:.2f} ({low:.2f} to {high:.2f}), {percent(good / n)} of {n:,.0f} with {one} against "
                f"{percent(others_good / others_n)} of {others_n:,.0f} with {other}, since {moment(since)}."
            ),
            effect=Effect(
                witness=f"{rule.words.removesuffix(' ratio')} of {one} over that of {other}",
                reference=rule.level,
                current=Estimate(value=value, low=low, high=high, unit="value"),
            ),
            evidence=Evidence(
                detector="limit",
                log_evidence=ratio.recovery if ratio.alarm else ratio.evidence,
                log_threshold=RECOVERED if ratio.alarm else threshold,
                n=int(n + others_n),
                n_eff=(n + others_n) * self.row_worth,
            ),
        )

    def describe(self) -> str:
        rule = self.rule
        if self.why_not:
            return f"{rule.monitor}: not judged: {self.why_not}"
        shares = [
            f"{printable(name)} {percent(good / n)} of {n:,}" if n else f"{printable(name)} nothing"
            for name, good, n in zip(self.groups.names, self.good.tolist(), self.rows.tolist(), strict=True)
        ]
        return (
            f"{rule.monitor}: {'beyond it, ' if self.alarm else ''}so far {', '.join(shares)}; from "
            f"{rule.min_count:,} rows of both groups; {worth_in_words(self.witness)}"
        )

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        so_far = {"waited": self.waited, "good": self.good, "rows": self.rows, "worth": self.row_worth}
        return {**so_far, "alarm": self.alarm, "ratio": self.ratio.to_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises KeyError, TypeError or ValueError for what is none."""
        self.waited, self.row_worth = int(state["waited"]), float(state["worth"])
        self.good[:], self.rows[:] = state["good"], state["rows"]
        self.ratio.restore(state["ratio"])


def worth_in_words(witness: Witness | None) -> str:
    if witness is None:
        return "rows are taken as independent: the reference does not know how they vary"
    return f"a row is worth {1.0 / max(witness.a, witness.a_within):.2g} of an independent one"
