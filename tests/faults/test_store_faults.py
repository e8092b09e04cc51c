"""Catalogue C: a store that forgets, answers late, or gives back other bytes than it was given."""

from __future__ import annotations

import msgspec
import pytest

from driftline.errors import StateTooNew
from driftline.runtime.store import Slot
from driftline.stats.codec import pack, unpack
from faults.data import T0, Message, encode, feed
from faults.oracle import assert_same, assert_true, facts, service_signals
from faults.runs import clean, survive
from faults.scenario import KILL, ROLLBACK, SNAPSHOT, STEP, TIME_OUT, WIPE, Op
from faults.traps import kill
from faults.world import STAGES, Shape, StageName, World

SMALL = Shape(max_batch=150)
HOMELY = feed(strays=False)
"""While a lost memory is being rebuilt, a copy of an event that lies on another partition than the first is counted
where it comes first. All else is exact, so these runs have no such copies."""


@pytest.mark.parametrize("steps", [1, 3, 12])
async def test_a_restart_that_loses_the_last_second(steps: int) -> None:
    """C22: state, offset and join memory go back together. Mutation: in `IngestStage.recover`, plan no ranges."""
    ops: list[Op] = [STEP("ingest", 2), STEP("judge"), SNAPSHOT(), STEP("ingest", steps), STEP("judge"), ROLLBACK()]
    world = await survive([*ops, STEP("ingest"), STEP("judge", 2)], SMALL, HOMELY)
    assert any(name.startswith("system:state_lost:ingest") for name in service_signals(world))


async def test_two_restarts_that_lose_the_same_seconds() -> None:
    """C22: what was folded again is not published again: copies without pairs would lie where the next recovery
    looks. Mutation: in `IngestStage._bundles`, make a bundle for every partition, whoever holds one."""
    before: list[Op] = [STEP("ingest"), SNAPSHOT(), STEP("ingest", 10), STEP("judge", 2), ROLLBACK()]
    world = await survive([*before, STEP("ingest", 6), ROLLBACK(), STEP("ingest", 4), ROLLBACK()], SMALL, HOMELY)
    assert {partition: _copies(world, partition) for partition in (0, 1)} == {0: 0, 1: 0}


def _copies(world: World, partition: int) -> int:
    bundles = [msgspec.msgpack.decode(r.value or b"") for r in world.log.records("blocks", partition)]
    ranges = [(b["source"], b["first"], b["next"]) for b in bundles if not b["idle"]]
    return len(ranges) - len(set(ranges))


@pytest.mark.parametrize("at", ["after_commit", "in_publish", "before_publish"])
async def test_a_machine_that_takes_store_and_worker_with_it(at: str) -> None:
    """C22: the range was published in part or not at all, and the store has forgotten it. Mutation: in
    `IngestStage.fold`, leave out the pairs of a range that is folded again also where nobody holds them."""
    ops: list[Op] = [STEP("ingest", 2), SNAPSHOT(), STEP("ingest"), KILL("ingest", at, skip=1), ROLLBACK()]
    await survive([*ops, STEP("judge")], Shape(blocks=3, max_batch=150), HOMELY)


async def test_the_store_forgets_between_join_and_write() -> None:
    """C22: the offsets fit, and yet the halves are gone. Mutation: give `_write` no `after`: pairs are lost."""
    world = World(SMALL)
    world.publish(HOMELY.messages)
    worker = await world.start("ingest")
    for _ in range(3):
        await world.step(worker)
    world.snapshot()

    async def forget() -> None:
        world.rollback()

    worker.traps.set("after_join", forget)
    await world.drain(HOMELY.end)
    found = facts(world)
    assert_true(found, HOMELY)
    assert_same(found, await clean(HOMELY))
    assert worker.notes.of("state_lost")


