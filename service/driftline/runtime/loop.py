"""The one consumer loop: poll, prepare, fold, compare-and-set, publish, commit."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Sequence
from typing import Any, Final, Generic, TypeVar

from driftline.clock import Clock
from driftline.errors import (
    DriftlineError,
    Fenced,
    LogGap,
    Misconfigured,
    StateLost,
    Transient,
)
from driftline.runtime.cycle import Cycle
from driftline.runtime.log import GroupConsumer, LogWriter, Record
from driftline.runtime.observe import Observer
from driftline.runtime.owned import LoopSettings, Owned
from driftline.runtime.retry import Deadline, Sleep
from driftline.runtime.stage import Batch, Stage
from driftline.runtime.store import Store
from driftline.runtime.takeover import Takeover

State = TypeVar("State")
Prepared = TypeVar("Prepared")

REPORT_EVERY_S: Final = 10.0
REPORT_WITHIN_S: Final = 2.0
LAST_STEP_S: Final = 2.0
"""How long a stop waits for the step in hand. One that takes longer waits for a broker that does not answer, and what
it would publish is in the store already: the next owner publishes it."""


class Loop(Generic[State, Prepared]):
    """Drives one stage over the partitions its group gives us. Every record's effect is counted once.

    Each range goes through `Cycle`, whose docstring says in which order, and why in that.
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
        self._clock = clock
        self._settings = settings
        self._observer = observer = observer or Observer()
        self._sleep = sleep
        self._cycle = Cycle(stage, consumer, writer, store, clock, settings, observer, sleep)
        self._takeover = Takeover(self._cycle, stage, consumer, writer, store, clock, settings, observer)
        self._owned: dict[int, Owned[State]] = {}
        self._wanted: dict[int, bool] = {}  # partitions to acquire -> whether their state was lost under us
        self._busy = asyncio.Lock()
        self._stalled_at: dict[int, int] = {}  # where partitions stood when they made us restart the consumer
        self._handing_over = False
        self._waiting_for_others: set[int] = set()
        self._polled_at = math.inf
        self._reported_at = -math.inf
        self._limit: asyncio.Timeout | None = None

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
            self._cycle.abandoned.discard(partition)
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
            self._cycle.abandoned.update(partitions)
            for partition in partitions:
                self._release(partition, "abandoned")
            return
        finally:
            self._handing_over = False
        try:
            await self._cycle.courtesy_commit([self._owned[p] for p in partitions if p in self._owned], deadline)
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
        try:
            async with asyncio.timeout(None) as self._limit:
                await self.start()
                while not self._cycle.stopping:
                    await self.step()
        except TimeoutError:
            if not self._cycle.stopping:
                raise
            self._cycle.abandoned.update(self._owned)  # whoever does not answer is asked for no courtesy either
        finally:
            self._limit = None
            await self._consumer.close()

    def stop(self) -> None:
        """Finish the range in hand, if it takes no longer than LAST_STEP_S, leave the group, return from `run`."""
        self._cycle.stopping = True
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + LAST_STEP_S)

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
            self._polled_at = self._clock.monotonic()
            for partition, records in polled.items():
                if partition in self._owned:
                    self._take_in(self._owned[partition], records)
            for owned in self._in_turn():
                if self._owned.get(owned.slot.partition) is owned:
                    folded += await self._guarded(owned)
        with contextlib.suppress(Transient):
            await self._watch()
        with contextlib.suppress(Transient, TimeoutError):
            await asyncio.wait_for(self._report(), REPORT_WITHIN_S)
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
        member = await self._cycle.retry(owned, "commit", lambda: self._consumer.commit(offsets))
        if member and owned.slot.partition in self._consumer.assigned():
            self._drop(owned, "fenced")
        else:
            self._release(owned.slot.partition, "fenced")

    def _drop(self, owned: Owned[State], reason: str, lost: bool = False) -> None:
        """Forget the state and take the partition over anew, unless it has been revoked meanwhile."""
        partition = owned.slot.partition
        self._release(partition, reason)
        if partition in self._consumer.assigned() and partition not in self._cycle.abandoned:
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
        while owned.paused_until is None and not (self._handing_over or self._cycle.stopping):
            batch = await self._next_batch(owned)
            if batch is None:
                break
            folded += await self._cycle.process(owned, batch)
            if owned.slot.partition in self._cycle.abandoned:
                raise Fenced(str(owned.slot))
        return folded

    async def _next_batch(self, owned: Owned[State]) -> Batch | None:
        partition, buffer = owned.slot.partition, owned.buffer
        if owned.plan:
            return await self._planned_batch(owned)
        if buffer:
            records = buffer[: owned.limit]
            del buffer[: len(records)]
            after = records[-1].offset + 1
            now = self._clock.now_ms()
            return Batch(partition, owned.position, after, records, now, polled=self._polled_at)
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

    # Taking over

    async def _acquire_wanted(self) -> None:
        for partition, lost in list(self._wanted.items()):
            if self._cycle.stopping:
                return
            if partition not in self._wanted:
                continue  # revoked while another was being taken over
            try:
                owned = await self._takeover.acquire(partition, lost)
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
            self._observer.owned(self._stage.name, partition, owned.position, len(owned.plan))
            self._consumer.resume([partition])

    # Watching

    async def _watch(self) -> None:
        """A partition that has records and gives us none is stuck: restart the consumer, then give up aloud."""
        now = self._clock.monotonic()
        for owned in self._owned.values():
            held_up = owned.slot.partition in self._waiting_for_others
            if owned.paused_until is not None or owned.buffer or held_up:
                owned.active_at = 0.0
            stuck_s = now - owned.active_at if owned.active_at else 0.0
            if stuck_s < self._settings.watchdog_s:
                continue
            bounds = await self._consumer.bounds(owned.slot.partition)
            if bounds.end <= max(owned.position, await self._consumer.position(owned.slot.partition)):
                owned.active_at = now
                continue
            self._observer.stalled(self._stage.name, owned.slot.partition, owned.position, bounds.end)
            if self._stalled_at.get(owned.slot.partition) == owned.position:
                raise Stalled(
                    f"{self._stage.topic}/{owned.slot.partition} stands at {owned.position} of {bounds.end} "
                    f"and nothing is fetched, also after a restart of the consumer"
                )
            self._stalled_at[owned.slot.partition] = owned.position
            await self._restart_consumer()
            return

    async def _report(self) -> None:
        """Where every partition stands and where its log ends, now and then: of a busy one nobody else asks."""
        now = self._clock.monotonic()
        if not self._owned or now - self._reported_at < REPORT_EVERY_S:
            return
        self._reported_at = now
        for owned in list(self._owned.values()):
            bounds = await self._consumer.bounds(owned.slot.partition)
            self._observer.position(self._stage.name, owned.slot.partition, owned.position, bounds.end)

    async def _restart_consumer(self) -> None:
        await self.on_revoked(list(self._owned))
        await self._consumer.close()
        await self._consumer.start(self)


class Stalled(Misconfigured):
    """The log goes on and we do not, also after a restart of the consumer: the process must be restarted."""
