"""What the consumer loop asks of a stage. Ingest and judge are the same machine with another `fold`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from driftline.errors import DriftlineError, LogGap, Poison
from driftline.runtime.log import Bounds, Outgoing, Record
from driftline.runtime.store import Snapshot

State = TypeVar("State")
Prepared = TypeVar("Prepared")
Counts = Mapping[tuple[str, str], float]


class Oversize(DriftlineError):
    """A fold's output would not fit one write. The loop folds again with half as many records."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range that was folded and published before and has to be folded again, exactly as it was.

    `emitted` are the input offsets whose pairs are published, here or later, `duplicates` those it found to be
    duplicates; `clock` is the wall clock it was read by. `held` are the output partitions that hold its record
    already; `settled`: all of them do, and a later range was published, so nothing of it is owed any more."""

    first: int
    next: int
    clock: int
    emitted: frozenset[int] = frozenset()
    duplicates: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Contiguous offsets `first <= offset < next` of one partition. Offsets may be missing inside (compaction,
    aborted transactions): the range covers them all the same.

    `clock` is the reader's wall clock in ms. `again` is set when a published range is folded again.
    `polled` is a moment of the monotonic clock by which all records had been read; infinite: who knows.
    `refuse` names records that must not be taken, with why: the loop could not fold them."""

    partition: int
    first: int
    next: int
    records: Sequence[Record]
    clock: int
    idle: bool = False
    again: Range | None = None
    refuse: Mapping[int, Poison] = field(default_factory=dict)
    polled: float = math.inf


@dataclass(frozen=True, slots=True)
class Folded(Generic[State]):
    """A fold's result: the new state, its dirty fields, what to publish.

    `next` is how far it came: less than the batch's `next` where going on would have made the write too large
    (the rest is folded in a batch of its own). `dead_letters` is how many of `outbox` are refusals: the loop
    limits their rate. `counts` is told to the observer once the write is made: metrics that only the stage knows,
    by name and by the value of their own label ("" where they have none)."""

    state: State
    next: int
    set: Mapping[str, bytes]
    outbox: Sequence[Outgoing]
    delete: Sequence[str] = ()
    dead_letters: int = 0
    counts: Counts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where to read on, what to fold again first, what has to be said aloud before (as records), and fields
    that recovery itself found out, or has no more use for."""

    start: int
    plan: Sequence[Range] = ()
    announce: Sequence[Outgoing] = ()
    fields: Mapping[str, bytes] = field(default_factory=dict)
    delete: Sequence[str] = ()


class Stage(Protocol[State, Prepared]):
    """A stage's part of the loop. `fold` is pure: no clock, no I/O, no unseeded randomness; it may consume the
    state it is given, because the loop loads it anew whenever a fold or a write does not succeed."""

    @property
    def name(self) -> str: ...

    @property
    def topic(self) -> str:
        """The input topic."""
        ...

    @property
    def reports_idle(self) -> bool:
        """Whether an idle partition folds an empty batch from time to time."""
        ...

    @property
    def writes_in_prepare(self) -> bool:
        """Whether `prepare` writes to the store."""
        ...

    def load(self, partition: int, fields: Mapping[str, bytes]) -> tuple[State, Sequence[str]]:
        """State from its stored fields, and the names of fields that cannot be read (to be quarantined;
        their part of the state starts cold). StateTooNew passes through: the service refuses to go on."""
        ...

    async def recover(
        self, partition: int, state: State, snapshot: Snapshot, bounds: Bounds, lost: bool
    ) -> Recovery:
        """Reconcile the snapshot with the logs. `lost`: the store forgot us while we ran."""
        ...

    def announce_gap(self, partition: int, gap: LogGap) -> Sequence[Outgoing]:
        """The records that say that a part of the input is gone."""
        ...

    async def prepare(self, state: State, batch: Batch) -> Prepared:
        """All the I/O a fold needs; idempotent per offset."""
        ...

    def fold(self, state: State, batch: Batch, prepared: Prepared) -> Folded[State]: ...
