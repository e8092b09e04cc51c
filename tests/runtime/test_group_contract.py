"""What every consumer group does, in memory and on Kafka: eager rebalancing, nothing fetched that nobody seeked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import pytest

from driftline.errors import Fenced, Misconfigured
from driftline.runtime.log import Bounds, GroupConsumer, Outgoing, Record
from runtime.logs import LogBench
from support.servers import unique


class Member:
    """A listener that seeks every partition to `start` (or none, if it is None) and notes what it is told."""

    def __init__(self, consumer: GroupConsumer, start: int | None = 0) -> None:
        self.consumer = consumer
        self.start = start
        self.told: list[tuple[str, frozenset[int]]] = []
        self.read: list[Record] = []

    async def on_revoked(self, partitions: Collection[int]) -> None:
        self.told.append(("revoked", frozenset(partitions)))

    async def on_assigned(self, partitions: Collection[int]) -> None:
        self.told.append(("assigned", frozenset(partitions)))
        if self.start is not None:
            for partition in partitions:
                self.consumer.seek(partition, self.start)

    async def step(self) -> None:
        for records in (await self.consumer.poll(10, 0.05)).values():
            self.read += records

    def offsets(self, partition: int) -> list[int]:
        return [r.offset for r in self.read if r.partition == partition]


async def until(reached: Callable[[], bool], *members: Member) -> None:
    """Let the members poll until it is so."""
    async with asyncio.timeout(20):
        while not reached():
            for member in members:
                await member.step()


async def joined(log_bench: LogBench, topic: str, group: str, start: int | None = 0) -> Member:
    member = Member(log_bench.consumer(topic, group), start)
    await member.consumer.start(member)
    return member


async def test_one_member_reads_everything_from_where_it_seeks(log_bench: LogBench) -> None:
    topic, group = await log_bench.topic(2), unique("group")
    await log_bench.writer.publish([Outgoing(topic, i % 2, b"k", b"%d" % i) for i in range(60)])
    member = await joined(log_bench, topic, group, start=5)
    await until(lambda: len(member.read) == 50, member)
    assert member.told == [("assigned", frozenset({0, 1}))]
    assert member.consumer.assigned() == {0, 1}
    assert member.offsets(0) == member.offsets(1) == list(range(5, 30))
    assert await member.consumer.bounds(1) == Bounds(0, 30)

    assert await member.consumer.committed(0) is None
    assert await member.consumer.commit({0: 30, 1: 30})
    assert await member.consumer.committed(0) == 30

    member.consumer.pause([0])
    member.consumer.seek(0, 20)
    member.consumer.seek(1, 25)
    await until(lambda: len(member.read) == 55, member)
    assert member.offsets(1)[-5:] == [25, 26, 27, 28, 29]
    member.consumer.resume([0])
    await until(lambda: len(member.read) == 65, member)
    assert member.offsets(0)[-10:] == list(range(20, 30))


async def test_nothing_is_read_before_it_is_seeked_even_where_offsets_are_committed(log_bench: LogBench) -> None:
    topic, group = await log_bench.topic(1), unique("group")
    await log_bench.writer.publish([Outgoing(topic, 0, b"k", b"%d" % i) for i in range(20)])
    first = await joined(log_bench, topic, group)
    await until(lambda: len(first.read) == 20, first)
    assert await first.consumer.commit({0: 7})
    await first.consumer.close()
    assert first.told[-1] == ("revoked", frozenset({0}))

    second = await joined(log_bench, topic, group, start=None)
    await until(lambda: bool(second.told), second)
    for _ in range(3):
        await second.step()
    assert second.read == []
    assert await second.consumer.committed(0) == 7
    second.consumer.seek(0, 3)
    await until(lambda: len(second.read) == 17, second)
    assert second.offsets(0) == list(range(3, 20))


async def test_members_share_and_take_over(log_bench: LogBench) -> None:
    """A6: everything is revoked before anything is assigned, and nobody commits for a partition it lost."""
    topic, group = await log_bench.topic(2), unique("group")
    await log_bench.writer.publish([Outgoing(topic, i % 2, b"k", b"%d" % i) for i in range(20)])
    first = await joined(log_bench, topic, group)
    await until(lambda: len(first.read) == 20, first)
    second = await joined(log_bench, topic, group)
    await until(lambda: [len(m.told[-1][1]) for m in (first, second) if m.told] == [1, 1], first, second)
    assert [what for what, _ in first.told[-2:]] == ["revoked", "assigned"]
    assert first.consumer.assigned() | second.consumer.assigned() == {0, 1}
    (kept,), (lost,) = first.consumer.assigned(), second.consumer.assigned()
    assert not await first.consumer.commit({lost: 10})
    assert await first.consumer.commit({kept: 10})
    with pytest.raises(Fenced, match="not assigned"):
        first.consumer.seek(lost, 0)
    first.consumer.pause([lost])
    await until(lambda: len(second.read) == 10, first, second)
    await first.consumer.close()
    await until(lambda: second.consumer.assigned() == {0, 1}, second)
    await until(lambda: second.offsets(kept) == list(range(10)), second)


async def test_a_missing_topic_is_refused_at_the_start(log_bench: LogBench) -> None:
    """B16. Mutation: drop the look at the topic in `start`: the member waits for ever for a topic of nobody."""
    consumer = log_bench.consumer("nowhere", unique("group"))
    with pytest.raises(Misconfigured, match="no topic 'nowhere'"):
        await consumer.start(Member(consumer))
