"""What the runtime asks of a store. Redis (`redis_store.py`) and memory (`memory_store.py`) pass one suite.

A *slot* is one stage's record of one input partition (`ingest/3`): where it stands in the log, who owns it,
its state as named fields, and the outbox of its last write. A slot changes in one way only: `commit`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Slot:
    """Names a record: stage and input partition."""

    stage: str
    partition: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A slot as found on `acquire`: `next` is None where the store holds nothing."""

    next: int | None
    fields: Mapping[str, bytes]
    outbox: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """One compare-and-set: applied only if the slot stands at `begin` and is owned by `token`.

    `batch` is unique to the write; a repeat after a time-out recognises itself by it. `outbox` replaces the
    former one, which the caller must have published before. `after`, unless empty, is the write that must have
    been the last: where the store has forgotten it, it has forgotten what we wrote elsewhere since.
    """

    token: str
    batch: str
    begin: int | None
    next: int
    set: Mapping[str, bytes] = field(default_factory=dict)
    delete: Sequence[str] = ()
    outbox: bytes = b""
    after: str = ""


class Verdict(enum.Enum):
    """What the store says of a Write."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """This very batch had been applied before: the answer of the first try was lost."""
    FENCED = "fenced"
    """Owned by another token."""
    MOVED = "moved"
    """Ours, but it stands elsewhere than at `begin`, or not behind `after`: the store was rolled back."""
    LOST = "lost"
    """The store holds no such slot any more."""


class JoinMode(enum.IntEnum):
    """How a half was met.

    FRESH: first reading. When a lost store is rebuilt, ranges that are already published are read again, and
    the published bundle says which offsets emitted a pair: EMITTED are those, SILENT the others.
    """

    FRESH = 0
    SILENT = 1
    EMITTED = 2


class Half(msgspec.Struct, frozen=True, gc=False):
    """One half of a pair, to be joined: a prediction (`side` "P") or an outcome ("O").

    `key` identifies (model, event id), at most 64 bytes; `origin` is (input partition, offset) as
    `partition << 48 | offset`; `payload` is what the other side needs of us, opaque to the store.
    """

    side: str
    key: bytes
    origin: int
    payload: bytes
    mode: JoinMode = JoinMode.FRESH


class Met(enum.Enum):
    """What a half met."""

    NEW = "new"
    """Counted, and waits for its other half (also: a replay of one that waited)."""
    PAIRED = "paired"
    """Counted, completes a pair that this half emits; `other` is the waiting half's payload."""
    SETTLED = "settled"
    """Counted; its pair has been emitted by the other half (also: a replay of that)."""
    DUPLICATE = "duplicate"
    """The same id from another offset: not counted."""


class Meeting(msgspec.Struct, frozen=True, gc=False):
    """A half's answer."""

    met: Met
    other: bytes = b""


@dataclass(frozen=True, slots=True)
class JoinTotals:
    """What the join memory holds and has let go."""

    pending_predictions: int
    pending_outcomes: int
    joined: int
    expired_predictions: int
    expired_outcomes: int


class Store(Protocol):
    """Raises Transient whenever the server is away, slow, read-only or out of memory."""

    async def check(self) -> None:
        """Refuse (Misconfigured) a server that would evict our state or is too old."""
        ...

    async def acquire(self, slot: Slot, token: str) -> Snapshot:
        """Take the slot: write `token` as its owner (also where there is no slot yet) and read it whole."""
        ...

    async def commit(self, slot: Slot, write: Write) -> Verdict: ...

    async def read(self, slot: Slot) -> Snapshot:
        """Read without taking."""
        ...

    async def quarantine(self, slot: Slot, name: str, value: bytes) -> None:
        """Keep the bytes of an unreadable field aside, for a person to look at; bounded in number."""
        ...

    async def join(self, day: int, halves: Sequence[Half]) -> list[Meeting]:
        """Write and look, atomically per shard, in the order given. Idempotent by `origin`.

        `day` is the event-time day (days since the epoch) of the source's watermark: new halves are
        written under it. A half is looked for under every live day, newest first. The first outcome of an id
        wins; every later one is a duplicate.
        """
        ...

    async def expire(self, day: int) -> None:
        """Let go of every day of the join memory before `day`, counting what was still pending."""
        ...

    async def join_totals(self) -> JoinTotals: ...

    async def reset_join(self) -> None: ...

    async def close(self) -> None: ...
