"""Evidence that of the groups of a stream one has less than `bound` times another's share of positives.

For a pair of groups, null p_a >= r p_b, an alternative (q_a, q_b) beyond it, and a block of n_a and n_b rows of which
k_a and k_b are positive,

    l = k_a ln(q_a/p_a) + (n_a - k_a) ln((1-q_a)/(1-p_a)) + k_b ln(q_b/p_b) + (n_b - k_b) ln((1-q_b)/(1-p_b))

where (p_a, p_b) is the point of the null nearest to the alternative, in n_a KL(q_a, p_a) + n_b KL(q_b, p_b). The null
is convex, so for every p of it E exp(l) <= exp(sum_g n_g (p'_g - p_g) (q_g - p_g) / (p_g (1 - p_g))) <= 1: the base
rate needs not be known (Turner, Grunwald, "Exact anytime-valid confidence intervals for contingency tables and beyond",
2023). A block ends when both groups have LEAST rows; its alternatives rest on the blocks before it alone.

R <- (dt + R) exp(l): the mean of R over pairs and alternatives less the elapsed time is a supermartingale, so an alarm
at R >= T is false once in time T at most, on average, while every pair keeps its ratio. For rows independent given
their groups it is exact; `worth`, the part of an independent row that a row is worth, costs evidence and no guarantee.
In alarm the mirrored process, of p_a <= r p_b against more, runs for the pair that raised it (decision 4).

Memory: 150 bytes a pair.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.cbe import RECOVERED, RECOVERY_FLOOR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WORSE: Final = np.array([0.95, 0.85, 0.7, 0.5, 0.25])
"""Ratios to the bound that are looked for, with equal weights; and in alarm those it may have come back to."""
BETTER: Final = np.array([1.05, 1.15, 1.25, 1.5])
LEAST: Final = 10
"""Rows of each group in a block."""
REMEMBERED: Final = 2_000.0
"""Rows of each group that alternatives rest on, the latest."""
_FIELDS: Final = ("log_r", "run", "since", "seen", "past", "block", "begun", "waited")


class ShareRatio:
    """`hear` of panes, then read the evidence and `raise_alarm` or `resolve`. Of P ordered pairs: `log_r` [P, 5];
    `run` [P], the nats since `since` (ms), and `seen` [P, 2, 2], the (positives, rows) of both groups since then;
    `past` the same of what alternatives rest on, `block` of the block that is open since `begun`, `waited` long."""

    def __init__(self, bound: float, positive: Floats, rows: Floats) -> None:
        """`positive` of `rows`, by group: what the reference holds."""
        groups = len(rows)
        self.bound = bound
        self.pairs = np.array([(a, b) for a in range(groups) for b in range(groups) if a != b], np.intp)
        self.pairs = self.pairs.reshape(-1, 2)
        p = len(self.pairs)
        self.log_r = np.full((p, len(WORSE)), -np.inf)
        self.run, self.waited = np.zeros(p), np.zeros(p)
        self.since, self.begun = np.zeros(p, np.int64), np.zeros(p, np.int64)
        self.seen, self.block = np.zeros((p, 2, 2)), np.zeros((p, 2, 2))
        self.past = _remembered(np.stack([positive, rows], axis=1).astype(np.float64)[self.pairs])
        self.alarm, self.winner = False, 0
        self.back, self.lowest = np.zeros(len(BETTER)), 0.0

    def hear(self, positive: Ints, rows: Ints, worth: float, start: int, dt: float) -> None:
        """A pane from `start` (ms), `dt` after the last: by group, `positive` of `rows`."""
        self.begun = np.where(self.block[:, :, 1].any(axis=1), self.begun, start)
        self.block += np.stack([positive, rows], axis=1)[self.pairs]
        self.waited += dt
        closed = np.flatnonzero((self.block[:, :, 1] >= LEAST).all(axis=1))
        if len(closed):
            self._close(closed, worth)

    def _close(self, at: NDArray[np.intp], worth: float) -> None:
        block = self.block[at]
        if self.alarm:
            if self.winner in at:
                self._recover(worth)
        else:
            nats = worth * _evidence(block, self.past[at], self.bound, WORSE)
            self.log_r[at] = np.logaddexp(np.log(self.waited[at])[:, None], self.log_r[at]) + nats
            best = nats[np.arange(len(at)), self.log_r[at].argmax(axis=1)]
            goes_on = self.run[at] > 0.0
            self.since[at] = np.where(goes_on, self.since[at], self.begun[at])
            self.seen[at] = np.where(goes_on[:, None, None], self.seen[at], 0.0) + block
            self.run[at] = np.where(goes_on, self.run[at], 0.0) + best
        self.past[at] = _remembered(self.past[at] + block)
        self.block[at] = 0.0
        self.waited[at] = 0.0

    def _recover(self, worth: float) -> None:
        at = self.winner
        block, past = self.block[at : at + 1], self.past[at : at + 1]
        self.back = np.maximum(self.back + worth * _evidence(block, past, self.bound, BETTER)[0], RECOVERY_FLOOR)
        if not self.seen[at].any():
            self.since[at] = self.begun[at]
        self.seen[at] += block[0]
        if self.recovery <= self.lowest:
            self.lowest = self.recovery
            self.seen[at] = 0.0

    @property
    def evidence(self) -> float:
        return float(np.logaddexp.reduce(self.log_r.ravel())) - math.log(self.log_r.size)

    @property
    def recovery(self) -> float:
        return float(np.logaddexp.reduce(self.back)) - math.log(len(BETTER))

    @property
    def recovered(self) -> bool:
        return self.alarm and self.recovery >= RECOVERED

    @property
    def leader(self) -> int:
        """The pair that the verdict which is due is about."""
        return self.winner if self.alarm else int(self.log_r.max(axis=1).argmax())

    def ratio(self, worth: float) -> tuple[float, float, float]:
        """Of the leader since its onset, and two standard errors (of its logarithm) below and above."""
        (ka, na), (kb, nb) = self.seen[self.leader].tolist()
        a, b = (ka + 0.5) / (na + 1.0), (kb + 0.5) / (nb + 1.0)
        half = 2.0 * math.sqrt(((1.0 - a) / (a * (na + 1.0)) + (1.0 - b) / (b * (nb + 1.0))) / worth)
        return a / b, a / b * math.exp(-half), a / b * math.exp(half)

    def raise_alarm(self) -> None:
        self.winner = self.leader
        self.alarm = True
        self._settle()

    def resolve(self) -> None:
        self.alarm = False
        self.log_r[:] = -np.inf
        self._settle()

    def _settle(self) -> None:
        self.back[:] = 0.0
        self.lowest = 0.0
        self.run[:], self.since[:], self.seen[:] = 0.0, 0, 0.0

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        held = {name: getattr(self, name) for name in _FIELDS}
        return {**held, "back": self.back, "lowest": self.lowest, "alarm": self.alarm, "winner": self.winner}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises KeyError, TypeError or ValueError for what is none."""
        for name in (*_FIELDS, "back"):
            held = getattr(self, name)
            if state[name].shape != held.shape:
                raise ValueError(f"{name} of shape {state[name].shape}")
            held[...] = state[name]
        self.lowest, self.alarm, self.winner = float(state["lowest"]), bool(state["alarm"]), int(state["winner"])
        if not 0 <= self.winner < max(len(self.pairs), 1):
            raise ValueError(f"pair {self.winner} of {len(self.pairs)}")


