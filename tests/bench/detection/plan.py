"""Which jobs a run is made of, and how large: minutes, or a night."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bench.detection import limits
from bench.detection.goals import (
    CHANGES,
    TRAFFICS,
    change_run,
    drifted,
    quiet_run,
    rival_change,
    rival_quiet,
)
from bench.detection.pipeline import PANE_EVENTS
from bench.detection.streams import QUIET, Change, pane_effects

ARL0: Final = (10_000.0, 100_000.0, 1_000_000.0)
HONEST: Final = ("normal", "lognormal", "AR(1) .5")


@dataclass(frozen=True, slots=True)
class Size:
    """`millions` of events for each quiet line and `seeds` of them; `trials` and `references` for each change."""

    millions: float
    seeds: int
    trials: int
    references: int
    rival_events: int
    rival_trials: int
    gate_runs: int
    honest: tuple[float, float, float]
    """Millions of events for each ARL0 of `ARL0`."""
    limit_trials: int


MINUTES: Final = Size(1.0, 1, 8, 5, 200_000, 10, 2, (0.5, 1.0, 2.0), 20)
NIGHT: Final = Size(5.0, 4, 20, 10, 1_000_000, 50, 12, (2.0, 5.0, 20.0), 200)


@dataclass(frozen=True, slots=True)
class Job:
    call: Callable[..., Any]
    args: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...] = ()

    def __call__(self) -> Any:
        return self.call(*self.args, **dict(self.named))


def jobs(size: Size, wanted: set[str]) -> list[Job]:
    """The longest first, so that the last ones do not wait for one."""
    found: list[Job] = []
    if "G1" in wanted:
        found += _quiet(size)
    if "G5" in wanted:
        found += _honest(size)
    if "G4" in wanted:
        found += _gate(size)
    if "limits" in wanted:
        found += [Job(limits.rows, (*change, size.limit_trials)) for change in limits.CHANGES]
    for goal, changes in CHANGES.items():
        if goal in wanted:
            found += [job for change in changes for job in _delays(goal, change, size)]
    return found


def _quiet(size: Size) -> list[Job]:
    found = []
    for seed in range(size.seeds):
        found += [Job(quiet_run, ("G1", what, seed, size.millions)) for what in QUIET]
        for share in (0.01, 0.05):
            for traffic in TRAFFICS:
                live = pane_effects(share, round(PANE_EVENTS * traffic))
                more = (("draw", drifted(share)), ("live", live), ("traffic", traffic))
                found.append(Job(quiet_run, ("G1", f"pane effects {share:.0%}", seed, size.millions), more))
    return [*found, *[Job(rival_quiet, (what, 0, size.rival_events)) for what in QUIET]]


def _honest(size: Size) -> list[Job]:
    found = []
    for arl0, millions in zip(ARL0, size.honest, strict=True):
        for what in HONEST:
            for traffic in TRAFFICS:
                more = (("arl0", arl0), ("traffic", traffic), ("monitors", 1))
                found += [Job(quiet_run, ("G5", what, 100 + seed, millions), more) for seed in range(size.seeds)]
    return found


def _gate(size: Size) -> list[Job]:
    quiet = [
        Job(
            quiet_run,
            ("G4", "mean +0.03 SD", 200 + seed, 1.0),
            (("draw", QUIET["normal"]), ("live", _shifted(0.03)), ("monitors", 1)),
        )
        for seed in range(size.gate_runs)
    ]
    change = Change("mean +0.10 SD", "numeric", QUIET["normal"], _shifted(0.1), 0.005, 100_000)
    loud = [
        Job(change_run, ("G4", change, 300 + seed, 3), (("min_effect", 0.05), ("searched", 100_000)))
        for seed in range(size.gate_runs)
    ]
    return [*quiet, *loud]


class _Shifted:
    def __init__(self, shift: float) -> None:
        self.shift = shift

    def __call__(self, rng: np.random.Generator, n: int, k: int) -> Any:
        return rng.normal(self.shift, 1.0, (n, k))


def _shifted(shift: float) -> _Shifted:
    return _Shifted(shift)


def _delays(goal: str, change: Change, size: Size) -> list[Job]:
    ours = [Job(change_run, (goal, change, seed, size.trials)) for seed in range(size.references)]
    wide = (("monitors", 20), ("min_effect", 0.05), ("min_rate_effect", 0.02), ("who", "ours, 20 monitors"))
    whole = [
        Job(change_run, (goal, change, 50 + seed, max(size.trials // 4, 1)), wide)
        for seed in range(size.references)
        if change.kind != "error"
    ]
    others = [Job(rival_change, (goal, change, seed, size.rival_trials)) for seed in range(1)]
    return [*ours, *whole, *others]
