"""Rolling references, and those of a predecessor: learnt when nothing is wrong, left alone, aloud, when it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from driftline.judge.rebaseline import Rolling
from driftline.stats.limit_rules import LimitRule
from driftline.stats.profile import Profile, decode_profile
from faults.data import STEP_MS, T0, Message
from faults.extra import end_of, prediction, sent, signals, stream
from faults.world import Shape, World

N = 4_800
EVERY = 300_000
ROLLING = Rolling(every_ms=EVERY, window_ms=640_000, max_evidence=0.5, max_distance=0.1)


def shape(rolling: Rolling = ROLLING, **other: Any) -> Shape:
    base = Shape(max_batch=60)
    return replace(base, judge=replace(base.judge, rolling=rolling), **other)


def profiles(world: World, version: str = "1") -> list[Profile]:
    read = [decode_profile(r.value) for r in world.log.records("profiles", 0) if r.value is not None]
    return sorted((p for p in read if (p.model, p.version) == ("m", version)), key=lambda p: p.revision)


def kept(world: World) -> list[str]:
    return [s.sentence for s in signals(world) if s.monitor == "system:rolling"]


async def run(messages: list[Message], shape: Shape, n: int = N) -> World:
    world = World(shape)
    world.publish(messages)
    await world.drain(end_of(n))
    return world


def drifting(at: int, by: float, to: int = 10**9) -> Any:
    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        moved = by if at <= i < to else 0.0
        return {"amount": float(rng.normal(moved)), "age": float(rng.integers(18, 90)), "place": "home"}

    return features


async def test_a_quiet_model_gets_a_new_reference_from_its_last_events() -> None:
    """Mutation: in `roll`, take the sections of the profile in force as they are."""
    world = await run(stream(N, drifting(N, 0.0)), shape())
    first, *rolled = profiles(world)
    assert first.source == "first_events"
    assert [p.source for p in rolled] == ["rolling"] * len(rolled) != []
    for profile in rolled:
        assert profile.parent == first.id
        assert profile.judged_from % 10_000 == 0
        assert profile.predictions.grid.id == first.predictions.grid.id
        assert profile.predictions.end == profile.judged_from
        assert profile.predictions.columns != first.predictions.columns
    assert not [s for s in signals(world) if s.state == "alarm"]


@pytest.mark.parametrize(("max_batch", "partitions"), [(400, 3), (23, 1)])
async def test_what_is_learnt_does_not_depend_on_batches_or_partitions(max_batch: int, partitions: int) -> None:
    """Mutation: in `Learner._roll`, roll without judging up to the boundary first."""
    messages = stream(N, drifting(3_000, 0.15))
    one = await run(messages, shape())
    other = await run(messages, replace(shape(), max_batch=max_batch, partitions=partitions, judge_batch=1))
    assert [p.id for p in profiles(other)] == [p.id for p in profiles(one)]
    assert kept(other) == kept(one)


async def test_drift_is_not_learnt_while_it_is_in_alarm() -> None:
    """Mutation: leave `_loud` out of `roll`."""
    world = await run(stream(N, drifting(2_600, 1.0)), shape())
    assert any("is in alarm" in sentence for sentence in kept(world))
    assert all(p.judged_from < T0 + 2_700 * STEP_MS for p in profiles(world))


async def test_evidence_short_of_an_alarm_is_enough_to_wait() -> None:
    """Mutation: leave the comparison with `max_evidence` out of `_loud`."""
    world = await run(stream(N, drifting(2_600, 0.25)), shape(replace(ROLLING, max_evidence=1e-6)))
    assert any("of the evidence it takes to alarm" in sentence for sentence in kept(world))


async def test_no_further_than_allowed_from_the_first_reference() -> None:
    """Mutation: leave `_too_far` out of `roll`."""
    world = await run(stream(N, drifting(N, 0.0)), shape(replace(ROLLING, max_distance=0.0001)))
    assert any("0.0001 is allowed: pin a new reference" in sentence for sentence in kept(world))
    assert len(profiles(world)) == 1


def together(of_the_time: Callable[[int], float]) -> Any:
    """Three amounts, of which the first two correlate."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        rho, (x, y, z) = of_the_time(i), rng.normal(size=3)
        return {"a": float(x), "b": float(rho * x + (1.0 - rho * rho) ** 0.5 * y), "c": float(z)}

    return features


