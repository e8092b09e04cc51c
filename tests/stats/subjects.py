"""Everything that is held to `checks`: each second opinion that the configuration may name, the block e-detector in
its surroundings, hard limits, rules, windows and panes, and the parts that see something else (`part_subjects`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.bounded_share import BoundedShare
from driftline.stats.cbe import BlockDetector
from driftline.stats.change import Change
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.constant_rules import ConstantRules
from driftline.stats.detector_rules import DetectorRule
from driftline.stats.limit_rules import LimitRule
from driftline.stats.limits import Limit, Limits
from driftline.stats.monitors import ModelMonitors
from driftline.stats.opinions import NAMES, Opinions
from driftline.stats.profile import Profile
from driftline.stats.rows import Column, Rows
from driftline.stats.schema_rules import SchemaRules
from driftline.stats.section import Section, Stream
from driftline.stats.settings import DetectionSettings
from driftline.stats.stream_monitors import StreamMonitors
from driftline.stats.units import Units
from driftline.stats.windows import Windows
from stats.checks import Draw, Rng, Subject
from stats.part_subjects import part_subjects
from stats.worlds import PANE, PER_PANE, Cells, profile_of

Floats = NDArray[np.float64]

NOT_FINITE: Final = (math.nan, math.inf, -math.inf)
ARL0: Final = 20_000.0


def subjects() -> Iterator[Subject]:
    yield from _opinions()
    yield from _monitors()
    yield from _limits()
    yield from _rules()
    yield _windows()
    yield _pane()
    yield from part_subjects()


# Second opinions, on standardised numbers, or on zeros and ones of which a tenth, then a half, are ones.


def _opinions() -> Iterator[Subject]:
    """False alarms a number and the median delay, with some room: what they were found to do, not what is promised."""
    for detector, alarms, within, most in (
        ("ADWIN()", 0.0005, 60, 3_000),
        ("ADWIN(delta=0.0001)", 0.0005, 80, 3_000),
        ("PageHinkley()", 0.001, 80, 600),
        ("KSWIN(alpha=0.001)", 0.003, 40, 6_000),
        ("NoDrift()", 0.0, None, 400),
        ("DummyDriftDetector(t_0=50)", 0.02, 50, 4_000),
    ):
        yield _opinion(detector, _normal(0.0), _normal(1.5), alarms, within, most)
    for detector, alarms, within, most in (
        ("DDM()", 0.003, 80, 700),
        ("EDDM()", 0.02, 80, 700),
        ("FHDDM()", 0.001, 100, 2_000),
        ("FHDDM(short_window_size=25)", 0.001, 100, 2_500),
        ("HDDM_A()", 0.002, 60, 800),
        ("HDDM_A(two_sided_test=True)", 0.003, 60, 800),
        ("HDDM_W()", 0.004, 60, 1_500),
    ):
        yield _opinion(detector, _bit(0.1), _bit(0.5), alarms, within, most)


def _opinion(detector: str, quiet: Draw, shifted: Draw, alarms: float, within: int | None, most: int) -> Subject:
    rules = (DetectorRule(monitor="error:rate", detector=detector),)
    name = rules[0].name
    assert name not in NAMES
    return Subject(
        name=detector,
        of=(Opinions,),
        fresh=lambda: Opinions(rules),
        hear=lambda it, i, x: name in it.update(x, i),
        save=lambda it: bytes(it.to_bytes()),
        load=lambda data: Opinions.from_bytes(data, rules),
        quiet=quiet,
        shifted=shifted,
        refused=NOT_FINITE,
        false_alarms=alarms,
        within=within,
        most_bytes=most + 3_000,  # ADWIN and Page-Hinkley listen too
        units=1_000 if detector.startswith("KSWIN") else 3_000,  # a third of a millisecond each
    )


def _normal(mean: float) -> Draw:
    return lambda rng: float(rng.normal(mean))


def _bit(share: float) -> Draw:
    return lambda rng: float(rng.random() < share)


# What reads panes: a unit is the values of one column in a pane of 100 rows.


class Watching(Protocol):
    """What judges panes of one section."""

    def update(self, start: int, end: int, counts: PaneCounts) -> list[Change]: ...


@dataclass(frozen=True)
class _World:
    """A profile of one column, and what is done with panes of it."""

    column: str
    profile: Profile
    settings: DetectionSettings
    stream: Stream = "predictions"
    folded: dict[bytes, PaneCounts] = field(default_factory=dict)

    @property
    def section(self) -> Section:
        section = self.profile.section(self.stream)
        assert section is not None
        return section

    def counts(self, values: Floats) -> PaneCounts:
        """The counts of one pane. A unit that is no column of numbers makes counts of another shape."""
        if values.ndim != 1:
            return PaneCounts.empty(len(self.section.grid.columns) + 1)
        key = values.tobytes()
        if key not in self.folded:
            times = np.arange(len(values)) * (PANE // len(values))
            rows = Rows(times, np.arange(len(values), dtype=np.uint64), {self.column: Column(values)})
            (self.folded[key],) = fold_rows(self.section.grid, rows).values()
        return self.folded[key].copy()

    def start(self, i: int) -> int:
        return self.profile.judged_from + i * PANE

    def hear_rules(self, it: Watching, i: int, values: Floats) -> bool:
        changes = it.update(self.start(i), self.start(i + 1), self.counts(values))
        return any(change.state == "alarm" for change in changes)

    def hear_monitors(self, it: ModelMonitors, i: int, values: Floats) -> bool:
        changes = it.update(self.stream, self.start(i), self.counts(values))
        return any(change.state == "alarm" for change in changes)


def _world(column: str, reference: Floats, settings: DetectionSettings, stream: Stream = "predictions") -> _World:
    held: dict[str, Cells] = {column: reference}
    if stream == "pairs":
        plain = np.arange(len(reference), dtype=np.float64)
        return _World(column, profile_of({"x": plain}, settings, pairs=held), settings, stream)
    return _World(column, profile_of(held, settings), settings)


def _pane_of(draw: Callable[[Rng, int], Floats]) -> Draw:
    return lambda rng: draw(rng, PER_PANE)


OTHER_SHAPE: Final = (np.zeros((2, 2)),)


def _monitors() -> Iterator[Subject]:
    """The promise is theirs: an alarm in `ARL0` events. Delays: four times the floor of detection theory or less."""
    settings = DetectionSettings(arl0_events=ARL0)
    rng = np.random.default_rng(1)
    for name, column, stream, quiet, shifted, within in (
        ("block e-detector, mean", "x", "predictions", _values(0.0, 1.0), _values(0.5, 1.0), 8),
        ("block e-detector, spread", "x", "predictions", _values(0.0, 1.0), _values(0.0, 1.5), 8),
        ("block e-detector, error", "error", "pairs", _rate(0.1), _rate(0.25), 6),
    ):
        world = _world(column, quiet(rng, 20_000), settings, "pairs" if stream == "pairs" else "predictions")
        yield Subject(
            name=name,
            of=(ModelMonitors, StreamMonitors, Units, BlockDetector),
            fresh=lambda world=world: ModelMonitors(world.profile, settings),  # type: ignore[misc]
            hear=world.hear_monitors,
            save=lambda it: bytes(it.to_bytes()),
            load=lambda data, world=world: ModelMonitors.from_bytes(world.profile, settings, data),  # type: ignore[misc]
            quiet=_pane_of(quiet),
            shifted=_pane_of(shifted),
            refused=OTHER_SHAPE,
            false_alarms=PER_PANE / ARL0,
            within=within,
            most_bytes=24_000,
            lead=60,
            units=800,
        )


def _values(mean: float, sd: float) -> Callable[[Rng, int], Floats]:
    return lambda rng, n: rng.normal(mean, sd, n)


def _rate(share: float) -> Callable[[Rng, int], Floats]:
    return lambda rng, n: (rng.random(n) < share).astype(np.float64)


def _limits() -> Iterator[Subject]:
    """At the limit for ever, then beyond it."""
    rng = np.random.default_rng(2)
    for rule, column, stream, quiet, shifted in (
        (LimitRule(metric="recall", at_least=0.9), "false_negative", "pairs", _rate(0.1), _rate(0.2)),
        (LimitRule(metric="error_rate", at_most=0.1), "error", "pairs", _rate(0.1), _rate(0.2)),
        (
            LimitRule(metric="share_above", column="x", value=2.0, at_most=0.02275),
            "x",
            "predictions",
            _values(0.0, 1.0),
            _values(0.4, 1.0),
        ),
    ):
        settings = DetectionSettings(arl0_events=ARL0, limits=(rule,))
        world = _world(column, quiet(rng, 20_000), settings, "pairs" if stream == "pairs" else "predictions")
        yield _component(
            f"limit {rule.monitor}",
            (Limits, Limit, BoundedShare),
            world,
            lambda world=world, settings=settings: Limits(world.section, settings),  # type: ignore[misc]
            lambda state, world=world, settings=settings: Limits.from_state(world.section, settings, state),  # type: ignore[misc]
            _pane_of(quiet),
            _pane_of(shifted),
            PER_PANE / ARL0,
            15,
            1_200,
        )


def _rules() -> Iterator[Subject]:
    """Rules raise no false alarm at all on what their reference is made of."""
    rng = np.random.default_rng(3)
    world = _world("x", rng.normal(size=20_000), DetectionSettings())
    quiet = _pane_of(_values(0.0, 1.0))
    yield _component(
        "schema rules",
        (SchemaRules,),
        world,
        lambda: SchemaRules(world.section),
        lambda state: SchemaRules.from_state(world.section, state),
        quiet,
        lambda rng: np.full(PER_PANE, np.nan),
        0.0,
        3,
        1_000,
    )
    yield _component(
        "constant rules",
        (ConstantRules,),
        world,
        lambda: ConstantRules(world.section),
        lambda state: ConstantRules.from_state(world.section, state),
        quiet,
        lambda rng: np.full(PER_PANE, 0.25),
        0.0,
        4,
        1_000,
    )


def _component(
    name: str,
    of: tuple[type, ...],
    world: _World,
    fresh: Callable[[], Any],
    load: Callable[[dict[str, Any]], Any],
    quiet: Draw,
    shifted: Draw,
    false_alarms: float,
    within: int,
    most_bytes: int,
) -> Subject:
    return Subject(
        name=name,
        of=of,
        fresh=fresh,
        hear=world.hear_rules,
        save=lambda it: pack_arrays(it.to_state()),
        load=lambda data: load(unpack_arrays(data)),
        quiet=quiet,
        shifted=shifted,
        refused=OTHER_SHAPE,
        false_alarms=false_alarms,
        within=within,
        most_bytes=most_bytes,
        lead=100,
        units=1_500,
    )


def _windows() -> Subject:
    """A ladder of recent counts. It says nothing."""

    def hear(it: Windows, i: int, counts: NDArray[np.int64]) -> bool:
        it.update(i * 10_000, counts)
        return False

    def draw(rng: Rng) -> NDArray[np.int64]:
        return rng.poisson(5.0, (3, 64))

    return Subject(
        name="windows",
        of=(Windows,),
        fresh=lambda: Windows((3, 64)),
        hear=hear,
        save=lambda it: bytes(it.to_bytes()),
        load=lambda data: Windows.from_bytes((3, 64), data),
        quiet=draw,
        shifted=draw,
        refused=(np.zeros((2, 64), np.int64),),
        false_alarms=0.0,
        within=None,
        most_bytes=60_000,
    )


def _pane() -> Subject:
    """Counts of a pane, to which more are added: a sketch of the rows."""
    world = _world("x", np.random.default_rng(4).normal(size=5_000), DetectionSettings())

    def hear(it: PaneCounts, i: int, values: Floats) -> bool:
        it.merge(world.counts(values))
        return False

    return Subject(
        name="pane counts",
        of=(PaneCounts,),
        fresh=lambda: PaneCounts.empty(len(world.section.grid.columns), world.section.grid.joint),
        hear=hear,
        save=lambda it: bytes(it.to_bytes()),
        load=lambda data: PaneCounts.from_bytes(world.section.grid, data),
        quiet=_pane_of(_values(0.0, 1.0)),
        shifted=_pane_of(_values(1.0, 1.0)),
        refused=OTHER_SHAPE,
        false_alarms=0.0,
        within=None,
        most_bytes=2_000,
    )
