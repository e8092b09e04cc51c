"""A log in memory: topics, partitions and offsets as Kafka has them (one contract suite), and what faults need.

Nothing happens in the background and nothing waits: an empty poll returns at once. The group that consumes it is
in `memory_group.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from driftline.clock import Clock
from driftline.errors import Misconfigured, PublishRefused, Transient
from driftline.runtime.log import Bounds, Outgoing, Record

LOG_APPEND_TIME: Final = 1


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A record as read, stamped with the log's append time."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_type: int = LOG_APPEND_TIME


class _Partition:
    """Records from `begin` on; None stands for an offset that compaction or a transaction marker left empty."""

    __slots__ = ("begin", "records")

    def __init__(self) -> None:
        self.begin = 0
        self.records: list[MemoryRecord | None] = []

    @property
    def end(self) -> int:
        return self.begin + len(self.records)

    def slice(self, start: int, stop: int) -> list[MemoryRecord | None]:
        return self.records[max(0, start - self.begin) : max(0, stop - self.begin)]


class MemoryLog:
    """What writers, readers and groups share.

    `available = False` is a broker that is away. `refused` holds topics on which publishing has no rights,
    `max_bytes` is the largest record (key and value) that is taken.
    """

    def __init__(self, clock: Clock, topics: Mapping[str, int] | None = None) -> None:
        self.clock = clock
        self.available = True
        self.refused: set[str] = set()
        self.max_bytes = 1 << 30
        self._topics: dict[str, list[_Partition]] = {}
        for name, partitions in (topics or {}).items():
            self.create(name, partitions)

    def create(self, topic: str, partitions: int) -> None:
        """Make an empty topic; one of that name that existed is gone, and its offsets begin at 0 again."""
        self._topics[topic] = [_Partition() for _ in range(partitions)]

    def extend(self, topic: str, partitions: int) -> None:
        """Add partitions until there are `partitions`."""
        existing = self._find(topic)
        existing.extend(_Partition() for _ in range(partitions - len(existing)))

    def delete(self, topic: str) -> None:
        del self._topics[topic]

    def append(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> int:
        """Append one record at the clock's time and return its offset."""
        records = self._find(topic)[partition]
        offset = records.end
        records.records.append(
            MemoryRecord(topic, partition, offset, self.clock.now_ms(), key, value, tuple(headers))
        )
        return offset

    def trim(self, topic: str, partition: int, begin: int) -> None:
        """Let go of every record before `begin`, as retention does."""
        records = self._find(topic)[partition]
        begin = min(max(begin, records.begin), records.end)
        del records.records[: begin - records.begin]
        records.begin = begin

    def compact(self, topic: str, partition: int, offsets: Collection[int]) -> None:
        """Leave a hole at each of `offsets`."""
        records = self._find(topic)[partition]
        for offset in offsets:
            records.records[offset - records.begin] = None

    def has(self, topic: str) -> bool:
        return topic in self._topics

    def partitions(self, topic: str) -> int:
        return len(self._find(topic))

    def bounds(self, topic: str, partition: int) -> Bounds:
        records = self._find(topic)[partition]
        return Bounds(records.begin, records.end)

    def records(self, topic: str, partition: int, start: int = 0, stop: int = 1 << 62) -> list[MemoryRecord]:
        """What is left of the offsets start <= offset < stop."""
        return [r for r in self._find(topic)[partition].slice(start, stop) if r is not None]

    def require_available(self) -> None:
        if not self.available:
            raise Transient("the log in memory is switched off")

    def _find(self, topic: str) -> list[_Partition]:
        try:
            return self._topics[topic]
        except KeyError:
            raise Misconfigured(f"there is no topic {topic!r}: create it") from None


class MemoryWriter:
    """Appends what Kafka would take. A refused record refuses the call before anything is appended."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def publish(self, records: Sequence[Outgoing]) -> None:
        log = self._log
        log.require_available()
        for r in records:
            if r.topic in log.refused:
                raise PublishRefused(f"topic {r.topic}: we have no right to write")
            if len(r.key or b"") + len(r.value or b"") > log.max_bytes:
                raise PublishRefused(f"topic {r.topic}: the record is larger than {log.max_bytes} bytes")
            if not log.has(r.topic) or r.partition >= log.partitions(r.topic):
                raise Transient(f"topic {r.topic}: there is no partition {r.partition}")
        for r in records:
            log.append(r.topic, r.partition, r.value, r.key, r.headers)

    async def close(self) -> None: ...


class MemoryReader:
    """Reads the log outside any group."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def partitions(self, topic: str) -> int:
        self._log.require_available()
        return self._log.partitions(topic)

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        self._log.require_available()
        return {p: self._log.bounds(topic, p) for p in range(self._log.partitions(topic))}

    async def bounds_of(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        self._log.require_available()
        return {p: self._log.bounds(topic, p) for p in partitions}

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        self._log.require_available()
        return list(self._log.records(topic, partition, start, stop))

    async def close(self) -> None: ...