async def test_what_columns_do_together_is_learnt_anew_and_a_flip_is_found_by_it() -> None:
    """Mutation: `joint=None` in `relearn_section`."""
    world = await run(stream(N, together(lambda i: 0.8 if i < 4_000 else -0.8)), shape())
    rolled = [p for p in profiles(world) if p.source == "rolling"]
    joint = [p.predictions.joint for p in rolled]
    assert joint and all(found is not None and found.from_sums and not found.why_not for found in joint)
    (said,) = [s for s in signals(world) if s.monitor == "features:joint"]
    assert said.state == "alarm" and rolled[-1].judged_from < said.time < T0 + 4_200 * STEP_MS
    assert said.profile == rolled[-1].id


async def test_no_reference_is_learnt_while_columns_go_together_otherwise() -> None:
    """Mutations: no `JOINT` in `_loud`; in `Book.note`, no trouble where the monitor is this one."""
    flipped = stream(2 * N, together(lambda i: -0.8 if 2_600 <= i < 4_400 else 0.8))
    world = await run(flipped, shape(replace(ROLLING, window_ms=1_280_000, max_distance=1.0)), 2 * N)
    said = [s for s in signals(world) if s.monitor == "features:joint"]
    assert [s.state for s in said] == ["alarm", "resolved"]
    assert any("features:joint is in alarm" in sentence for sentence in kept(world))
    rolled = [p for p in profiles(world) if p.source == "rolling"]
    assert not [p for p in rolled if T0 + 2_700 * STEP_MS < p.judged_from <= said[1].time]
    first, later = profiles(world)[0].predictions.joint, [p for p in rolled if p.judged_from > said[1].time]
    assert first is not None and later
    for learnt in (profile.predictions.joint for profile in later):
        assert learnt is not None
        for before, after in zip(first.witnesses, learnt.witnesses, strict=True):
            assert abs(after.mu - before.mu) < 0.1


async def test_a_correlation_that_creeps_is_not_followed_for_ever() -> None:
    """No monitor has much evidence at any time. Mutation: leave `_too_far_together` out of `roll`."""
    creeping = together(lambda i: 0.9 - 0.9 * i / (2 * N))
    rolling = replace(ROLLING, max_evidence=1.0)
    base = shape(rolling)
    deaf = msgspec.structs.replace(base.judge.detection, arl0_days=36_000.0, min_effect_sd=0.6)
    world = await run(stream(2 * N, creeping), replace(base, judge=replace(base.judge, detection=deaf)), 2 * N)
    assert any("do together is 0." in sentence and "0.1 is allowed" in sentence for sentence in kept(world))
    first, *rolled = profiles(world)
    joint = first.predictions.joint
    assert joint is not None and rolled
    for profile in rolled:
        learnt = profile.predictions.joint
        assert learnt is not None
        for before, after in zip(joint.witnesses, learnt.witnesses, strict=True):
            assert abs(after.mu - before.mu) < 0.5 * before.sigma


async def test_what_speaks_against_a_limit_outlasts_a_reference() -> None:
    """Else one that is learnt anew every day would hide a limit that is broken by little, and tell of every other anew.

    Mutation: no limits in `ModelMonitors.succeeded`."""
    limit = LimitRule(metric="share_above", column="features.amount", value=0.0, at_most=0.41)
    plain = shape()
    detection = msgspec.structs.replace(plain.judge.detection, limits=(limit,))
    messages = stream(N, drifting(N, 0.0))
    world = await run(messages, replace(plain, judge=replace(plain.judge, detection=detection)))
    (said,) = [s for s in signals(world) if s.monitor == limit.monitor]
    assert said.state == "alarm"
    assert [p.revision for p in profiles(world) if p.judged_from < said.time] == [1, 2]


