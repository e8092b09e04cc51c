"""Subjects that hear something else than the values of one column: how many rows a pane holds, how many of them came
twice, how the means of panes vary, what two columns do together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache, reduce
from operator import add
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.distance_limits import DistanceLimits
from driftline.stats.distance_rules import DistanceRule
from driftline.stats.duplicate_rules import DuplicateRules
from driftline.stats.duplicates import learn_duplicates
from driftline.stats.joint_rules import JointRules
from driftline.stats.limit_rules import LimitRule
from driftline.stats.limits import Limits
from driftline.stats.profile import Profile
from driftline.stats.ratio_limits import RatioLimit
from driftline.stats.relearn import relearn_section
from driftline.stats.section import Section
from driftline.stats.segments import crossed
from driftline.stats.settings import DetectionSettings
from driftline.stats.share_ratio import ShareRatio
from driftline.stats.shown import Shown
from driftline.stats.stream_monitors import StreamMonitors
from driftline.stats.traffic import DAY_MS, learn_traffic
from driftline.stats.traffic_rules import TrafficRules
from driftline.stats.units import Unit
from driftline.stats.watch import RARER, VarianceWatch
from driftline.stats.witness import WIDTH
from stats.checks import Draw, Rng, Subject
from stats.worlds import PANE, PER_PANE, profile_of, rows_of

Floats = NDArray[np.float64]

ARL0: Final = 20_000.0
LEVEL: Final = math.log(ARL0)
SETTINGS: Final = DetectionSettings(arl0_events=ARL0, season="none")
BEGIN: Final = 2 * DAY_MS


def part_subjects() -> Iterator[Subject]:
    yield _traffic("silence", lambda rng: 0, within=3)
    yield _traffic("flood", lambda rng: int(rng.poisson(10 * PER_PANE)), within=5)
    yield _duplicates()
    yield _variance()
    yield _joint("columns together", _two_columns().predictions)
    yield _joint("columns together, from sums", _from_sums())
    yield _ratio()
    yield _distances()


def _load(fresh: Callable[[], Any]) -> Callable[[bytes], Any]:
    def load(data: bytes) -> Any:
        it = fresh()
        it.restore(unpack_arrays(data))
        return it

    return load


def _save(it: Any) -> bytes:
    return pack_arrays(it.to_state())


def _traffic(name: str, shifted: Draw, within: int) -> Subject:
    """A unit is the rows of a pane; of a pane without any, only the time passes. Rules: no false alarm at all."""
    rng = np.random.default_rng(6)
    traffic = learn_traffic(np.sort(rng.integers(0, BEGIN, BEGIN // PANE * PER_PANE)), PANE)
    assert traffic is not None

    def hear(it: TrafficRules, i: int, rows: int) -> bool:
        start, end = BEGIN + i * PANE, BEGIN + (i + 1) * PANE
        changes = it.elapse(start)
        changes += it.update(start, end, rows) if rows else it.elapse(end)
        return any(change.state == "alarm" for change in changes)

    def fresh() -> TrafficRules:
        return TrafficRules("predictions", traffic, BEGIN, PANE)

    return Subject(
        name=name,
        of=(TrafficRules,),
        fresh=fresh,
        hear=hear,
        save=_save,
        load=_load(fresh),
        quiet=lambda rng: int(rng.poisson(PER_PANE)),
        shifted=shifted,
        refused=(-1, math.nan),
        false_alarms=0.0,
        within=within,
        most_bytes=150,
    )


def _duplicates() -> Subject:
    """A unit is how many predictions of a pane came twice."""
    rng = np.random.default_rng(7)
    times = np.arange(20_000) * (PANE // PER_PANE)
    held = {int(time): 1 for time in times[rng.random(len(times)) < 0.02]}
    reference = learn_duplicates(times, held, PANE, SETTINGS.z_ref)

    def hear(it: DuplicateRules, i: int, duplicates: int) -> bool:
        changes = it.update(BEGIN + i * PANE, BEGIN + (i + 1) * PANE, PER_PANE, duplicates, LEVEL)
        return any(change.state == "alarm" for change in changes)

    def fresh() -> DuplicateRules:
        return DuplicateRules(reference, in_events=True)

    return Subject(
        name="duplicates",
        of=(DuplicateRules,),
        fresh=fresh,
        hear=hear,
        save=_save,
        load=_load(fresh),
        quiet=lambda rng: int(rng.binomial(PER_PANE, 0.02)),
        shifted=lambda rng: int(rng.binomial(PER_PANE, 0.1)),
        refused=(-PER_PANE, math.nan),
        false_alarms=PER_PANE / ARL0,
        within=6,
        most_bytes=600,
    )


def _variance() -> Subject:
    """A unit is the values of a pane; beyond, panes have an effect that makes their means vary 5 times as much."""
    profile = profile_of({"x": np.random.default_rng(8).normal(size=20_000)}, SETTINGS)
    section, main = profile.predictions, StreamMonitors(profile.predictions, SETTINGS, profile.judged_from).main
    columns = section.monitored
    due = np.array([column.aspect == "values" for column in columns])
    levels = np.where(due, LEVEL, np.inf)
    k = len(section.table.monitor)

    def hear(it: VarianceWatch, i: int, values: Floats) -> bool:
        y = np.zeros(k)
        column = columns[int(np.flatnonzero(due)[0])]
        y[main[int(np.flatnonzero(due)[0])]] = (values.mean() - column.mean) / column.sd
        n = np.full(k, float(len(values)))
        length = np.full(len(columns), float(len(values)))
        start = np.full(len(columns), i, np.int32)
        unit = Unit(due, length, start, np.full(len(columns), len(values)), n, y, y, np.ones(k))
        quiet = np.zeros(len(columns), np.bool_)
        changes = it.update(unit, quiet, levels, BEGIN + (i + 1) * PANE, BEGIN, PANE)
        return any(change.state == "alarm" for change in changes)

    def fresh() -> VarianceWatch:
        return VarianceWatch(section, main)

    return Subject(
        name="watch on variance",
        of=(VarianceWatch,),
        fresh=fresh,
        hear=hear,
        save=_save,
        load=_load(fresh),
        quiet=lambda rng: rng.normal(size=PER_PANE),
        shifted=lambda rng: rng.normal(rng.normal(0.0, 0.2), 1.0, PER_PANE),
        refused=(np.full(PER_PANE, math.nan), np.full(PER_PANE, math.inf)),
        false_alarms=PER_PANE / ARL0 / math.exp(RARER),
        within=128,
        most_bytes=600,
    )


def _ratio() -> Subject:
    """A unit is (positive, rows) of two groups in a pane: at the limit, then beyond it."""
    name, rng = "segments.sex", np.random.default_rng(10)
    rule = LimitRule(metric="positive_rate_ratio", segment="sex", at_least=0.8)
    settings = DetectionSettings(arl0_events=ARL0, limits=(rule,), season="none")
    women = rng.random(20_000) < 0.5
    said = rng.random(20_000) < np.where(women, 0.4, 0.5)
    texts: list[str | None] = [
        crossed("F" if w else "M", "+" if p else "-") for w, p in zip(women, said, strict=True)
    ]
    section = profile_of({name: texts, "x": rng.normal(size=20_000)}, settings).predictions
    at = section.grid.index[name]

    def hear(it: Limits, i: int, groups: NDArray[np.int64]) -> bool:
        counts = PaneCounts.empty(len(section.grid.columns) + (groups.shape[0] != 2), section.grid.joint)
        counts.n = int(groups[:, 1].sum())
        for value, (positive, rows) in zip("FM", groups.tolist(), strict=False):
            for category, n in ((crossed(value, "+"), positive), (crossed(value, "-"), rows - positive)):
                counts.counts[at, section.grid.columns[at].table[category]] = n
        changes = it.update(BEGIN + i * PANE, BEGIN + (i + 1) * PANE, counts)
        return any(change.state == "alarm" for change in changes)

    def draw(women: float, men: float) -> Draw:
        def of(rng: Rng) -> NDArray[np.int64]:
            rows = rng.multinomial(PER_PANE, [0.5, 0.5])
            return np.stack([rng.binomial(rows, [women, men]), rows], axis=1)

        return of

    return Subject(
        name="ratio between segments",
        of=(Limits, RatioLimit, ShareRatio),
        fresh=lambda: Limits(section, settings),
        hear=hear,
        save=_save,
        load=lambda data: Limits.from_state(section, settings, unpack_arrays(data)),
        quiet=draw(0.4, 0.5),
        shifted=draw(0.2, 0.5),
        refused=(np.zeros((3, 2), np.int64),),
        false_alarms=PER_PANE / ARL0,
        within=12,
        most_bytes=1_800,
    )


def _distances() -> Subject:
    """A unit is the values of a pane; a threshold that chance reaches about never, and a shift that is beyond it."""
    rule = DistanceRule(distance="ks", above=0.2, column="x", events=200)
    settings = DetectionSettings(arl0_events=ARL0, distances=(rule,), season="none")
    section = profile_of({"x": np.random.default_rng(12).normal(size=20_000)}, settings).predictions
    (at,) = (j for j, column in enumerate(section.monitored) if column.aspect == "values")

    def hear(it: DistanceLimits, i: int, values: Floats) -> bool:
        coarse = np.zeros((len(section.monitored) + (len(values) == 0), WIDTH), np.int64)
        for counts in fold_rows(section.grid, rows_of({"x": values})).values():
            coarse[at] += np.bincount(section.monitored[at].coarse_map, counts.counts[0], WIDTH).astype(np.int64)
        changes = it.update(BEGIN + i * PANE, BEGIN + (i + 1) * PANE, coarse)
        return any(change.state == "alarm" for change in changes)

    def fresh() -> DistanceLimits:
        return DistanceLimits(section, settings)

    return Subject(
        name="threshold on a distance",
        of=(DistanceLimits,),
        fresh=fresh,
        hear=hear,
        save=_save,
        load=_load(fresh),
        quiet=lambda rng: rng.normal(size=PER_PANE),
        shifted=lambda rng: rng.normal(1.0, 1.0, PER_PANE),
        refused=(np.empty(0),),
        false_alarms=1e-4,
        within=4,
        most_bytes=900,
    )


@cache
def _two_columns() -> Profile:
    pair = _pair(0.8)(np.random.default_rng(9), 20_000)
    return profile_of({"features.a": pair[:, 0], "features.b": pair[:, 1]}, SETTINGS)


def _pair(rho: float) -> Callable[[Rng, int], Floats]:
    return lambda rng, n: rng.multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]], n)


def _from_sums() -> Section:
    """The same, learnt anew from 64 spans of 4 panes."""
    section = _two_columns().predictions
    pair = _pair(0.8)(np.random.default_rng(10), 64 * 4 * PER_PANE)
    rows = rows_of({"features.a": pair[:, 0], "features.b": pair[:, 1]})
    shown = [Shown.of(section, counts) for _, counts in sorted(fold_rows(section.grid, rows).items())]
    spans = [reduce(add, shown[i : i + 4]) for i in range(0, len(shown), 4)]
    return relearn_section(section, spans, 0, 64 * 4 * PANE, 4 * PANE, SETTINGS)


def _joint(name: str, section: Section) -> Subject:
    """A unit is the rows of a pane of two columns, whose correlation turns round."""
    joint = section.joint
    assert joint is not None
    known: dict[bytes, PaneCounts] = {}

    def counts(rows: Floats) -> PaneCounts:
        if rows.shape[1] != 2:
            return PaneCounts.empty(2)
        key = rows.tobytes()
        if key not in known:
            cells = {f"features.{name}": rows[:, i].copy() for i, name in enumerate("ab")}
            (known[key],) = fold_rows(section.grid, rows_of(dict(cells))).values()
        return known[key]

    def hear(it: JointRules, i: int, rows: Floats) -> bool:
        found = it.update(i, PANE, counts(rows), LEVEL, ())
        return found is not None and found[0] == "alarm"

    def fresh() -> JointRules:
        return JointRules(section, joint, SETTINGS.coalesce, in_events=True)

    return Subject(
        name=name,
        of=(JointRules,),
        fresh=fresh,
        hear=hear,
        save=_save,
        load=_load(fresh),
        quiet=lambda rng: _pair(0.8)(rng, PER_PANE),
        shifted=lambda rng: _pair(-0.8)(rng, PER_PANE),
        refused=(np.zeros((PER_PANE, 3)),),
        false_alarms=PER_PANE / ARL0,
        within=5,
        most_bytes=20_000,
        lead=60,
        units=800,
    )
