"""The one consumer loop: poll, prepare, fold, compare-and-set, publish, commit."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from driftline.clock import Clock
from driftline.errors import (
    DriftlineError,
    Fenced,
    LogGap,
    Misconfigured,
    Poison,
    StateCorrupt,
    StateLost,
    Transient,
)
from driftline.runtime.limiter import RateLimiter
from driftline.runtime.log import Bounds, GroupConsumer, LogWriter, Outgoing, Record
from driftline.runtime.observe import Observer
from driftline.runtime.outbox import decode_outbox, encode_outbox
from driftline.runtime.retry import Deadline, Sleep, until_done
from driftline.runtime.stage import Batch, Folded, Oversize, Range, Recovery, Stage
from driftline.runtime.store import Slot, Snapshot, Store, Verdict, Write

STRUCTURE = "structure"
FINGERPRINT = "fingerprint"

State = TypeVar("State")
Prepared = TypeVar("Prepared")


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Bounds and policies of a loop. Times in seconds."""

    max_batch: int = 50_000
    poll_s: float = 0.25
    idle_after_s: float = 10.0
    revoke_deadline_s: float = 5.0
    watchdog_s: float = 60.0
    commit_every_s: float = 1.0
    on_log_gap: Literal["stop", "earliest"] = "stop"
    on_fold_error: Literal["deadletter", "pause"] = "deadletter"
    dead_letters_per_s: float = 500.0
    dead_letter_burst: int = 10_000
    structure: str = ""
    """What may never change under a stored state (partition counts): another one refuses to start."""
    fingerprint: str = ""
    """Hash of the settings that change results: another one is said aloud, and taken over."""


@dataclass
class Owned(Generic[State]):
    """A partition we hold: our token, its state, where it stands, and what is still to be folded again."""

    slot: Slot
    token: str
    state: State
    position: int
    stored: int | None
    plan: deque[Range]
    limit: int
    limiter: RateLimiter
    buffer: list[Record] = field(default_factory=list)
    active_at: float = 0.0
    committed_at: float = 0.0
    paused_until: float | None = None