def _remembered(past: Floats) -> Floats:
    most = np.maximum(past[:, :, 1:], 1.0)
    return np.asarray(past * np.minimum(REMEMBERED / most, 1.0))


def _evidence(block: Floats, past: Floats, bound: float, factors: Floats) -> Floats:
    """Nats [pairs, factors] of blocks [pairs, 2, (positives, rows)] for the likeliest of the past at `bound` times
    each factor, against the nearest at `bound`."""
    shares = (past[:, :, 0] + 0.5) / (past[:, :, 1] + 1.0)
    (qa, qb) = _nearest(shares[:, :1], shares[:, 1:], past[:, :1, 1] + 1.0, past[:, 1:, 1] + 1.0, bound * factors)
    ka, na, kb, nb = (block[:, g, i : i + 1] for g in (0, 1) for i in (0, 1))
    (pa, pb) = _nearest(qa, qb, na, nb, np.array([bound]))
    return np.asarray(
        ka * np.log(qa / pa)
        + (na - ka) * (np.log1p(-qa) - np.log1p(-pa))
        + kb * np.log(qb / pb)
        + (nb - kb) * (np.log1p(-qb) - np.log1p(-pb))
    )


def _nearest(a: Floats, b: Floats, na: Floats, nb: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """The (ratio t, t) with the least na KL(a, ratio t) + nb KL(b, t): the smaller root of
    na (a - ratio t)(1 - t) + nb (b - t)(1 - ratio t) = 0, which lies in (0, min(1, 1 / ratio))."""
    square = ratio * (na + nb)
    line = na * (a + ratio) + nb * (1.0 + ratio * b)
    last = na * a + nb * b
    t = 2.0 * last / (line + np.sqrt(np.maximum(line * line - 4.0 * square * last, 0.0)))
    return ratio * t, t
