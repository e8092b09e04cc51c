"""What the runtime asks of a log. Kafka (`kafka.py`) and memory (`memory_log.py`) pass one contract suite."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Record(Protocol):
    """A record as read. aiokafka's ConsumerRecord satisfies it, so nothing is copied on the hot path."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch; the broker's append time if `timestamp_type` is 1."""
        ...

    @property
    def timestamp_type(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be published. `partition` is always explicit: routing is part of the contract."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Offsets a partition holds: `begin` is the first readable, `end` the one after the last."""

    begin: int
    end: int


class LogWriter(Protocol):
    """Publishes and returns only when every record is acknowledged by all in-sync replicas."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Append in order per partition. Raises Transient (repeat the call: duplicates are allowed),
        or PublishRefused where the broker refuses one record for its size or for want of rights."""
        ...

    async def close(self) -> None: ...


class LogReader(Protocol):
    """Reads outside any consumer group: tails, profiles, reconciliation."""

    async def partitions(self, topic: str) -> int:
        """The topic's number of partitions. Misconfigured if there is no such topic."""
        ...

    async def bounds(self, topic: str) -> dict[int, Bounds]: ...

    async def bounds_of(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """The bounds of some partitions: cheaper than all, for nothing has to be asked about the topic."""
        ...

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        """All records with start <= offset < stop that still exist, in order. Ends at the log's end."""
        ...

    async def close(self) -> None: ...


class RebalanceListener(Protocol):
    async def on_revoked(self, partitions: Collection[int]) -> None: ...

    async def on_assigned(self, partitions: Collection[int]) -> None:
        """Must seek every assigned partition before it returns: nothing is fetched until then."""
        ...


class GroupConsumer(Protocol):
    """One member of a consumer group on one topic."""

    async def start(self, listener: RebalanceListener) -> None: ...

    async def poll(self, max_records: int, timeout_s: float) -> Mapping[int, Sequence[Record]]: ...

    def seek(self, partition: int, offset: int) -> None: ...

    def pause(self, partitions: Collection[int]) -> None: ...

    def resume(self, partitions: Collection[int]) -> None: ...

    def assigned(self) -> frozenset[int]: ...

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """A courtesy to lag tools, and the question whether the group still knows us: False if it does not."""
        ...

    async def committed(self, partition: int) -> int | None:
        """What the group last committed. Only tells that it has been here before: nothing is read from there."""
        ...

    async def bounds(self, partition: int) -> Bounds: ...

    async def position(self, partition: int) -> int:
        """The offset that is fetched next. What lies before it was handed out, or is no record (a hole left by
        compaction, a transaction's marker), so a log whose end it has reached holds nothing more. Fenced if the
        partition is not ours."""
        ...

    async def close(self) -> None: ...