async def test_spans_of_an_alarm_are_left_out() -> None:
    """An alarm that has come and gone, with no bound on how far references go."""
    world = await run(
        stream(2 * N, drifting(1_800, 3.0, to=3_000)), shape(replace(ROLLING, max_distance=1.0)), 2 * N
    )
    states = [s.state for s in signals(world) if s.monitor == "features.amount:distribution"]
    assert states[:2] == ["alarm", "resolved"]
    rolled = [p for p in profiles(world) if p.source == "rolling" and p.judged_from > T0 + 3_000 * STEP_MS]
    assert rolled
    for profile in rolled:
        amount = next(c for c in profile.predictions.columns if c.name == "features.amount")
        mean = next(w for w in amount.witnesses if w.form == "mean")
        assert abs(mean.mu) < 0.2


def two_versions(moved: float) -> list[Message]:
    """Version 2 takes over at half of the time."""
    rng = np.random.default_rng(3)
    made = []
    for i in range(N):
        version = "1" if i < N // 2 else "2"
        amount = float(rng.normal(moved if version == "2" else 0.0))
        made.append(sent({**prediction("m", i, {"amount": amount, "place": "home"}), "version": version}))
    return made


@pytest.mark.parametrize("moved", [0.0, 1.5])
async def test_a_new_version_is_judged_by_its_predecessor_until_it_has_its_own(moved: float) -> None:
    """Mutation: in `_binning`, bin on a provisional profile."""
    base = Shape(max_batch=60)
    world = await run(two_versions(moved), replace(base, judge=replace(base.judge, new_version="previous_version")))
    first, own = profiles(world, "2")
    assert (first.source, first.provisional, first.parent) == ("previous_version", True, profiles(world)[0].id)
    assert (own.source, own.provisional) == ("first_events", False)
    assert own.judged_from > first.judged_from == (T0 + N // 2 * STEP_MS) // 10_000 * 10_000
    said = [s for s in signals(world) if s.version == "2" and s.monitor == "features.amount:distribution"]
    assert [s.state for s in said] == (["alarm", "resolved"] if moved else [])
    if moved:
        assert said[0].time < own.judged_from == said[1].time
        assert "is in force" in said[1].sentence


def two_models(rho: float) -> list[Message]:
    """Version 2 predicts from another column; the first two correlate by .8, and with it by `rho`."""
    rng = np.random.default_rng(4)
    drawn = together(lambda i: rho if i >= N // 2 else 0.8)
    made = []
    for i in range(N):
        second, features = i >= N // 2, drawn(i, rng)
        said = {"prediction": bool(features["c" if second else "a"] > 0.0), "version": "2" if second else "1"}
        made.append(sent(prediction("m", i, features, **said)))
    return made


@pytest.mark.parametrize("rho", [0.8, -0.8])
@pytest.mark.parametrize("spans", [640_000, 640_000_000])
async def test_what_features_do_together_is_inherited_but_not_what_the_prediction_does(
    spans: int, rho: float
) -> None:
    """Of spans of the predecessor, or where they are too long, of its reference.

    Mutation: in `inherited`, leave the joint monitor as it is."""
    base = shape(Rolling(window_ms=spans))
    world = await run(two_models(rho), replace(base, judge=replace(base.judge, new_version="previous_version")))
    first, own = profiles(world, "2")
    joint = first.predictions.joint
    assert joint is not None and not joint.why_not and joint.from_sums == (spans == 640_000)
    asked = [names for w, names in zip(joint.witnesses, joint.groups, strict=True) if w.up or w.down]
    assert asked and not [names for names in asked if "prediction" in names]
    said = [s for s in signals(world) if s.version == "2" and s.state == "alarm"]
    if rho < 0.0:
        assert [s.monitor for s in said] == ["features:joint"]
        assert first.judged_from < said[0].time < own.judged_from
    else:
        assert said == []


async def test_training_waits_for_a_reference() -> None:
    base = Shape(max_batch=60)
    world = await run(stream(2_400), replace(base, judge=replace(base.judge, new_version="training")), 2_400)
    assert profiles(world) == []
