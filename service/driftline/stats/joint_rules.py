"""Do columns still go together as in the reference? One monitor a section, whatever the number of columns.

A block e-detector of its own over the means of the embedding's features, in units of `coalesce` rows or more: the same
guarantee, state machine and onset as the other monitors', with whom it shares the budget of alarms. It cannot but hear
columns that move alone as well; so features that look at a column in alarm are left out for as long as that lasts.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from driftline.contracts.records import Effect, Estimate, Evidence, SignalState
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.cbe import RECOVERED, BlockDetector, Run
from driftline.stats.change import Change
from driftline.stats.common_causes import Moved
from driftline.stats.embedding import FEATURES, UNIT
from driftline.stats.joint import MONITOR, JointReference, correlation
from driftline.stats.section import Section
from driftline.stats.units import DAY_MS
from driftline.stats.wording import moment, number, rounded

_DUE = np.ones(1, np.bool_)


class JointRules:
    """`update` with every closed pane, in order of time."""

    def __init__(self, section: Section, joint: JointReference, coalesce: int, *, in_events: bool) -> None:
        self.joint = joint
        self.detector = BlockDetector(section.joint_table)
        self.sums = np.zeros(FEATURES, np.int64)
        self.n = 0
        self.ms = 0
        self.start = 0
        self.judged = 0
        names = sorted({name for group in joint.groups for name in group})
        self._looks_at = {name: np.array([name in group for group in joint.groups]) for name in names}
        self._coalesce = coalesce
        self._in_events = in_events

    def update(
        self, pane: int, ms: int, counts: PaneCounts, log_threshold: float, alone: Collection[str]
    ) -> tuple[SignalState, Run, float] | None:
        """One pane: its number and its length in ms; `alone`: the columns in alarm by themselves. What changed with
        it, if anything: what has been seen since the onset, and the evidence (nats). Raises ValueError for counts that
        hold no sums of the embedding."""
        if counts.joint.shape != self.sums.shape:
            raise ValueError(f"{len(counts.joint)} sums of an embedding, not {len(self.sums)}")
        if not self.n:
            self.start = pane
        self.sums += counts.joint
        self.n += counts.n
        self.ms += ms
        if self.n < self._coalesce:
            return None
        n = np.full(FEATURES, float(self.n))
        length = np.array([float(self.n) if self._in_events else self.ms / DAY_MS])
        start = np.array([self.start], np.int32)
        y = self.sums / (self.n * UNIT)
        evidence = float(self.detector.update(_DUE, y, n, np.ones(FEATURES), length, start)[0])
        self.judged += self.n
        self.sums = np.zeros(FEATURES, np.int64)
        self.n = self.ms = 0
        if self.alarm:
            if not self.detector.recovered(0):
                return None
            evidence = float(self.detector.recovery[0])
            return "resolved", self.detector.resolve(0), evidence
        for name in alone:
            if name in self._looks_at:
                self.detector.forget(self._looks_at[name])
                evidence = self.detector.evidence(0)
        if evidence < log_threshold or math.isinf(log_threshold):
            return None
        return "alarm", self.detector.raise_alarm(0, self.detector.winner(0)), evidence

    @property
    def alarm(self) -> bool:
        return bool(self.detector.alarm[0] >= 0)

    @property
    def log_evidence(self) -> float:
        """In alarm, of the evidence that all is well again."""
        return float(self.detector.recovery[0]) if self.alarm else self.detector.evidence(0)

    def since(self) -> int | None:
        """The pane an alarm began in; None where there is none."""
        return self.detector.run(int(self.detector.alarm[0])).start if self.alarm else None

    def moved(self, onset: int) -> Moved:
        """What is in alarm."""
        group = self.joint.groups[int(self.detector.alarm[0]) // 10]
        return Moved(MONITOR, onset, self.detector.evidence(0), tuple(group))

    def change(
        self,
        found: tuple[SignalState, Run, float],
        time: int,
        onset: int,
        log_threshold: float,
    ) -> Change:
        """In front of people."""
        state, run, evidence = found
        effect = self._effect(run)
        return Change(
            monitor=MONITOR,
            state=state,
            severity="warning",
            time=time,
            onset=onset,
            sentence=_sentence(state, self.joint.groups[run.witness], effect, onset),
            effect=effect,
            evidence=Evidence(
                detector="cbe",
                log_evidence=evidence,
                log_threshold=RECOVERED if state == "resolved" else log_threshold,
                n=int(run.n),
                n_eff=run.n_eff,
            ),
        )

    def _effect(self, run: Run) -> Effect:
        """Of two columns the correlation that it would be; of more how far their feature has moved, in SDs."""
        witness, group = self.joint.witnesses[run.witness], self.joint.groups[run.witness]
        half = 2.0 * witness.sigma / math.sqrt(run.n_eff) if run.n_eff else 0.0
        seen = (run.mean, run.mean - half, run.mean + half)
        if len(group) == 2:
            what, reference = f"rank correlation of {_listed(group)}, about", correlation(witness, witness.mu)
            value, low, high = (correlation(witness, y) for y in seen)
        else:
            what, reference = f"what {_listed(group)} do together, in SDs", 0.0
            value, low, high = ((y - witness.mu) / witness.sigma for y in seen)
        estimate = Estimate(value=value, low=min(low, high), high=max(low, high), unit="value")
        return Effect(witness=what, reference=reference, current=estimate)

    def smallest_shift(self) -> str:
        """In words, as `reach.smallest_shift`: of the median feature."""
        eps = float(np.median([witness.eps / witness.sigma for witness in self.joint.witnesses]))
        return f"{number(eps)} SD of what columns do together"

    def to_state(self) -> dict[str, Any]:
        """Equal states give equal bytes."""
        held = {"n": self.n, "ms": self.ms, "start": self.start, "judged": self.judged}
        return {"sums": self.sums, "detector": self.detector.to_state(), **held}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises StateCorrupt for what is no state of this reference."""
        try:
            sums = state["sums"]
            if not isinstance(sums, np.ndarray) or sums.shape != self.sums.shape or sums.dtype != self.sums.dtype:
                raise StateCorrupt("joint monitor: sums of another shape")
            self.sums = sums.copy()
            self.n, self.ms, self.start, self.judged = (int(state[name]) for name in ("n", "ms", "start", "judged"))
            self.detector = BlockDetector.from_state(self.detector.table, state["detector"])
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"joint monitor: {error}") from None


def _listed(names: Collection[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _sentence(state: SignalState, columns: list[str], effect: Effect, onset: int) -> str:
    now = effect.current
    bar = max(now.high - now.value, now.value - now.low)
    value, error = rounded(now.value, bar), rounded(bar, bar)
    who = _listed(columns)
    if len(columns) == 2:
        before = rounded(effect.reference, bar)
        if state == "resolved":
            return (
                f"{who} go together as they did: as if their rank correlation were {value} (±{error}) since "
                f"{moment(onset)}, against {before} in the reference."
            )
        return (
            f"{who} have changed the way they go together: as if their rank correlation had gone from {before} to "
            f"{value} (±{error}) since {moment(onset)}."
        )
    if state == "resolved":
        return f"{who} go together as they did, within {value} SD (±{error}), since {moment(onset)}."
    return (
        f"Some of {who} have changed the way they go together: a measure of all of them has moved by {value} SD "
        f"(±{error}) since {moment(onset)}."
    )