@pytest.mark.parametrize("quiet", [False, True])
async def test_a_pair_that_waits_for_the_next_range_is_published_once(quiet: bool) -> None:
    """C22: a published prediction meets, when it is folded again, an outcome that was read meanwhile; the pair goes
    out with the next range, an idle one if there is no other, and another loss does not repeat it. Mutation: in
    `IngestStage.recover`, keep the carried pairs that the ledger has."""
    world = World(SMALL)

    def prediction(i: int) -> Message:
        event = {"type": "prediction", "id": f"e{i}", "model": "m", "version": "1", "time": T0 + i, "prediction": 1}
        return Message("=0", 0.0, encode(event))

    truth = [
        {"type": "outcome", "id": f"e{i}", "model": "m", "time": T0 + 9_000 + i, "outcome": 1} for i in range(5)
    ]
    world.publish([prediction(i) for i in range(5)])
    first = await world.start("ingest")
    for _ in range(3):
        await world.step(first)
    other = await world.start("ingest")
    world.wipe()
    world.publish([Message("=1", 0.0, encode(event)) for event in truth])
    for _ in range(4):
        await world.step(other)
    for _ in range(4):
        await world.step(first)
    assert world.stands("ingest", 0) == 5
    world.snapshot()
    if quiet:
        first.traps.set("after_publish", kill)  # whoever follows publishes the empty range a second time
    else:
        world.publish([prediction(9)])
    await world.drain()
    world.rollback()
    world.publish([prediction(10)])
    await world.drain()
    found = facts(world)
    assert found.counts["m"]["predictions"] == 6 + (not quiet)
    assert found.counts["m"]["outcomes_joined"] == 5
    assert found.judged["m"]["outcomes_joined"] == 5


@pytest.mark.parametrize("steps", [4, 9, 40])
async def test_an_empty_store(steps: int) -> None:
    """C23: noticed, said, rebuilt, and no alarm from warming up. Mutation: at StateLost, release the partition
    without taking it over anew."""
    ops: list[Op] = [STEP("ingest", steps), STEP("judge", steps), WIPE(), STEP("ingest", 2), STEP("judge", 2)]
    world = await survive(ops, SMALL, HOMELY)
    said = service_signals(world)
    assert {"system:state_lost:ingest/0", "system:state_lost:ingest/1"} <= said.keys()
    assert {"system:state_lost:judge/0", "system:state_lost:judge/1"} <= said.keys()


async def test_an_empty_store_while_nobody_runs() -> None:
    """C23. Mutation: in `Takeover.acquire`, do not ask what the group has committed: nobody says that state is lost."""
    world = World(SMALL)
    world.publish(HOMELY.messages)
    await world.drain()
    for worker in list(world.workers):
        await worker.member.close()
        world.bury(worker)
    world.wipe()
    await world.drain(HOMELY.end)
    found = facts(world)
    assert_true(found, HOMELY)
    assert_same(found, await clean(HOMELY))
    assert set(service_signals(world)) == {f"system:state_lost:{stage}/{p}" for stage in STAGES for p in (0, 1)}


async def test_who_has_not_noticed_leaves_nothing_in_an_empty_store() -> None:
    """C23, A5: a second outcome that is read before its pair is rebuilt would make another pair. Mutation: make no
    claim before `prepare`."""
    world = World(SMALL)
    made = {"type": "prediction", "id": "e", "model": "m", "version": "1", "time": T0, "prediction": 1}
    truth = {"type": "outcome", "id": "e", "model": "m", "time": T0 + 1_000, "outcome": 1}
    world.publish([Message("=0", 0.0, encode(event)) for event in (made, truth)])
    await world.quiet()
    world.wipe()
    world.publish([Message("=0", 0.0, encode({**truth, "outcome": 0}))])
    await world.drain()
    found = facts(world)
    assert found.counts["m"]["outcomes_joined"] == 1
    assert found.counts["m"]["duplicate_outcomes"] == 1


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "before_join", "after_join"])
@pytest.mark.parametrize("times", [1, 4])
async def test_a_call_that_times_out(point: str, times: int) -> None:
    """C27: whether it had happened or not. Mutation: in `MemoryStore.commit`, do not answer REPEATED."""
    ops: list[Op] = [STEP("ingest", 2), TIME_OUT("ingest", point, skip=1, times=times), STEP("judge", 2)]
    if "join" not in point:
        ops.append(TIME_OUT("judge", point, times=times))
    world = await survive(ops, SMALL)
    assert not service_signals(world)


async def _interrupted(steps: int = 40) -> World:
    """A world in mid-stream whose workers have left in order."""
    world = World(SMALL)
    world.publish(HOMELY.messages)
    for stage in STAGES:
        worker = await world.start(stage)
        for _ in range(steps):
            await world.step(worker)
        await worker.member.close()
        world.bury(worker)
    return world


