"""Catalogue B, and A10: a log with holes, a log that refuses, a record that cannot be folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec
import orjson
import pytest

from driftline.contracts.cloudevents import decode_signal
from driftline.errors import LogGap
from driftline.ingest.stage import IngestSettings, IngestStage, Prepared
from driftline.runtime.loop import Stalled
from driftline.runtime.stage import Batch, Folded
from faults.data import feed
from faults.oracle import assert_same, assert_true, facts, service_signals
from faults.runs import clean, survive
from faults.scenario import KILL, ROLLBACK, SNAPSHOT, STEP, TIME_OUT, Op
from faults.traps import POINTS
from faults.world import Shape, Worker, World

SMALL = Shape(max_batch=150)
CURSE = b'"id":"flights-77"'


class Cursed(IngestStage):
    """Cannot fold one record, and does not know which."""

    def fold(self, state: object, batch: Batch, prepared: Prepared) -> Folded[object]:  # type: ignore[override]
        if any(CURSE in (r.value or b"") for r in batch.records if r.offset not in batch.refuse):
            raise ArithmeticError("a defect")
        return super().fold(state, batch, prepared)  # type: ignore[arg-type, return-value]


def curse(worker: Worker) -> None:
    stage = worker.loop._stage
    stage.__class__ = Cursed if isinstance(stage, IngestStage) else stage.__class__


def dead_letters(world: World) -> list[Mapping[str, object]]:
    return [orjson.loads(r.value or b"") for r in world.log.records("deadletter", 0)]


def cursed_records() -> int:
    return sum(CURSE in m.value for m in feed().messages)


async def test_a_record_that_cannot_be_folded_goes_to_the_dead_letters_alone() -> None:
    """A10. Mutation: in `Cycle._fold_failed`, refuse the whole batch at once."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)
    worker = await world.start("ingest")
    curse(worker)
    await world.drain(sent.end)
    refused = [letter for letter in dead_letters(world) if letter["reason"] == "fold_error"]
    assert len(refused) == cursed_records() > 0
    found = facts(world)
    assert found.refused == sent.truth.refused + type(sent.truth.refused)({"fold_error": len(refused)})
    counted = found.counts["flights"]
    assert counted["predictions"] == sent.truth.predictions["flights"] - 1
    assert found.counts["prices"]["predictions"] == sent.truth.predictions["prices"]
    assert found.records == len(sent.messages)


async def test_a_record_that_cannot_be_folded_stops_its_partition_and_no_other() -> None:
    """A10, by policy: nothing is skipped, and a mended service goes on. Mutation: in `Cycle._fold_failed`, do not put
    the records back: they are lost."""
    sent = feed()
    world = World(replace(SMALL, loop=replace(SMALL.loop, on_fold_error="pause")))
    world.publish(sent.messages)
    worker = await world.start("ingest")
    curse(worker)
    for _ in range(200):
        await world.step(worker)
    ends = [world.log.bounds("events", p).end for p in (0, 1)]
    stands = [world.stands("ingest", p) for p in (0, 1)]
    (stuck,) = [p for p in (0, 1) if stands[p] != ends[p]]
    assert worker.notes.of("paused") == [("paused", stuck, "fold_error")]
    worker.loop._stage.__class__ = IngestStage
    world.clock.advance(61)
    await world.drain(sent.end)
    assert ("resumed", stuck) in worker.notes.told
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))


