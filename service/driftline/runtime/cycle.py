"""One range through the machine: prepare, fold, compare-and-set, publish, commit."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from driftline.clock import Clock
from driftline.errors import DriftlineError, Fenced, Poison, StateLost, Transient, origin
from driftline.runtime.log import GroupConsumer, LogWriter, Outgoing
from driftline.runtime.observe import Observer
from driftline.runtime.outbox import encode_outbox
from driftline.runtime.owned import LoopSettings, Owned
from driftline.runtime.retry import Deadline, Sleep, until_done
from driftline.runtime.stage import Batch, Folded, Oversize, Stage
from driftline.runtime.store import Store, Verdict, Write

State = TypeVar("State")
Prepared = TypeVar("Prepared")

LAST_COMMIT_S: Final = 1.0
"""How long a stop waits for the courtesy of a commit."""


class Cycle(Generic[State, Prepared]):
    """Takes one range of one partition through all steps. Every record's effect is counted once.

    One cycle per partition, and the crash each place defends against:

    1. *poll* the partitions owned; nothing is trusted about continuity but the stored offset.
    2. *prepare*: I/O that a fold needs, idempotent per offset. Dying here repeats it, with the same answers. If
       it writes, an empty compare-and-set comes first, so that a zombie leaves nothing behind.
    3. *fold*: pure. Dying here loses nothing: the store still stands at the range's beginning.
    4. *compare-and-set* state, next offset and outbox in one script. Dying before it: the range is folded
       again. Dying after it: the outbox is in the store, and whoever takes over publishes it. A zombie's is
       refused, because its token is no longer the stored one. A time-out is repeated with the same batch id.
    5. *publish* the outbox and wait for every acknowledgement before the next range is folded: so at most one
       range is published twice, and readers of the ledger skip what they have.
    6. *commit* the offset to Kafka as a courtesy. It is never read back for correctness; its refusal tells us
       that the group has gone on without us.

    `abandoned` are partitions that were taken from us while a range was in hand, `stopping` that we are to end:
    both make a step that waits give up.
    """

    def __init__(
        self,
        stage: Stage[State, Prepared],
        consumer: GroupConsumer,
        writer: LogWriter,
        store: Store,
        clock: Clock,
        settings: LoopSettings,
        observer: Observer,
        sleep: Sleep,
    ) -> None:
        self._stage = stage
        self._consumer = consumer
        self._writer = writer
        self._store = store
        self._clock = clock
        self._settings = settings
        self._observer = observer
        self._sleep = sleep
        self.abandoned: set[int] = set()
        self.stopping = False

    async def process(self, owned: Owned[State], batch: Batch) -> int:
        started = self._clock.monotonic()
        claim = await self._claim(owned) if self._stage.writes_in_prepare and batch.records else ""
        try:
            prepared = await self.retry(owned, "prepare", lambda: self._stage.prepare(owned.state, batch))
            folded = self._stage.fold(owned.state, batch, prepared)
        except Oversize as error:
            return await self._fold_failed(owned, batch, Poison("too_large", str(error)), pausable=False)
        except DriftlineError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours in one record must not stop the rest
            detail = f"{type(error).__name__} while folding"
            self._observer.fold_failed(self._stage.name, owned.slot.partition, batch.first, origin(error))
            return await self._fold_failed(owned, batch, Poison("fold_error", detail), pausable=True)
        await self.write(owned, batch, folded, claim)
        self._observer.counted(self._stage.name, owned.slot.partition, folded.counts)
        if len(batch.records) >= owned.limit:
            owned.limit = min(2 * owned.limit, self._settings.max_batch)
        self._observer.folded(
            self._stage.name, owned.slot.partition, len(batch.records), self._clock.monotonic() - started
        )
        return sum(1 for r in batch.records if r.offset < folded.next)

    async def _fold_failed(self, owned: Owned[State], batch: Batch, why: Poison, pausable: bool) -> int:
        """Halve until the one record is alone; then it is dead-lettered, or the partition pauses, by policy."""
        partition = owned.slot.partition
        whole = batch.again is not None and len(batch.records) > 1  # a published range cannot be halved
        if len(batch.records) > 1 and not whole:
            owned.limit = len(batch.records) // 2
            owned.buffer[:0] = batch.records
            await self._reload(owned)
            return 0
        policy = pausable and self._settings.on_fold_error == "pause"
        if policy or whole or batch.refuse or not batch.records:
            owned.buffer[:0] = batch.records
            if batch.again is not None:
                owned.plan.appendleft(batch.again)
            self.pause(owned, why.reason, self._settings.watchdog_s)
            await self._reload(owned)
            return 0
        await self._reload(owned)
        self._observer.fold_failed(self._stage.name, partition, batch.records[0].offset, why.reason)
        refuse = {r.offset: why for r in batch.records}
        return await self.process(
            owned,
            Batch(
                partition,
                batch.first,
                batch.next,
                batch.records,
                batch.clock,
                again=batch.again,
                refuse=refuse,
            ),
        )

    async def _reload(self, owned: Owned[State]) -> None:
        """The stored state again: a failed fold may have spoilt the one it was given."""
        snapshot = await self.retry(owned, "read", lambda: self._store.read(owned.slot))
        if snapshot.next != owned.stored:
            raise StateLost(f"{owned.slot} stands at {snapshot.next}, not at {owned.stored}")
        owned.state, _ = self._stage.load(owned.slot.partition, snapshot.fields)

    async def _claim(self, owned: Owned[State]) -> str:
        """An empty compare-and-set, before `prepare` writes where nothing is fenced: a zombie, or a worker whose
        store has come back empty, must leave nothing there. The fold's own write then has to come right behind
        this one: else the store has forgotten, between the two, what `prepare` wrote."""
        assert owned.stored is not None
        claim = Write(token=owned.token, batch=secrets.token_hex(8), begin=owned.stored, next=owned.stored)
        await self._commit(owned, claim)
        return claim.batch

    async def _commit(self, owned: Owned[State], write: Write) -> None:
        """Apply it, or raise Fenced or StateLost."""
        verdict: Verdict = await self.retry(owned, "commit", lambda: self._store.commit(owned.slot, write))
        if write.set or verdict is not Verdict.APPLIED:
            size = sum(map(len, write.set.values())) + len(write.outbox)
            self._observer.committed(self._stage.name, owned.slot.partition, verdict.value, size)
        match verdict:
            case Verdict.FENCED:
                raise Fenced(str(owned.slot))
            case Verdict.MOVED | Verdict.LOST:
                raise StateLost(f"{owned.slot}: {verdict.value} at {write.begin}")

    async def write(self, owned: Owned[State], batch: Batch, folded: Folded[State], after: str = "") -> None:
        """Steps 4 to 6 of the cycle."""
        write = Write(
            token=owned.token,
            batch=secrets.token_hex(8),
            begin=owned.stored,
            next=folded.next,
            set=folded.set,
            delete=folded.delete,
            outbox=encode_outbox(folded.outbox),
            after=after,
        )
        await self._commit(owned, write)
        owned.state = folded.state
        owned.stored = owned.position = folded.next
        if folded.next < batch.next:
            owned.buffer[:0] = [r for r in batch.records if r.offset >= folded.next]
        await self._publish(owned, folded.outbox, folded.dead_letters)
        if self._clock.monotonic() - owned.committed_at >= self._settings.commit_every_s:
            await self.courtesy_commit([owned], Deadline(self._clock, self._settings.revoke_deadline_s))

    async def _publish(self, owned: Owned[State], outbox: Sequence[Outgoing], dead_letters: int) -> None:
        if not outbox:
            return
        await self.retry(owned, "publish", lambda: self._writer.publish(outbox))
        self._observer.published(self._stage.name, owned.slot.partition, len(outbox), dead_letters)
        wait = owned.limiter.spend(dead_letters, self._clock.monotonic())
        if wait > 0:
            self.pause(owned, "dead_letter_rate", wait)

    def pause(self, owned: Owned[State], reason: str, seconds: float) -> None:
        owned.paused_until = self._clock.monotonic() + seconds
        self._consumer.pause([owned.slot.partition])
        self._observer.paused(self._stage.name, owned.slot.partition, reason, seconds)

    async def courtesy_commit(self, owned: Sequence[Owned[State]], deadline: Deadline) -> None:
        offsets = {o.slot.partition: o.position for o in owned if o.slot.partition not in self.abandoned}
        if not offsets:
            return
        for o in owned:
            o.committed_at = self._clock.monotonic()
        # State is safe already: a refused, failed or late commit costs a lag tool its accuracy, nothing else.
        with contextlib.suppress(TimeoutError, Transient):
            within = min(deadline.left(), LAST_COMMIT_S) if self.stopping else deadline.left()
            await asyncio.wait_for(self._consumer.commit(offsets), timeout=within)

    async def retry(self, owned: Owned[State], what: str, call: Any) -> Any:
        partition = owned.slot.partition

        def on_retry(attempt: int, error: Transient) -> None:
            self._observer.retrying(self._stage.name, what, attempt, str(error))
            self._observer.beat()

        return await until_done(
            call,
            give_up=lambda: partition in self.abandoned or self.stopping,
            on_retry=on_retry,
            sleep=self._sleep,
        )