class Loop(Generic[State, Prepared]):
    """Drives one stage over the partitions its group gives us. Every record's effect is counted once.

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
    """

    def __init__(
        self,
        stage: Stage[State, Prepared],
        consumer: GroupConsumer,
        writer: LogWriter,
        store: Store,
        clock: Clock,
        settings: LoopSettings,
        observer: Observer | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._stage = stage
        self._consumer = consumer
        self._writer = writer
        self._store = store
        self._clock = clock
        self._settings = settings
        self._observer = observer or Observer()
        self._sleep = sleep
        self._owned: dict[int, Owned[State]] = {}
        self._wanted: dict[int, bool] = {}  # partitions to acquire -> whether their state was lost under us
        self._busy = asyncio.Lock()
        self._abandoned: set[int] = set()
        self._stopping = False
        self._stall_restarts = 0
        self._handing_over = False
        self._waiting_for_others: set[int] = set()

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that are acquired and being folded."""
        return frozenset(self._owned)

    @property
    def waiting(self) -> frozenset[int]:
        """Partitions assigned to us that are not acquired yet (the store or the log is away)."""
        return frozenset(self._wanted)

    # Rebalancing

    async def on_assigned(self, partitions: Collection[int]) -> None:
        """Only notes the partitions: they are paused, and taken over (state, reconciliation, seek) by the next
        `step`, so that this callback never waits for the store."""
        self._consumer.pause(partitions)
        for partition in partitions:
            self._consumer.seek(partition, 0)
            self._abandoned.discard(partition)
            self._wanted[partition] = False

    async def on_revoked(self, partitions: Collection[int]) -> None:
        """Lets the range in hand finish inside one deadline for all partitions, else abandons it: its write
        will be refused or, if it was made, found by the next owner. Nothing is committed late."""
        deadline = Deadline(self._clock, self._settings.revoke_deadline_s)
        for partition in partitions:
            self._wanted.pop(partition, None)
        self._handing_over = True  # the step in hand ends behind its range, not behind all that is buffered
        try:
            await asyncio.wait_for(self._busy.acquire(), timeout=deadline.left())
        except TimeoutError:
            self._abandoned.update(partitions)
            for partition in partitions:
                self._release(partition, "abandoned")
            return
        finally:
            self._handing_over = False
        try:
            await self._courtesy_commit([self._owned[p] for p in partitions if p in self._owned], deadline)
            for partition in partitions:
                self._release(partition, "revoked")
        finally:
            self._busy.release()

    def _release(self, partition: int, reason: str) -> None:
        self._waiting_for_others.discard(partition)
        if self._owned.pop(partition, None) is not None:
            self._observer.released(self._stage.name, partition, reason)

    # Running

    async def start(self) -> None:
        """Join the group. `step` does the work; `run` repeats it."""
        await self._consumer.start(self)

    async def run(self) -> None:
        """Until `stop`: the loop. Raises Misconfigured, LogGap, StateTooNew (the operator has to act) or
        Stalled (restart the process)."""
        await self.start()
        try:
            while not self._stopping:
                await self.step()
        finally:
            await self._consumer.close()

    def stop(self) -> None:
        """Finish the range in hand, leave the group, return from `run`."""
        self._stopping = True

    async def step(self) -> int:
        """One round over all partitions; the number of records folded."""
        if self._wanted:
            async with self._busy:
                await self._acquire_wanted()
        try:
            polled = await self._consumer.poll(self._settings.max_batch, self._settings.poll_s)
        except Transient as error:
            self._observer.retrying(self._stage.name, "poll", 1, str(error))
            await self._sleep(self._settings.poll_s)
            return 0
        except LogGap:
            if self._settings.on_log_gap == "stop":
                raise
            async with self._busy:
                for owned in list(self._owned.values()):
                    self._drop(owned, "gap")  # taking over anew finds the gap, says it, and goes on behind it
            return 0
        folded = 0
        async with self._busy:
            for partition, records in polled.items():
                if partition in self._owned:
                    self._take_in(self._owned[partition], records)
            for owned in self._in_turn():
                if self._owned.get(owned.slot.partition) is owned:
                    folded += await self._guarded(owned)
        if folded:
            self._stall_restarts = 0
        with contextlib.suppress(Transient):
            await self._watch()
        self._observer.beat()
        return folded

    def _in_turn(self) -> list[Owned[State]]:
        """Whose turn it is: while published ranges are still to be folded again, only theirs. A fresh range of
        another partition would meet a memory that is not whole yet. The others are not fetched meanwhile."""
        held = list(self._owned.values())
        rebuilding = [owned for owned in held if owned.plan]
        waiting = {o.slot.partition for o in held if rebuilding and not o.plan}
        if waiting != self._waiting_for_others:
            self._consumer.pause(waiting)
            ready = self._waiting_for_others - waiting
            self._consumer.resume([p for p in ready if p in self._owned and self._owned[p].paused_until is None])
            self._waiting_for_others = waiting
        return rebuilding or held

    @staticmethod
    def _take_in(owned: Owned[Any], records: Sequence[Record]) -> None:
        expected = owned.buffer[-1].offset + 1 if owned.buffer else owned.position
        owned.buffer.extend(r for r in records if r.offset >= expected)
        if owned.buffer:
            owned.active_at = 0.0

    async def _guarded(self, owned: Owned[State]) -> int:
        """Fold what a partition has buffered, and turn each kind of error into its one action."""
        partition = owned.slot.partition
        try:
            return await self._drain(owned)
        except DriftlineError as error:
            match error:
                case Fenced():
                    await self._fenced(owned)
                case StateLost():
                    self._observer.state_lost(self._stage.name, partition, str(error))
                    # What happened to one slot happened to the server: whoever went on meanwhile would meet halves
                    # of pairs that are still to be rebuilt.
                    for other in list(self._owned.values()):
                        self._drop(other, "state_lost", lost=True)
                case Transient():
                    self._drop(owned, "abandoned")
                case _:
                    raise
            return 0

    async def _fenced(self, owned: Owned[State]) -> None:
        """A refused write says that we are a zombie, or that the store was rolled back to an older token. The
        group knows which: only a member may commit."""
        offsets = {owned.slot.partition: owned.position}
        member = await self._retry(owned, "commit", lambda: self._consumer.commit(offsets))
        if member and owned.slot.partition in self._consumer.assigned():
            self._drop(owned, "fenced")
        else:
            self._release(owned.slot.partition, "fenced")

    def _drop(self, owned: Owned[State], reason: str, lost: bool = False) -> None:
        """Forget the state and take the partition over anew, unless it has been revoked meanwhile."""
        partition = owned.slot.partition
        self._release(partition, reason)
        if partition in self._consumer.assigned() and partition not in self._abandoned:
            self._consumer.pause([partition])
            self._wanted[partition] = lost

    # Folding

    async def _drain(self, owned: Owned[State]) -> int:
        now = self._clock.monotonic()
        if owned.paused_until is not None:
            if now < owned.paused_until:
                return 0
            owned.paused_until = None
            self._consumer.resume([owned.slot.partition])
            self._observer.resumed(self._stage.name, owned.slot.partition)
        folded = 0
        while owned.paused_until is None and not (self._handing_over or self._stopping):
            batch = await self._next_batch(owned)
            if batch is None:
                break
            folded += await self._process(owned, batch)
            if owned.slot.partition in self._abandoned:
                raise Fenced(str(owned.slot))
        return folded

    async def _next_batch(self, owned: Owned[State]) -> Batch | None:
        partition, buffer = owned.slot.partition, owned.buffer
        if owned.plan:
            return await self._planned_batch(owned)
        if buffer:
            records = buffer[: owned.limit]
            del buffer[: len(records)]
            return Batch(partition, owned.position, records[-1].offset + 1, records, self._clock.now_ms())
        return await self._idle_batch(owned)

    async def _planned_batch(self, owned: Owned[State]) -> Batch | None:
        """The next range that has to be folded again: whole, or not yet."""
        planned, buffer = owned.plan[0], owned.buffer
        complete = planned.first == planned.next or (buffer and buffer[-1].offset >= planned.next - 1)
        # Compaction may have taken the range's last records since: then the position tells.
        if not complete and await self._consumer.position(owned.slot.partition) < planned.next:
            return None
        records = [r for r in buffer if r.offset < planned.next]
        del buffer[: len(records)]
        owned.plan.popleft()
        return Batch(
            owned.slot.partition,
            planned.first,
            planned.next,
            records,
            planned.clock,
            again=planned,
        )

    async def _idle_batch(self, owned: Owned[State]) -> Batch | None:
        now = self._clock.monotonic()
        if owned.active_at == 0.0:
            owned.active_at = now
        if not self._stage.reports_idle or now - owned.active_at < self._settings.idle_after_s:
            return None
        try:
            bounds = await self._consumer.bounds(owned.slot.partition)
        except Transient:
            return None  # whether the log has ended cannot be said now
        self._observer.position(self._stage.name, owned.slot.partition, owned.position, bounds.end)
        if bounds.end > max(owned.position, await self._consumer.position(owned.slot.partition)):
            return None
        owned.active_at = now
        return Batch(owned.slot.partition, owned.position, owned.position, (), self._clock.now_ms(), idle=True)

    async def _process(self, owned: Owned[State], batch: Batch) -> int:
        started = self._clock.monotonic()
        claim = await self._claim(owned) if self._stage.writes_in_prepare and batch.records else ""
        try:
            prepared = await self._retry(owned, "prepare", lambda: self._stage.prepare(owned.state, batch))
            folded = self._stage.fold(owned.state, batch, prepared)
        except Oversize as error:
            return await self._fold_failed(owned, batch, Poison("too_large", str(error)), pausable=False)
        except DriftlineError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours in one record must not stop the rest
            detail = f"{type(error).__name__} while folding"
            self._observer.fold_failed(self._stage.name, owned.slot.partition, batch.first, repr(error))
            return await self._fold_failed(owned, batch, Poison("fold_error", detail), pausable=True)
        await self._write(owned, batch, folded, claim)
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
            self._pause(owned, why.reason, self._settings.watchdog_s)
            await self._reload(owned)
            return 0
        await self._reload(owned)
        self._observer.fold_failed(self._stage.name, partition, batch.records[0].offset, why.reason)
        refuse = {r.offset: why for r in batch.records}
        return await self._process(
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
        snapshot = await self._retry(owned, "read", lambda: self._store.read(owned.slot))
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
        verdict: Verdict = await self._retry(owned, "commit", lambda: self._store.commit(owned.slot, write))
        if write.set or verdict is not Verdict.APPLIED:
            size = sum(map(len, write.set.values())) + len(write.outbox)
            self._observer.committed(self._stage.name, owned.slot.partition, verdict.value, size)
        match verdict:
            case Verdict.FENCED:
                raise Fenced(str(owned.slot))
            case Verdict.MOVED | Verdict.LOST:
                raise StateLost(f"{owned.slot}: {verdict.value} at {write.begin}")

    async def _write(self, owned: Owned[State], batch: Batch, folded: Folded[State], after: str = "") -> None:
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
            await self._courtesy_commit([owned], Deadline(self._clock, self._settings.revoke_deadline_s))

    async def _publish(self, owned: Owned[State], outbox: Sequence[Outgoing], dead_letters: int) -> None:
        if not outbox:
            return
        await self._retry(owned, "publish", lambda: self._writer.publish(outbox))
        self._observer.published(self._stage.name, owned.slot.partition, len(outbox), dead_letters)
        wait = owned.limiter.spend(dead_letters, self._clock.monotonic())
        if wait > 0:
            self._pause(owned, "dead_letter_rate", wait)

    def _pause(self, owned: Owned[State], reason: str, seconds: float) -> None:
        owned.paused_until = self._clock.monotonic() + seconds
        self._consumer.pause([owned.slot.partition])
        self._observer.paused(self._stage.name, owned.slot.partition, reason, seconds)

    async def _courtesy_commit(self, owned: Sequence[Owned[State]], deadline: Deadline) -> None:
        offsets = {o.slot.partition: o.position for o in owned if o.slot.partition not in self._abandoned}
        if not offsets:
            return
        for o in owned:
            o.committed_at = self._clock.monotonic()
        # State is safe already: a refused, failed or late commit costs a lag tool its accuracy, nothing else.
        with contextlib.suppress(TimeoutError, Transient):
            await asyncio.wait_for(self._consumer.commit(offsets), timeout=deadline.left())

    async def _retry(self, owned: Owned[State], what: str, call: Any) -> Any:
        partition = owned.slot.partition

        def on_retry(attempt: int, error: Transient) -> None:
            self._observer.retrying(self._stage.name, what, attempt, str(error))
            self._observer.beat()

        return await until_done(
            call,
            give_up=lambda: partition in self._abandoned or self._stopping,
            on_retry=on_retry,
            sleep=self._sleep,
        )

    # Taking over

    async def _acquire_wanted(self) -> None:
        for partition, lost in list(self._wanted.items()):
            try:
                owned = await self._acquire(partition, lost)
            except Transient as error:
                self._observer.retrying(self._stage.name, "acquire", 1, str(error))
                await self._sleep(self._settings.poll_s)
                continue
            except Fenced:
                continue
            except StateLost as error:
                self._observer.state_lost(self._stage.name, partition, str(error))
                self._wanted[partition] = True
                continue
            if self._wanted.pop(partition, None) is None:
                continue  # revoked while its state was being restored
            self._owned[partition] = owned
            self._consumer.resume([partition])

    async def _acquire(self, partition: int, lost: bool) -> Owned[State]:
        """Write our token, read the slot, reconcile it with the logs, publish what its outbox still holds, seek.

        The order matters: the token first, so that nobody else's write can come between the reading and our
        first; the outbox before anything new, so that the ledger's order is kept."""
        stage, slot = self._stage, Slot(self._stage.name, partition)
        token = secrets.token_hex(16)
        snapshot = await self._store.acquire(slot, token)
        stored, forgotten = snapshot.next, list[str]()
        try:
            pending = decode_outbox(snapshot.outbox)
        except StateCorrupt:
            # What was to be published is not known any more: only the log can tell what was.
            self._observer.quarantined(stage.name, partition, "outbox")
            await self._store.quarantine(slot, "outbox", snapshot.outbox)
            forgotten, pending, lost = list(snapshot.fields), [], True
            snapshot = Snapshot(None, {}, b"")
        state, broken = stage.load(partition, snapshot.fields)
        for name in broken:
            self._observer.quarantined(stage.name, partition, name)
            await self._store.quarantine(slot, name, snapshot.fields[name])
        marks = self._marks(slot, snapshot)
        bounds = await self._consumer.bounds(partition)
        if snapshot.next is None and not lost:
            lost = bool(await self._consumer.committed(partition))
        recovery = await stage.recover(partition, state, snapshot, bounds, lost)
        recovery = await self._check_bounds(slot, recovery, bounds)
        # Where the log is ahead of the store, the store's outbox has long been acknowledged.
        if pending and not recovery.plan:
            await self._writer.publish(pending)
        owned = Owned(
            slot=slot,
            token=token,
            state=state,
            position=recovery.start,
            stored=stored,
            plan=deque(recovery.plan),
            limit=self._settings.max_batch,
            limiter=RateLimiter(self._settings.dead_letters_per_s, self._settings.dead_letter_burst),
        )
        fields = {**recovery.fields, **marks}
        delete = [n for n in (*broken, *recovery.delete, *forgotten) if n not in fields]
        if stored != recovery.start or recovery.announce or fields or delete:
            here = Batch(partition, recovery.start, recovery.start, (), self._clock.now_ms())
            await self._write(owned, here, Folded(state, recovery.start, fields, recovery.announce, delete))
        self._consumer.seek(partition, recovery.start)
        self._observer.owned(stage.name, partition, recovery.start, len(recovery.plan))
        return owned

    def _marks(self, slot: Slot, snapshot: Snapshot) -> dict[str, bytes]:
        """Compare what the state was written under with what we run under; the marks to write, if they differ."""
        structure, fingerprint = self._settings.structure, self._settings.fingerprint
        ours = {STRUCTURE: structure.encode(), FINGERPRINT: fingerprint.encode()}
        stored = {name: snapshot.fields[name] for name in ours if name in snapshot.fields}
        if STRUCTURE in stored and stored[STRUCTURE] != ours[STRUCTURE]:
            raise Misconfigured(
                f"The state of {slot} was written with {stored[STRUCTURE].decode()}, this service runs with "
                f"{structure}. Partition counts are fixed at creation: restore them, or start with a new "
                f"redis.prefix and new topics."
            )
        if FINGERPRINT in stored and stored[FINGERPRINT] != ours[FINGERPRINT]:
            self._observer.config_changed(slot.stage, slot.partition)
        return {} if stored == ours else ours

    async def _check_bounds(self, slot: Slot, recovery: Recovery, bounds: Bounds) -> Recovery:
        """Refuse to go on over missing records, or go on aloud: never silently."""
        until = max([recovery.start, *(r.next for r in recovery.plan)])
        beyond = until > bounds.end
        if bounds.begin <= recovery.start and not beyond:
            return recovery
        gap = LogGap(
            f"{self._stage.topic}/{slot.partition}",
            until if beyond else recovery.start,
            bounds.end if beyond else bounds.begin,
            "The log ends before what was read from it: was the topic created anew? Offsets are the ledger's "
            "identity: go back to the former log, or start with a new redis.prefix and new topics."
            if beyond
            else "Set runtime.on_log_gap to earliest and judge.on_gap to continue to go on with what there is.",
        )
        self._observer.gap(self._stage.name, slot.partition, str(gap))
        notice = self._stage.announce_gap(slot.partition, gap)
        if beyond or self._settings.on_log_gap == "stop":
            await self._writer.publish(notice)
            raise gap
        return Recovery(bounds.begin, (), (*recovery.announce, *notice), recovery.fields, recovery.delete)

    # Watching

    async def _watch(self) -> None:
        """A partition that has records and gives us none is stuck: restart the consumer, then give up aloud."""
        now = self._clock.monotonic()
        for owned in self._owned.values():
            if owned.paused_until is not None or owned.buffer:
                owned.active_at = 0.0
            stuck_s = now - owned.active_at if owned.active_at else 0.0
            if stuck_s < self._settings.watchdog_s:
                continue
            bounds = await self._consumer.bounds(owned.slot.partition)
            if bounds.end <= max(owned.position, await self._consumer.position(owned.slot.partition)):
                owned.active_at = now
                continue
            self._observer.stalled(self._stage.name, owned.slot.partition, owned.position, bounds.end)
            if self._stall_restarts:
                raise Stalled(
                    f"{self._stage.topic}/{owned.slot.partition} stands at {owned.position} of {bounds.end} "
                    f"and nothing is fetched, also after a restart of the consumer"
                )
            self._stall_restarts += 1
            await self._restart_consumer()
            return

    async def _restart_consumer(self) -> None:
        await self.on_revoked(list(self._owned))
        await self._consumer.close()
        await self._consumer.start(self)


class Stalled(Misconfigured):
    """The log goes on and we do not, also after a restart of the consumer: the process must be restarted."""