async def test_a_decoder_that_breaks_is_one_record_s_fault_too() -> None:
    """A10, and row 45: what it says may be the record itself, so its line is told instead. Mutations: in
    `Cycle.process`, call `prepare` outside of the `try`: the service dies of the record; tell `repr(error)`."""
    world = World(SMALL)
    world.publish(feed().messages)
    worker = await world.start("ingest")
    stage = worker.loop._stage
    assert isinstance(stage, IngestStage)
    decoder = stage._decoder
    decode = decoder.decode

    def breaks(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> object:
        if value is not None and CURSE in value:
            raise KeyError(value)
        return decode(value, headers)

    decoder.decode = breaks  # type: ignore[method-assign, assignment]
    await world.drain()
    assert [letter["reason"] for letter in dead_letters(world)].count("fold_error") == cursed_records()
    assert {error.split(":")[0] for _, _, _, error in worker.notes.of("fold_failed")} == {
        "KeyError at driftline.ingest.gather",
        "fold_error",
    }


@pytest.mark.parametrize("point", ["before_kafka_commit", "after_kafka_commit"])
async def test_a_commit_to_kafka_that_fails(point: str) -> None:
    """B14: the state is safe already. Mutation: in `Cycle.courtesy_commit`, let Transient pass."""
    ops: list[Op] = [STEP("ingest", 2), TIME_OUT("ingest", point, times=20), TIME_OUT("judge", point, times=20)]
    world = await survive(ops, SMALL)
    assert not service_signals(world)
    assert not any(worker.notes.of("released") for worker in world.workers)


async def test_a_commit_to_kafka_that_is_refused() -> None:
    """B14: UnknownMember, and we are one still. Mutation: in `Cycle.courtesy_commit`, raise Fenced at False."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)
    worker = await world.start("ingest")

    async def refuse(offsets: Mapping[int, int]) -> bool:
        return False

    worker.member.commit = refuse  # type: ignore[method-assign]
    await world.drain(sent.end)
    assert_same(facts(world), await clean(sent))


async def _stopped_at(trim: int | None) -> World:
    world = World(SMALL)
    world.publish(feed().messages)
    worker = await world.start("ingest")
    for _ in range(6):
        await world.step(worker)
    await worker.member.close()
    world.bury(worker)
    if trim is None:
        world.log.create("events", 2)
        world.publish(feed().messages[:50])
    else:
        for partition in (0, 1):
            world.log.trim("events", partition, trim)
    return world


@pytest.mark.parametrize("trim", [1_000, None])
@pytest.mark.parametrize("lost", [False, True])
async def test_records_that_are_gone_stop_us(trim: int | None, lost: bool) -> None:
    """B15: retention, or a topic created anew; also when the store is empty too. Mutation: return `recovery` from
    `Takeover._check_bounds` at once."""
    world = await _stopped_at(trim)
    if lost:
        world.wipe()
        if trim is not None:
            return  # what the ledger has needs no input log; what it lacks was never seen
    worker = await world.start("ingest")
    with pytest.raises(LogGap, match="records are missing") as gap:
        for _ in range(3):
            await world.step(worker)
    assert gap.value.found == (trim if trim is not None else world.log.bounds("events", 0).end)
    said = [decode_signal(r.value or b"", r.headers) for r in world.log.records("signals", 0)]
    assert [s.monitor for s in said][-1] == "system:gap:ingest/0"
    assert said[-1].details["found"] == gap.value.found
    assert (world.stands("ingest", 0) or 0) < 1_000


async def test_by_policy_we_go_on_behind_a_gap_aloud() -> None:
    """B15: from the earliest there is, never from the latest. Mutation: in `_check_bounds`, go on at the end."""
    world = await _stopped_at(1_000)
    world.shape = replace(
        world.shape,
        loop=replace(SMALL.loop, on_log_gap="earliest"),
        judge=replace(world.shape.judge, on_gap="continue"),
    )
    await world.quiet()
    assert service_signals(world) == {"system:gap:ingest/0": 1, "system:gap:ingest/1": 1}
    ends = [world.log.bounds("events", p).end for p in (0, 1)]
    assert [world.stands("ingest", p) for p in (0, 1)] == ends
    bundles = [msgspec.msgpack.decode(r.value or b"") for r in world.log.records("blocks", 0)]
    assert {b["source"] for b in bundles if b["first"] == 1_000} == {0, 1}
    assert max(b["next"] for b in bundles if b["first"] < 1_000) < 1_000


async def test_a_missing_bundle_stops_judge() -> None:
    """B15 of the ledger: a gap is never continued silently. Mutation: in `Ledger.take`, take what is ahead."""
    world = World(SMALL)
    world.publish(feed().messages)
    worker = await world.start("ingest")
    for _ in range(12):
        await world.step(worker)
    world.log.compact("blocks", 0, [3])
    judge = await world.start("judge")
    with pytest.raises(LogGap):
        for _ in range(4):
            await world.step(judge)


async def test_a_recovery_over_holes_of_compaction() -> None:
    """B15, B17: records of published ranges are gone meanwhile, their last ones too. Mutation: in
    `Loop._planned_batch`, wait for the range's last record."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages[:1_200])
    await world.drain()
    ends = [world.log.bounds("events", p).end for p in (0, 1)]
    world.wipe()
    for partition, end in enumerate(ends):
        world.log.compact("events", partition, [*range(140, 160), *range(end - 4, end)])
    for _ in range(2):
        await world.drain()
    assert [world.stands("ingest", p) for p in (0, 1)] == ends


async def test_an_end_of_log_that_is_no_record_is_an_end() -> None:
    """B17: a transaction's marker is last. Mutation: in `Loop._idle_batch`, ask for our own position alone: the
    partition is never idle, and holds up every watermark."""
    world = World(SMALL)
    world.publish(feed().messages[:400])
    for partition in (0, 1):
        end = world.log.append("events", partition, b"")
        world.log.compact("events", partition, [end])
    await world.drain()
    for _ in range(20):
        world.clock.advance(30)
        await world.quiet()
    bundles = [msgspec.msgpack.decode(r.value or b"") for r in world.log.records("blocks", 0)]
    assert {b["source"] for b in bundles if b["idle"]} == {0, 1}
    assert all(not w.notes.of("stalled") for w in world.workers)


async def test_a_dead_letter_topic_that_refuses_holds_the_input_up() -> None:
    """B18: nothing is dropped. Mutation: in `until_done`, raise at the first Transient: nobody waits."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)
    world.log.refused.add("deadletter")

    async def allow() -> None:
        assert not world.log.records("deadletter", 0)
        world.log.refused.clear()

    world.after_sleeps(30, allow)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))
    assert len(dead_letters(world)) == sent.truth.refused.total()


async def test_an_oversize_dead_letter_carries_size_and_hash() -> None:
    """B18. Mutation: let `dead_letter` carry payloads of any size: the broker refuses it for ever."""
    world = World(SMALL)
    world.log.max_bytes = 100_000
    world.log.append("events", 0, b"{" + b"x" * 99_000)
    await world.quiet()
    (letter,) = dead_letters(world)
    assert letter["truncated"] is True
    assert letter["payload"] is None
    assert letter["size"] == 99_001
    assert len(str(letter["sha256"])) == 64


@pytest.mark.parametrize("bound", [12_000, 60_000])
async def test_ranges_are_split_where_a_write_would_be_too_large(bound: int) -> None:
    """B18, C25: no write above the bound. Mutation: never raise Oversize."""
    shape = Shape(max_batch=500, ingest=IngestSettings(2, 2, max_write_bytes=bound))
    world = await survive([STEP("ingest", 3), KILL("ingest", "after_commit"), STEP("ingest", 2)], shape)
    assert max(len(r.value or b"") for p in (0, 1) for r in world.log.records("blocks", p)) <= bound


async def test_judge_splits_what_it_folds_too() -> None:
    """C25. Mutation: in `JudgeStage.fold`, return `batch.next` where it stopped early: bundles are lost."""
    judge = replace(Shape().judge, max_write_bytes=20_000)
    await survive([STEP("ingest", 60), STEP("judge", 3)], Shape(max_batch=150, judge_batch=200, judge=judge))


async def test_a_range_that_has_grown_too_large_is_folded_again_whole() -> None:
    """C22, B18: boundaries are the ledger's. Mutation: raise Oversize for ranges that are folded again: they are
    dead-lettered whole."""
    sent = feed(strays=False)
    shape = Shape(max_batch=500, blocks=3)
    world = World(shape)
    world.publish(sent.messages)
    await SNAPSHOT().do(world)
    await STEP("ingest", 6).do(world)
    await KILL("ingest", "in_publish", skip=1).do(world)
    await ROLLBACK().do(world)
    for worker in list(world.workers):
        world.bury(worker)
    world.shape = replace(shape, ingest=IngestSettings(2, 3, max_write_bytes=12_000))
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))


async def test_a_partition_that_is_silently_not_fetched() -> None:
    """B20: the consumer is restarted, and that mends it. Mutation: return from `Loop._watch` at once."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)
    worker = await world.start("ingest")
    worker.consumer.deaf = {1}
    for _ in range(70):
        await world.step(worker)
    assert world.stands("ingest", 1) == 0
    world.clock.advance(61)
    await world.step(worker)
    worker.consumer.deaf.clear()
    await world.drain(sent.end)
    assert [note[1] for note in worker.notes.of("stalled")] == [1]
    assert_true(facts(world), sent)


async def test_a_partition_that_stays_deaf_ends_the_process() -> None:
    """B20. Mutation: in `Loop._watch`, restart the consumer for ever."""
    world = World(SMALL)
    world.publish(feed().messages)
    worker = await world.start("ingest")
    worker.consumer.deaf = {0, 1}
    with pytest.raises(Stalled, match="nothing is fetched"):
        for _ in range(20):
            world.clock.advance(31)
            await world.step(worker)


async def test_a_broker_that_is_away_is_waited_for() -> None:
    """B13 in process: no loss, no double count. Mutation: as before."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)
    worker = await world.start("ingest")
    for _ in range(5):
        await world.step(worker)

    async def vanish() -> None:
        world.log.available = False
        world.after_sleeps(20, come_back)

    async def come_back() -> None:
        world.log.available = True

    for point in POINTS[4:9]:
        worker.traps.set(point, vanish)
        for _ in range(4):
            await world.step(worker)
    world.log.available = True
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))


async def test_a_store_that_is_away_or_full_is_waited_for() -> None:
    """C21, C25: zero loss, and it goes on by itself. Mutation: in `until_done`, end at the third attempt."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)

    async def fill() -> None:
        world.server.full = True
        world.after_sleeps(12, empty)

    async def empty() -> None:
        world.server.full = False
        world.server.available = True

    async def vanish() -> None:
        world.server.available = False
        world.after_sleeps(12, empty)

    for stage in ("ingest", "judge"):
        worker = await world.start(stage)
        for _ in range(6):
            await world.step(worker)
        for action in (fill, vanish):
            worker.traps.set("before_commit", action, skip=1)
            for _ in range(4):
                await world.step(worker)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))
    assert not service_signals(world)
