"""A consumer group on a `MemoryLog`: Kafka's eager rebalancing, step by step and without a background task.

A rebalance takes every partition from every member (`on_revoked`), then deals them out (`on_assigned`). It happens
in `rebalance()`, and, unless `auto` is off, in the first poll after a member has come, gone or been expelled: the
listener is then called from inside `poll`, so a lock held around `poll` must not be awaited in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from driftline.errors import Fenced, LogGap, Misconfigured
from driftline.runtime.log import Bounds, RebalanceListener, Record
from driftline.runtime.memory_log import MemoryLog


class MemoryGroup:
    """The coordinator of one group on one topic; `committed` is what its members have committed."""

    def __init__(self, log: MemoryLog, topic: str, *, auto: bool = True) -> None:
        self.log = log
        self.topic = topic
        self.auto = auto
        self.generation = 0
        self.committed: dict[int, int] = {}
        self.members: list[MemoryConsumer] = []
        self.dirty = False

    async def rebalance(self) -> None:
        """Revoke everything from everybody, then deal the partitions out in the order the members joined."""
        self.dirty = False
        self.generation += 1
        members = list(self.members)
        for member in members:
            await member.revoke()
        partitions = range(self.log.partitions(self.topic)) if self.log.has(self.topic) else range(0)
        for i, member in enumerate(members):
            await member.assign(self.generation, partitions[i :: len(members)])

    def join(self, member: MemoryConsumer) -> None:
        if member not in self.members:
            self.members.append(member)
            self.dirty = True

    def expel(self, member: MemoryConsumer) -> None:
        """What the broker does to a member that sleeps past its session: it is not told.

        It keeps believing in its partitions, but commits return False and polls return nothing until `rejoin`.
        """
        self.members.remove(member)
        self.dirty = True

    async def rejoin(self, member: MemoryConsumer) -> None:
        """The expelled member notices: it is told that it lost everything, and joins again."""
        await member.revoke()
        self.join(member)


class MemoryConsumer:
    """One member of `group`."""

    def __init__(self, group: MemoryGroup) -> None:
        self._group = group
        self._listener: RebalanceListener | None = None
        self._assigned: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._turn = 0

    async def start(self, listener: RebalanceListener) -> None:
        if not self._group.log.has(self._group.topic):
            raise Misconfigured(f"there is no topic {self._group.topic!r}: create it")
        self._listener = listener
        self._group.join(self)

    async def poll(self, max_records: int, timeout_s: float) -> Mapping[int, Sequence[Record]]:
        """At most `max_records`, from the partitions that were seeked since they were assigned.

        Raises LogGap for a position outside the partition's bounds.
        """
        group = self._group
        if self not in group.members or not group.log.available:
            return {}
        if group.dirty and group.auto:
            await group.rebalance()
        if not group.log.has(group.topic):
            return {}
        ready = sorted(self._positions.keys() - self._paused)
        self._turn += 1
        ready = ready[self._turn % len(ready) :] + ready[: self._turn % len(ready)] if ready else []
        polled: dict[int, Sequence[Record]] = {}
        for partition in ready:
            records = self._take(partition, max_records)
            if records:
                polled[partition] = records
                max_records -= len(records)
        return polled

    def seek(self, partition: int, offset: int) -> None:
        """Raises Fenced if the partition is not assigned to us."""
        if partition not in self._assigned:
            raise Fenced(f"{self._group.topic}/{partition} is not assigned to us")
        self._positions[partition] = offset

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= self._assigned.intersection(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        self._paused -= set(partitions)

    def assigned(self) -> frozenset[int]:
        return self._assigned

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        self._group.log.require_available()
        if self not in self._group.members or not offsets.keys() <= self._assigned:
            return False
        self._group.committed.update(offsets)
        return True

    async def committed(self, partition: int) -> int | None:
        self._group.log.require_available()
        return self._group.committed.get(partition)

    async def bounds(self, partition: int) -> Bounds:
        self._group.log.require_available()
        return self._group.log.bounds(self._group.topic, partition)

    async def position(self, partition: int) -> int:
        if partition not in self._positions:
            raise Fenced(f"{self._group.topic}/{partition} is not assigned to us")
        return self._positions[partition]

    async def close(self) -> None:
        """Leave the group after `on_revoked`, if still a member."""
        if self in self._group.members:
            await self.revoke()
            self._group.expel(self)

    async def revoke(self) -> None:
        """Tell the listener; afterwards nothing is assigned."""
        if self._listener is not None and self._assigned:
            await self._listener.on_revoked(self._assigned)
        self._assigned = frozenset()
        self._positions.clear()
        self._paused.clear()

    async def assign(self, generation: int, partitions: Collection[int]) -> None:
        """Tell the listener, unless another rebalance overtook this one."""
        if self._listener is None or generation != self._group.generation:
            return
        self._assigned = frozenset(partitions)
        await self._listener.on_assigned(self._assigned)

    def _take(self, partition: int, limit: int) -> list[Record]:
        group, position = self._group, self._positions[partition]
        bounds = group.log.bounds(group.topic, partition)
        if not bounds.begin <= position <= bounds.end:
            found = bounds.begin if position < bounds.begin else bounds.end
            raise LogGap(f"{group.topic}/{partition}", position, found)
        records: list[Record] = []
        while len(records) < limit and position < bounds.end:
            stop = min(bounds.end, position + limit - len(records))
            records.extend(group.log.records(group.topic, partition, position, stop))
            position = stop
        self._positions[partition] = position
        return records