def _damage(data: bytes, how: str) -> bytes:
    return {"cut": data[:-1], "flipped": data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], "empty": b""}[how]


@pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
async def test_a_ledger_that_cannot_be_read_is_counted_anew(how: str) -> None:
    """C28. Mutation: in `JudgeStage.load`, go on with an empty ledger and the models as they are."""
    world = await _interrupted()
    for partition in (0, 1):
        fields = world.server.contents.slots[Slot("judge", partition)].fields
        fields["ledger"] = _damage(fields["ledger"], how)
    await world.drain(HOMELY.end)
    found = facts(world)
    assert_true(found, HOMELY)
    assert_same(found, await clean(HOMELY))
    assert service_signals(world)["system:state_lost:judge/0"] == 1


@pytest.mark.parametrize("stage", STAGES)
async def test_an_outbox_that_cannot_be_read_sends_us_to_the_log(stage: StageName) -> None:
    """C28. Mutation: in `Takeover.acquire`, take a corrupt outbox for an empty one: its range is never published."""
    world = World(SMALL)
    world.publish(HOMELY.messages)
    worker = await world.start("ingest")
    for _ in range(60 if stage == "judge" else 4):
        await world.step(worker)
    if stage == "judge":
        worker = await world.start("judge")

    async def corrupt() -> None:
        for slot, record in world.server.contents.slots.items():
            if slot.stage == stage and record.outbox:
                record.outbox = record.outbox[:-1]

    worker.traps.set("before_publish", corrupt)
    await KILL(stage, "before_publish").do(world)
    await world.drain(HOMELY.end)
    found = facts(world)
    assert_true(found, HOMELY)
    assert_same(found, await clean(HOMELY))


@pytest.mark.parametrize("prefix", ["m:", "d:", "p:", "r:"])
async def test_a_part_of_a_model_that_cannot_be_read_costs_that_model_alone(prefix: str) -> None:
    """C28: the other model's verdicts are a clean run's. Mutation: raise in `load_models` at the first broken field."""
    world = await _interrupted(8 if prefix == "r:" else 40)
    broken = None
    for partition in (0, 1):
        fields = world.server.contents.slots[Slot("judge", partition)].fields
        for name in sorted(fields):
            if name.startswith(prefix) and broken is None:
                fields[name] = _damage(fields[name], "flipped")
                broken = (partition, name)
    assert broken is not None
    partition, name = broken
    await world.drain(HOMELY.end)
    found, expected = facts(world), await clean(HOMELY)
    assert found.counts == expected.counts
    assert world.server.contents.quarantine[Slot("judge", partition)]
    digest = name.split(":")[1]
    others = {n: data for n, data in expected.detectors.items() if digest not in n}
    assert others
    assert {n: found.detectors[n] for n in others} == others


async def test_the_state_of_ingest_that_cannot_be_read() -> None:
    """C28. Mutation: let StateCorrupt pass in `IngestStage.load`: the service cannot start."""
    world = await _interrupted()
    for partition in (0, 1):
        fields = world.server.contents.slots[Slot("ingest", partition)].fields
        fields["state"] = _damage(fields["state"], "flipped")
    await world.drain(HOMELY.end)
    found = facts(world)
    assert_true(found, HOMELY)
    assert_same(found, await clean(HOMELY))
    assert [name for name, _ in world.server.contents.quarantine[Slot("ingest", 0)]] == ["state"]


@pytest.mark.parametrize("stage", STAGES)
async def test_the_state_of_a_newer_version_is_refused_and_kept(stage: StageName) -> None:
    """C28. Mutation: catch StateTooNew with StateCorrupt in `load`: the newer state is overwritten."""
    world = await _interrupted()
    fields = world.server.contents.slots[Slot(stage, 0)].fields
    name = "state" if stage == "ingest" else "ledger"
    fields[name] = newer = _newer(fields[name], "ingest" if stage == "ingest" else "ledger")
    worker = await world.start(stage)
    with pytest.raises(StateTooNew):
        for _ in range(3):
            await world.step(worker)
    assert world.fields(stage)[0][name] == newer


def _newer(data: bytes, kind: str) -> bytes:
    return pack(kind, 99, unpack(kind, 1, data)[1])
