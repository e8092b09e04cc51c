"""What is measured: G1 and G5, false alarms; G2 and G3, delays; G4, the gate. Each measurement is a list of jobs
of its own random seed, so that they may run side by side and give the same figures whatever the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.detection import rivals
from bench.detection.pipeline import CHUNK_PANES, PANE_EVENTS, REFERENCE, Subject, arl0_days
from bench.detection.streams import MEANS, QUIET, SHAPES, Change, Draw, pane_effects
from driftline.stats.settings import DetectionSettings

Floats = NDArray[np.float64]

MILLION: Final = 1_000_000
TRAFFICS: Final = (0.1, 1.0, 10.0)
SEARCHED: Final = 20_000
"""Events after a change within which it must be found."""
LEAD: Final = 2_000
"""Quiet events before a change."""


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """`alarms` in `events` (and `days`, at the reference's traffic) of one model of `monitors` monitors."""

    goal: str
    what: str
    arl0: float
    traffic: float
    monitors: int
    events: int
    panes: int
    alarms: int


@dataclass(frozen=True, slots=True)
class Delays:
    """Events from the change to the alarm, one a trial; None: not within what was searched."""

    goal: str
    what: str
    who: str
    kl: float
    held_to: int
    delays: tuple[int | None, ...]
    before: int
    """Trials in which an alarm came before the change; they are not among the delays."""


def quiet_run(
    goal: str,
    what: str,
    seed: int,
    millions: float,
    *,
    draw: Draw | None = None,
    live: Draw | None = None,
    arl0: float = MILLION,
    traffic: float = 1.0,
    monitors: int = 20,
    min_effect: float = 0.05,
) -> FalseAlarms:
    """Alarms of our detectors where nothing happens. `live`: the law of what is judged, where it is not `draw`'s
    own at another traffic. `arl0` and `millions` are of events at the reference's traffic: time is what is kept."""
    draw = draw or QUIET[what]
    rng = np.random.default_rng(seed)
    settings = DetectionSettings(arl0_days=arl0_days(arl0), min_effect_sd=min_effect)
    each = round(PANE_EVENTS * traffic)
    panes = round(millions * MILLION / PANE_EVENTS)
    subject = Subject(draw(rng, REFERENCE, monitors), settings)
    alarms = list(subject.run(_quiet(live or draw, rng, panes, each, monitors)))
    return FalseAlarms(goal, what, arl0, traffic, monitors, panes * each, panes, len(alarms))


def _quiet(draw: Draw, rng: np.random.Generator, panes: int, each: int, monitors: int) -> Iterator[Floats]:
    for start in range(0, panes, CHUNK_PANES):
        many = min(CHUNK_PANES, panes - start)
        yield draw(rng, many * each, monitors).reshape(many, each, monitors)


def rival_quiet(what: str, seed: int, events: int) -> list[tuple[str, str, int, int]]:
    """(rival, stream, alarms, events) of one column: what a rule of thumb costs per monitor."""
    rng = np.random.default_rng(seed)
    reference = QUIET[what](rng, REFERENCE, 1)[:, 0]
    values = QUIET[what](rng, events, 1)[:, 0]
    return [(name, what, sum(1 for _ in rivals.alarms(name, reference, values)), events) for name in rivals.NAMES]


def change_run(
    goal: str,
    change: Change,
    seed: int,
    trials: int,
    *,
    monitors: int = 1,
    min_effect: float = 0.02,
    min_rate_effect: float = 0.0,
    searched: int = SEARCHED,
    who: str = "ours",
) -> Delays:
    """Delays of our detectors: the first column changes after `LEAD` quiet events, the others never do."""
    rng = np.random.default_rng(seed)
    settings = DetectionSettings(
        arl0_days=arl0_days(MILLION), min_effect_sd=min_effect, min_rate_effect=min_rate_effect
    )
    subject = Subject(change.before(rng, REFERENCE, monitors), settings, change.kind)
    delays: list[int | None] = []
    early = 0
    for _ in range(trials):
        found: int | None = None
        for alarm in subject.run(_changing(change, rng, monitors, searched)):
            if alarm.events <= LEAD:
                early += 1
                break
            if monitors > 1 and not alarm.monitor.startswith("features.x0:"):
                continue
            found = alarm.events - LEAD
            break
        else:
            delays.append(None)
            continue
        if found is not None:
            delays.append(found)
    return Delays(goal, change.name, who, change.kl, change.goal, tuple(delays), early)


def _changing(change: Change, rng: np.random.Generator, monitors: int, searched: int) -> Iterator[Floats]:
    """The quiet lead, then the change in growing portions: most alarms come early."""
    yield change.before(rng, LEAD, monitors).reshape(-1, PANE_EVENTS, monitors)
    done, portion = 0, 1_000
    while done < searched:
        many = min(portion, searched - done)
        values = change.before(rng, many, monitors)
        values[:, :1] = change.after(rng, many, 1)
        yield values.reshape(-1, PANE_EVENTS, monitors)
        done, portion = done + many, portion * 2


def rival_change(goal: str, change: Change, seed: int, trials: int) -> list[Delays]:
    """Delays of the others on the same kind of trial, whatever their false alarms."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[int | None]] = {name: [] for name in rivals.NAMES}
    early = dict.fromkeys(rivals.NAMES, 0)
    reference = change.before(rng, REFERENCE, 1)[:, 0]
    for _ in range(trials):
        values = np.concatenate([change.before(rng, LEAD, 1), change.after(rng, SEARCHED, 1)])[:, 0]
        for name in rivals.NAMES:
            alarms = rivals.alarms(name, reference, values)
            first = next(alarms, None)
            if first is not None and first <= LEAD:
                early[name] += 1
            else:
                found[name].append(None if first is None else first - LEAD)
    return [
        Delays(goal, change.name, name, change.kl, change.goal, tuple(found[name]), early[name])
        for name in rivals.NAMES
    ]


CHANGES: Final = {"G2": MEANS, "G3": SHAPES}


def drifted(share: float) -> Draw:
    """A pane effect at the traffic that is judged."""
    return pane_effects(share, PANE_EVENTS)
