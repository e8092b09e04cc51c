"""Faults at named points: wrappers around store, writer and consumer that stop where they are told.

Points of a cycle, in order: `before_join`, `after_join`, `before_commit`, `after_commit`, `before_publish`,
`in_publish` (after each record), `after_publish`, `before_kafka_commit`, `after_kafka_commit`; and on taking over
`before_acquire`, `after_acquire`, `before_read`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from driftline.errors import Transient
from driftline.runtime.log import Bounds, GroupConsumer, LogWriter, Outgoing, RebalanceListener, Record
from driftline.runtime.store import Half, JoinTotals, Meeting, Slot, Snapshot, Store, Verdict, Write

POINTS = (
    "before_acquire",
    "after_acquire",
    "before_join",
    "after_join",
    "before_commit",
    "after_commit",
    "before_publish",
    "in_publish",
    "after_publish",
    "before_kafka_commit",
    "after_kafka_commit",
)

Action = Callable[[], Awaitable[None]]


class Killed(BaseException):
    """The process is gone: nothing after this line runs."""


async def kill() -> None:
    raise Killed


async def time_out() -> None:
    raise Transient("timed out")


@dataclass
class Trap:
    point: str
    action: Action
    skip: int = 0
    times: int = 1


@dataclass
class Traps:
    """What happens at a worker's points. A trap lets `skip` passages go, acts `times` times, and is gone."""

    armed: list[Trap] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def set(self, point: str, action: Action, skip: int = 0, times: int = 1) -> None:
        assert point in POINTS or point == "before_read", point
        self.armed.append(Trap(point, action, skip, times))

    async def at(self, point: str) -> None:
        self.passed.append(point)
        for trap in [t for t in self.armed if t.point == point]:
            if trap.skip:
                trap.skip -= 1
                continue
            trap.times -= 1
            if not trap.times:
                self.armed.remove(trap)
            await trap.action()


class TrappedStore:
    """A `Store`."""

    def __init__(self, store: Store, traps: Traps) -> None:
        self._store = store
        self._traps = traps

    async def check(self) -> None:
        await self._store.check()

    async def acquire(self, slot: Slot, token: str) -> Snapshot:
        await self._traps.at("before_acquire")
        snapshot = await self._store.acquire(slot, token)
        await self._traps.at("after_acquire")
        return snapshot

    async def commit(self, slot: Slot, write: Write) -> Verdict:
        await self._traps.at("before_commit")
        verdict = await self._store.commit(slot, write)
        await self._traps.at("after_commit")
        return verdict

    async def read(self, slot: Slot) -> Snapshot:
        await self._traps.at("before_read")
        return await self._store.read(slot)

    async def quarantine(self, slot: Slot, name: str, value: bytes) -> None:
        await self._store.quarantine(slot, name, value)

    async def join(self, day: int, halves: Sequence[Half]) -> list[Meeting]:
        await self._traps.at("before_join")
        meetings = await self._store.join(day, halves)
        await self._traps.at("after_join")
        return meetings

    async def expire(self, day: int) -> None:
        await self._store.expire(day)

    async def join_totals(self) -> JoinTotals:
        return await self._store.join_totals()

    async def reset_join(self) -> None:
        await self._store.reset_join()

    async def close(self) -> None:
        await self._store.close()


class TrappedWriter:
    """A `LogWriter` that publishes record by record, so that a death leaves a part."""

    def __init__(self, writer: LogWriter, traps: Traps) -> None:
        self._writer = writer
        self._traps = traps

    async def publish(self, records: Sequence[Outgoing]) -> None:
        await self._traps.at("before_publish")
        for record in records:
            await self._writer.publish([record])
            await self._traps.at("in_publish")
        await self._traps.at("after_publish")

    async def close(self) -> None:
        await self._writer.close()


class TrappedConsumer:
    """A `GroupConsumer`. `deaf` partitions are silently not fetched any more."""

    def __init__(self, consumer: GroupConsumer, traps: Traps) -> None:
        self.inner = consumer
        self._traps = traps
        self.deaf: set[int] = set()
        self._paused: set[int] = set()

    async def start(self, listener: RebalanceListener) -> None:
        await self.inner.start(listener)

    async def poll(self, max_records: int, timeout_s: float) -> Mapping[int, Sequence[Record]]:
        fetching = self.deaf - self._paused
        self.inner.pause(fetching)
        try:
            return await self.inner.poll(max_records, timeout_s)
        finally:
            self.inner.resume(fetching)

    def seek(self, partition: int, offset: int) -> None:
        self.inner.seek(partition, offset)

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= set(partitions)
        self.inner.pause(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        self._paused -= set(partitions)
        self.inner.resume(partitions)

    def assigned(self) -> frozenset[int]:
        return self.inner.assigned()

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        await self._traps.at("before_kafka_commit")
        known = await self.inner.commit(offsets)
        await self._traps.at("after_kafka_commit")
        return known

    async def committed(self, partition: int) -> int | None:
        return await self.inner.committed(partition)

    async def bounds(self, partition: int) -> Bounds:
        return await self.inner.bounds(partition)

    async def position(self, partition: int) -> int:
        return await self.inner.position(partition)

    async def close(self) -> None:
        await self.inner.close()
