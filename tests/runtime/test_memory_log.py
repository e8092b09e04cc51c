"""What the log in memory can do beyond the contract: retention, holes, new topics, sleepers, absence."""

from __future__ import annotations

import pytest

from driftline.clock import ManualClock
from driftline.errors import LogGap, Misconfigured, PublishRefused, Transient
from driftline.runtime.log import Bounds, Outgoing
from driftline.runtime.memory_group import MemoryConsumer, MemoryGroup
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter
from runtime.test_group_contract import Member


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog(ManualClock(5_000), {"events": 2})
    for i in range(10):
        made.append("events", 0, b"%d" % i)
    return made


async def member(group: MemoryGroup, start: int | None = 0) -> Member:
    made = Member(MemoryConsumer(group), start)
    await made.consumer.start(made)
    return made


def test_records_carry_the_logs_append_time() -> None:
    clock = ManualClock(1_000)
    log = MemoryLog(clock, {"events": 1})
    log.append("events", 0, b"a")
    clock.advance(2.5)
    log.append("events", 0, b"b")
    assert [(r.timestamp, r.timestamp_type) for r in log.records("events", 0)] == [(1_000, 1), (3_500, 1)]


async def test_retention_and_compaction(log: MemoryLog) -> None:
    log.trim("events", 0, 4)
    log.compact("events", 0, [5, 6])
    reader = MemoryReader(log)
    assert await reader.bounds("events") == {0: Bounds(4, 10), 1: Bounds(0, 0)}
    assert [r.offset for r in await reader.read("events", 0, 0, 9)] == [4, 7, 8]
    one = await member(MemoryGroup(log, "events"), start=0)
    with pytest.raises(LogGap, match="offset 0 is wanted, 4 is the next"):
        await one.step()
    one.consumer.seek(0, 4)
    for _ in range(3):
        one.read += (await one.consumer.poll(2, 0)).get(0, [])
    assert one.offsets(0) == [4, 7, 8, 9]


async def test_a_recreated_topic_is_shorter_than_the_position(log: MemoryLog) -> None:
    """B15. Mutation: compare only with the beginning in `_take`: the poll is silently empty."""
    one = await member(MemoryGroup(log, "events"), start=0)
    await one.step()
    log.create("events", 2)
    with pytest.raises(LogGap, match="offset 10 is wanted"):
        await one.step()


async def test_a_sleeper_is_expelled_and_rejoins(log: MemoryLog) -> None:
    """A5. Mutation: leave the sleeper among the members in `expel`: its commit is taken."""
    group = MemoryGroup(log, "events")
    sleeper, other = await member(group), await member(group)
    await sleeper.step()
    assert sleeper.consumer.assigned() == {0} and len(sleeper.read) == 10
    assert isinstance(sleeper.consumer, MemoryConsumer)
    group.expel(sleeper.consumer)
    await other.step()
    assert other.consumer.assigned() == {0, 1}
    assert sleeper.told == [("assigned", frozenset({0}))]
    assert not await sleeper.consumer.commit({0: 10})
    log.append("events", 0, b"later")
    assert await sleeper.consumer.poll(10, 0) == {}
    await group.rejoin(sleeper.consumer)
    await other.step()
    assert sleeper.told[1:] == [("revoked", frozenset({0})), ("assigned", frozenset({1}))]


async def test_without_auto_a_rebalance_waits_to_be_asked_for(log: MemoryLog) -> None:
    group = MemoryGroup(log, "events", auto=False)
    one = await member(group)
    await one.step()
    assert one.told == []
    await group.rebalance()
    await one.step()
    assert len(one.read) == 10
    log.extend("events", 3)
    await group.rebalance()
    assert one.consumer.assigned() == {0, 1, 2}


async def test_polls_take_turns(log: MemoryLog) -> None:
    for i in range(10):
        log.append("events", 1, b"%d" % i)
    one = await member(MemoryGroup(log, "events"))
    for _ in range(2):
        one.read += [r for records in (await one.consumer.poll(5, 0)).values() for r in records]
    assert len(one.offsets(0)) == len(one.offsets(1)) == 5


async def test_a_broker_that_is_away(log: MemoryLog) -> None:
    one = await member(MemoryGroup(log, "events"))
    log.available = False
    assert await one.consumer.poll(10, 0) == {}
    for call in (
        MemoryWriter(log).publish([Outgoing("events", 0, None, b"v")]),
        MemoryReader(log).read("events", 0, 0, 1),
        one.consumer.commit({0: 1}),
        one.consumer.bounds(0),
    ):
        with pytest.raises(Transient):
            await call
    log.available = True
    await one.step()
    assert len(one.read) == 10


async def test_refusals(log: MemoryLog) -> None:
    log.refused.add("events")
    with pytest.raises(PublishRefused, match="no right"):
        await MemoryWriter(log).publish([Outgoing("events", 0, None, b"v")])
    log.refused.clear()
    with pytest.raises(Transient, match="no partition 2"):
        await MemoryWriter(log).publish([Outgoing("events", 2, None, b"v")])
    log.delete("events")
    with pytest.raises(Misconfigured):
        await MemoryReader(log).partitions("events")
