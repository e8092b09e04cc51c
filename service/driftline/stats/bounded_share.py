"""Evidence that a share is beyond the most it may be, and in alarm, that it is back within.

For rows whose probability of being bad, given all before, is at most L, and an alternative q > L, n rows worth n_eff
independent ones of which k are bad add

    l = (n_eff / n) [ k ln(q / L) + (n - k) ln((1 - q) / (1 - L)) ],     R <- (dt + R) exp(l)

and the mean of R over eight odds ratios q/(1-q) : L/(1-L) less the elapsed time is a supermartingale: an alarm at
R >= T is false once in time T at most, on average. In alarm the mirrored process, of bound against all that is less,
runs on a floor of -ln 1000 (decision 4).

Shin, Ramdas, Rinaldo, "E-detectors" (2022); Waudby-Smith, Ramdas, "Estimating means of bounded random variables by
betting" (2024).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Effect, Estimate, Evidence
from driftline.stats.cbe import RECOVERED, RECOVERY_FLOOR

Floats = NDArray[np.float64]

ODDS: Final = np.array([1.1, 1.2, 1.4, 1.8, 3.0, 8.0, 30.0, 300.0])
"""Odds ratios to the bound that are looked for, with equal weights: these cost ln 8 nats at the most."""


class BoundedShare:
    """`hear` of rows, then read the evidence and `raise_alarm` or `resolve`. The evidence is `log_r`, with `bad` of
    `n` rows worth `n_eff` since `start` for each of its alternatives (`back_...`: since things went back)."""

    def __init__(self, bound: float) -> None:
        odds = bound / (1.0 - bound)
        self._steps = [_steps(bound, odds * ODDS), _steps(bound, odds / ODDS)]
        self.log_r = np.full(len(ODDS), -np.inf)
        self.start = np.zeros(len(ODDS), np.int64)
        self.bad, self.n, self.n_eff = np.zeros(len(ODDS)), np.zeros(len(ODDS)), np.zeros(len(ODDS))
        self.alarm = False
        self.back = np.zeros(len(ODDS))
        self.lowest, self.back_from = 0.0, 0
        self.back_bad = self.back_n = self.back_n_eff = 0.0

    def hear(self, n: int, bad: float, worth: float, start: int, dt: float) -> None:
        """`n` > 0 rows worth `worth`, `dt` after the last that there were."""
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
    def recovered(self) -> bool:
        return self.alarm and self.recovery >= RECOVERED

    @property
    def winner(self) -> int:
        return int(np.argmax(self.log_r))

    @property
    def seen(self) -> tuple[int, float, float, float]:
        """What the verdict that is due rests on: (start, bad rows, rows, of how many independent ones)."""
        if self.alarm:
            return self.back_from, self.back_bad, self.back_n, self.back_n_eff
        cell = self.winner
        return int(self.start[cell]), float(self.bad[cell]), float(self.n[cell]), float(self.n_eff[cell])

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

    def told(self, witness: str, most: float, threshold: float) -> tuple[Effect, Evidence]:
        """How people are told of the verdict that is due; `most`: what it is held against."""
        _, bad, n, n_eff = self.seen
        share = bad / n
        half = 2.0 * math.sqrt(share * (1.0 - share) / n_eff)
        current = Estimate(value=share, low=max(share - half, 0.0), high=min(share + half, 1.0), unit="share")
        evidence = Evidence(
            detector="limit",
            log_evidence=self.recovery if self.alarm else self.evidence,
            log_threshold=RECOVERED if self.alarm else threshold,
            n=int(n),
            n_eff=n_eff,
        )
        return Effect(witness=witness, reference=most, current=current), evidence

    def to_state(self) -> dict[str, Any]:
        """For `codec.pack_arrays`; equal states give equal bytes."""
        return {
            "cells": np.stack([self.log_r, self.bad, self.n, self.n_eff, self.back]),
            "start": self.start,
            "alarm": self.alarm,
            "back_from": self.back_from,
            "sums": [self.lowest, self.back_bad, self.back_n, self.back_n_eff],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises KeyError, TypeError or ValueError for what is none."""
        self.log_r[:], self.bad[:], self.n[:], self.n_eff[:], self.back[:] = state["cells"]
        self.start[:] = state["start"]
        self.alarm, self.back_from = bool(state["alarm"]), int(state["back_from"])
        self.lowest, self.back_bad, self.back_n, self.back_n_eff = map(float, state["sums"])


def _steps(bound: float, odds: Floats) -> tuple[Floats, Floats]:
    """Nats that a bad row adds, and a good one, for each alternative."""
    q = odds / (1.0 + odds)
    return np.log(q) - math.log(bound), np.log1p(-q) - math.log1p(-bound)


def percent(share: float) -> str:
    """Three significant digits of whichever is smaller, the share or what it lacks of 1."""
    part = 100.0 * min(share, 1.0 - share)
    text = f"{100.0 * share:.{min(max(2 - math.floor(math.log10(part)), 1), 7) if part > 0.0 else 1}f}"
    return f"{text.rstrip('0').rstrip('.')} %"
