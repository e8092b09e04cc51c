"""A reference that is replaced: every pane belongs to one profile, nothing is dropped on the way, and what is judged
does not depend on who heard of the new one when, nor on order, partitions or batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from driftline.judge.stored import load_models
from driftline.registry import profile_record, reset_record
from driftline.runtime.memory_log import MemoryWriter
from driftline.stats.profile import Profile, decode_profile, in_force_from
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from faults.data import STEP_MS, T0, Message
from faults.extra import end_of, in_order, plain, signals, stream, tallies
from faults.scenario import LEAVE, STEP, play
from faults.world import Shape, World

N = 2_400
MESSAGES = stream(N)
SWITCH = T0 + 1_800 * STEP_MS // 60_000 * 60_000
DETECTION = DetectionSettings(min_reference_panes=16)


def other_reference(world: World, start: int) -> Profile:
    """Learnt from a file, say: bins and lengths of panes are others, and amounts were 2 higher."""
    rng = np.random.default_rng(7)
    n = 4_000
    rows = Rows(
        np.arange(n, dtype=np.int64) * 250,
        np.arange(n, dtype=np.uint64),
        {
            "features.amount": Column(rng.normal(2.0, 1.0, n)),
            "features.age": Column(rng.integers(18, 90, n).astype(np.float64)),
        },
    )
    last = max((decode_profile(r.value or b"") for r in world.log.records("profiles", 0)), key=lambda p: p.revision)
    section = learn_section("predictions", rows, 30_000, DETECTION)
    made = replace_section(last, section)
    return in_force_from(made, last.revision + 1, start)


def replace_section(profile: Profile, section: Section) -> Profile:
    return msgspec.structs.replace(profile, predictions=section, pairs=None, pane_ms=30_000, source="training")


async def pinned(shape: Shape, messages: list[Message], first: int, *, leave: bool = False) -> World:
    """`first` messages of each partition's share are folded and judged before the new reference is published, which
    is after that of the first events and before any event of its own time is read."""
    world = World(shape)
    world.publish(messages[:first])
    await world.quiet()
    profile = other_reference(world, SWITCH)
    await MemoryWriter(world.log).publish([profile_record("profiles", profile)])
    world.publish(messages[first:])
    if leave:
        await play(world, [op for _ in range(12) for s in ("ingest", "judge") for op in (STEP(s, 1), LEAVE(s))])
    await world.drain(end_of(N))
    return world


def judged(world: World) -> tuple[dict[str, bytes], list[tuple[str, str, int, str]]]:
    """Detectors and profiles as they are stored; what was said, and of when."""
    held: dict[str, bytes] = {}
    for fields in world.fields("judge").values():
        held |= {name: data for name, data in fields.items() if name[:2] in ("d:", "p:", "q:")}
    return held, [(s.monitor, s.state, s.time, s.id) for s in signals(world)]


def counted(world: World) -> tuple[int, int]:
    """(rows judged by the monitors now in force, rows that no profile would take)."""
    total = 0
    for fields in world.fields("judge").values():
        for model in load_models(fields, DETECTION)[0].values():
            if model.model == "m" and model.monitors is not None:
                window = model.monitors.streams["predictions"].windows.covering(0)
                assert window is not None
                total += int(window.counts[0].sum())
    said = tallies(world, "m")
    return total, said["stale_grid"] + said["late"]


BEFORE = 1_700
CLEAN: list[World] = []


async def clean() -> World:
    if not CLEAN:
        CLEAN.append(await pinned(Shape(), MESSAGES, BEFORE))
    return CLEAN[0]


def shuffled(seed: int) -> list[Message]:
    rng = np.random.default_rng(seed)
    due = rng.uniform(-1_500, 1_500, len(MESSAGES))
    return in_order([replace(m, due=m.due + float(moved)) for m, moved in zip(MESSAGES, due, strict=True)])


async def test_every_event_after_the_switch_is_judged_by_the_new_reference_and_none_is_dropped() -> None:
    """Mutation: in `ModelState._add_binned`, take the blocks of the profile in force alone."""
    world = await clean()
    after = sum(1 for i in range(N) if T0 + i * STEP_MS >= SWITCH)
    assert counted(world) == (after, 0)
    said = [s for s in signals(world) if s.monitor == "features.amount:distribution"]
    assert [s.state for s in said] == ["alarm"]
    assert said[0].onset is not None and SWITCH <= said[0].onset <= SWITCH + 60_000
    assert not tallies(world, "m")["stale_grid"]


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 1_000),
    partitions=st.sampled_from([1, 2, 3, 5]),
    max_batch=st.integers(20, 80),
    judge_batch=st.integers(1, 50),
    before=st.integers(1_450, 1_750),
    leave=st.booleans(),
)
async def test_when_the_new_reference_is_heard_of_does_not_matter(
    seed: int, partitions: int, max_batch: int, judge_batch: int, before: int, leave: bool
) -> None:
    """Mutation: in `_by_epoch`, give all events to the last profile."""
    shape = Shape(partitions=partitions, max_batch=max_batch, judge_batch=judge_batch)
    world = await pinned(shape, shuffled(seed), before, leave=leave)
    assert counted(world) == counted(await clean())
    assert judged(world) == judged(await clean())


def _without_place(i: int, rng: np.random.Generator) -> dict[str, Any]:
    made = plain(i, rng)
    if i >= 1_300:
        del made["place"]
    return made


async def test_alarms_of_rules_end_with_the_reference_they_were_judged_by() -> None:
    """The new one knows no place. Mutation: in `_hand_over`, close what `describe` lists alone."""
    world = await pinned(Shape(), stream(N, _without_place), BEFORE)
    said = [(s.state, s.time) for s in signals(world) if s.monitor == "features.place:schema"]
    assert [state for state, _ in said] == ["alarm", "resolved"]
    assert said[0][1] < said[1][1] == SWITCH


async def test_a_store_that_comes_back_empty_judges_each_time_by_its_own_reference() -> None:
    """Mutation: in `ModelState.follow`, adopt the last of the epochs at once."""
    world = await pinned(Shape(), MESSAGES, BEFORE)
    expected = judged(world)
    for stage in ("ingest", "judge"):
        await play(world, [LEAVE(stage)])
    world.wipe()
    await world.drain()
    held, said = judged(world)
    assert held == expected[0]
    assert {x for x in said if not x[0].startswith("system:")} == {
        x for x in expected[1] if not x[0].startswith("system:")
    }
    assert counted(world)[1] == 0


@pytest.mark.parametrize("late", [0, 60])
async def test_a_range_binned_without_knowledge_of_the_switch_is_judged_by_the_former(late: int) -> None:
    """Pinned too late by hand: events of its time are folded, not judged yet. Mutation: as in the first."""
    world = World(Shape(partitions=1))
    upto = (SWITCH - T0) // STEP_MS + late
    world.publish(MESSAGES[:upto])
    await world.quiet()
    await MemoryWriter(world.log).publish([profile_record("profiles", other_reference(world, SWITCH))])
    world.publish(MESSAGES[upto:])
    await world.drain(end_of(N))
    said = tallies(world, "m")
    assert said["stale_grid"] == 0
    assert counted(world)[0] == N - upto


def _twice_drifted(i: int, rng: np.random.Generator) -> dict[str, Any]:
    moved = 3.0 if 1_250 < i < 1_600 or i > 3_400 else 0.0
    return {"amount": float(rng.normal(moved)), "age": float(rng.integers(18, 90)), "place": "home"}


async def test_numbers_of_signals_go_on_after_a_reset_and_a_lost_store() -> None:
    """The alarm of the former life is not said again, and its number not given to another. Mutation: in
    `JudgeStage.recover`, ask for what was said only where the log does not begin at 0."""
    n = 3_900
    messages = stream(n, _twice_drifted)
    world = World(Shape(max_batch=60))
    world.publish(messages[:1_600])
    await world.quiet()
    assert [s.state for s in signals(world) if s.monitor == "features.amount:distribution"] == ["alarm"]
    await MemoryWriter(world.log).publish([reset_record("profiles", "m", "1", 1)])
    world.publish(messages[1_600:])
    await world.drain(end_of(n))
    for stage in ("ingest", "judge"):
        await play(world, [LEAVE(stage)])
    world.wipe()
    await world.drain()
    bodies: dict[str, set[tuple[str, int]]] = {}
    for signal in signals(world):
        bodies.setdefault(signal.id, set()).add((signal.sentence, signal.time))
    assert all(len(body) == 1 for body in bodies.values()), bodies
