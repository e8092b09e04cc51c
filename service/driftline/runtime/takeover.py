"""Taking a partition over: the token, the state, what the logs say, the outbox, the seek."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Generic, TypeVar

from driftline.clock import Clock
from driftline.errors import LogGap, Misconfigured, StateCorrupt
from driftline.runtime.cycle import Cycle
from driftline.runtime.limiter import RateLimiter
from driftline.runtime.log import Bounds, GroupConsumer, LogWriter
from driftline.runtime.observe import Observer
from driftline.runtime.outbox import decode_outbox
from driftline.runtime.owned import LoopSettings, Owned
from driftline.runtime.stage import Batch, Folded, Recovery, Stage
from driftline.runtime.store import Slot, Snapshot, Store

STRUCTURE = "structure"
FINGERPRINT = "fingerprint"

State = TypeVar("State")
Prepared = TypeVar("Prepared")


class Takeover(Generic[State, Prepared]):
    """Makes an `Owned` of a partition that was assigned to us. Whatever it raises, nothing is lost by it."""

    def __init__(
        self,
        cycle: Cycle[State, Prepared],
        stage: Stage[State, Prepared],
        consumer: GroupConsumer,
        writer: LogWriter,
        store: Store,
        clock: Clock,
        settings: LoopSettings,
        observer: Observer,
    ) -> None:
        self._cycle = cycle
        self._stage = stage
        self._consumer = consumer
        self._writer = writer
        self._store = store
        self._clock = clock
        self._settings = settings
        self._observer = observer

    async def acquire(self, partition: int, lost: bool) -> Owned[State]:
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
            await self._cycle.write(owned, here, Folded(state, recovery.start, fields, recovery.announce, delete))
        self._consumer.seek(partition, recovery.start)
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
