"""React over a log and a store: one message, one compare-and-set, publish, acknowledge. Knows nothing of Faust.

The order of a message, and the crash that each place defends against:

1. *skip* what is below the stored position of its topic: an acknowledgement that was lost costs nothing. What lies
   between the position and the message is read first: an acknowledgement that came too early costs nothing either.
2. *react*: pure. Dying here leaves the message unacknowledged and the store as it was.
3. *compare-and-set* {state, position, outbox, notifications} in one script. Dying after it: the outbox is in the
   store, and whoever takes over publishes it. A zombie's is refused, because its token is no longer the stored one.
4. *publish* the outbox and wait for the acknowledgement. The next write replaces the outbox, so it comes after.
5. return, which acknowledges the message. Failures of store and log are retried in place: a handler that raises
   would be taken for one that is done.

So no alert and no request is lost, and what is published twice has the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from driftline.clock import Clock
from driftline.contracts.reactions import Command, Fact, content_id
from driftline.errors import Fenced, LogGap, Poison, StateCorrupt, StateLost, Transient, origin
from driftline.outgoing import dead_letter_record
from driftline.react.core import Message, Question, questions, react
from driftline.react.delivery import delivered, unconfigured
from driftline.react.draft import Reaction
from driftline.react.made import Made
from driftline.react.notify.addressing import hand_over, tell
from driftline.react.notify.notification import Notification
from driftline.react.notify.outbox import Outbox
from driftline.react.observe import ReactObserver
from driftline.react.reading import bounds_of, ids_on, in_log_order, newest_of
from driftline.react.slot import SLOT, ReactSlot
from driftline.react.state import CORE, MODEL_PREFIX, POLICY, State, from_fields, gone_fields, to_fields
from driftline.react.topics import ROLES, Role, command_record, decode, said_record
from driftline.react.worker_settings import WorkerSettings
from driftline.runtime.log import Bounds, LogReader, LogWriter, Record
from driftline.runtime.outbox import decode_outbox
from driftline.runtime.retry import Sleep, until_done
from driftline.runtime.store import Store
from driftline.system_signals import gap_signal, state_lost_signal

T = TypeVar("T")

NAME: Final = "react"
TOGETHER: Final = 50
"""Messages in one write while catching up."""
FENCED_WAIT_S: Final = 1.0
"""A zombie learns of its end by the next heartbeat: it should not fence its successor before that."""
OLD_MS: Final = 3_600_000
"""While a lost state is rebuilt, alerts of records so much older than the newest on the log are not notified again."""


class ReactWorker:
    """One active instance. `assigned` and `revoked` say whether the group has given us the topics; `ensure` takes
    over, `handle` takes a message; both may be called at any time, and one thing is done at a time."""

    def __init__(
        self,
        settings: WorkerSettings,
        store: Store,
        reader: LogReader,
        writer: LogWriter,
        clock: Clock,
        observer: ReactObserver | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._topics = settings.topics
        self._slot = ReactSlot(store)
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._observer = observer or ReactObserver()
        self._sleep = sleep
        self._one = asyncio.Lock()
        self._ours = False
        self._turn = self._held = 0  # how often the topics were taken from us; and then, when the state was loaded
        self._state: State | None = None
        self._rebuilding = False
        self._lost = False
        self._known: frozenset[str] = frozenset()
        self._newest = 0
        self._ticked = ""
        self.outbox = Outbox(settings.routes.receivers, settings.max_pending)
        self._changed = {receiver: asyncio.Event() for receiver in settings.routes.receivers}

    @property
    def between(self) -> asyncio.Lock:
        """Whoever holds it is between two messages."""
        return self._one

    def reconfigure(self, settings: WorkerSettings) -> None:
        """Go by these from here on; `between` is to be held. The topics stay. The state is loaded anew, as by a
        successor: that ends what the settings know no more, and what waits for a receiver goes on waiting."""
        self._settings = settings
        for gone in self._changed.keys() - set(settings.routes.receivers):
            self._observer.pending(gone, 0)
        self.outbox = Outbox(settings.routes.receivers, settings.max_pending)
        self._changed = {r: self._changed.get(r) or asyncio.Event() for r in settings.routes.receivers}
        self._drop("reloaded")

    def assigned(self) -> None:
        self._ours = True

    def revoked(self) -> None:
        """Whatever is being retried is given up, and the state is loaded anew should the topics come back."""
        self._ours = False
        self._turn += 1
        if self._state is not None:
            self._observer.released(NAME, 0, "revoked")

    @property
    def active(self) -> bool:
        """Whether we hold the slot and its state."""
        return self._ours and self._state is not None and self._held == self._turn

    @property
    def state(self) -> State | None:
        """The state as written last; None while we stand by."""
        return self._state if self.active else None

    def changed(self, receiver: str) -> asyncio.Event:
        """Set whenever a receiver may have more to be told."""
        return self._changed[receiver]

    async def ensure(self) -> None:
        """Take over if the topics are ours and the slot is not. Returns when that is so, or when they are gone."""
        async with self._one:
            await self._persist(self._owned)

    async def handle(self, role: Role, record: Record) -> None:
        """Take one message; returns when its effect is written and published, or when the topics are not ours any
        more (then its successor takes it)."""

        async def take() -> None:
            state = await self._owned()
            at = state.positions.get(role, 0)
            if record.offset > at:
                await self._catch_up({role: record.offset})
            if self._state is not None and record.offset >= self._state.positions.get(role, 0):
                await self._fold([(role, record)])

        async with self._one:
            await self._persist(take)

    async def catch_up(self, until: Mapping[Role, int]) -> None:
        """Take what lies before `until`, whether or not the group brings it."""

        async def take() -> None:
            await self._owned()
            await self._catch_up(until)

        async with self._one:
            await self._persist(take)

    async def settle(self, name: str, one: Notification, error: str | None, receipt: str | None) -> None:
        """A notification has been taken (error None), or never will be: mark it, and keep the receipt."""

        async def mark() -> None:
            state = await self._owned()
            if one.receiver not in self._settings.routes.receivers:
                return
            reaction = delivered(state, one.receiver, one.id, error, self._settings.policy)
            made = self._made(reaction.state)
            made.edit.settle(name, one, error is None, receipt, state.now)
            self._add(made, reaction, notify=True)
            await self._write(made)

        async with self._one:
            await self._persist(mark)

    async def tick(self, closed: int, facts: list[Fact]) -> bool:
        """Append a tick to `commands`: all that timers ever do. Only the active instance does, and only when the
        tick says something new. Raises Transient."""
        id = content_id("tick", closed, msgspec.json.encode(facts).decode())
        if not self.active or id == self._ticked:
            return False
        command = Command(id=id, what="tick", time=closed, facts=facts)
        await self._writer.publish([command_record(self._topics.commands, command)])
        self._ticked = id
        return True

    def questions(self) -> list[Question]:
        """What the next tick should bring facts about."""
        return questions(self._state) if self._state is not None and self.active else []

    async def _persist(self, call: Callable[[], Awaitable[object]]) -> None:
        """Repeat until it is done or the topics are gone; each kind of error has its one action. The state is only
        kept where the call has succeeded and nobody has revoked the topics meanwhile: otherwise an outbox that was
        written but not published would be forgotten."""
        attempt = 0
        while self._ours:
            if self._held != self._turn:
                self._state, self._held = None, self._turn
            done = False
            try:
                await call()
                done = True
                return
            except Fenced:
                self._drop("fenced")
                await self._sleep(FENCED_WAIT_S)
            except StateLost as error:
                self._observer.state_lost(NAME, 0, str(error))
                self._lost = True
                self._drop("state_lost")
            except Transient as error:
                attempt += 1
                self._observer.retrying(NAME, "take_over", attempt, str(error))
                self._observer.beat()
                self._drop("abandoned")
                await self._sleep(min(0.05 * 2.0**attempt, 2.0))
            finally:
                if not done:
                    self._state = None

    def _drop(self, reason: str) -> None:
        if self._state is not None:
            self._observer.released(NAME, 0, reason)
        self._state = None

    async def _retry(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        def on_retry(attempt: int, error: Transient) -> None:
            self._observer.retrying(NAME, what, attempt, str(error))
            self._observer.beat()

        return await until_done(call, give_up=lambda: not self._ours, on_retry=on_retry, sleep=self._sleep)

    async def _owned(self) -> State:
        """Write our token, load the state, publish what its outbox still holds, and read what came meanwhile.

        The token first, so that nobody else's write comes after our reading; the outbox before anything new, which
        would replace it."""
        if self._state is not None:
            return self._state
        snapshot = await self._slot.acquire()
        state, broken = from_fields(snapshot.fields)
        loaded = self.outbox.load(snapshot.fields)
        broken += loaded.broken
        for name in broken:
            self._observer.quarantined(NAME, 0, name)
            await self._slot.store.quarantine(SLOT, name, snapshot.fields[name])
        try:
            pending = decode_outbox(snapshot.outbox)
        except StateCorrupt:
            self._observer.quarantined(NAME, 0, "outbox")
            await self._slot.store.quarantine(SLOT, "outbox", snapshot.outbox)
            pending = []
        if pending:
            await self._writer.publish(pending)
        bounds = {role: await bounds_of(self._reader, self._topics.read(role)) for role in ROLES}
        made = self._made(state or State(rebuilding=True))
        for one in hand_over(loaded.dropped, self._settings.routes, made.edit):
            self._observer.dropped(one.receiver, one.id)
        if state is None:
            made.state.positions = {role: bounds[role].begin for role in ROLES}
        await self._say_loss(made, bounds, new=state is None)
        self._check_bounds(made, bounds)
        self._rebuilding = made.state.rebuilding
        said = (self._topics.alerts, self._topics.retraining)
        self._known = await ids_on(self._reader, said) if self._rebuilding else frozenset()
        self._newest = await newest_of(self._reader, self._topics, bounds) if self._rebuilding else 0
        if state is None or made.outbox or broken or loaded.stale:
            stale = [n for n in snapshot.fields if state is None and n.startswith((MODEL_PREFIX, POLICY))]
            await self._write(made, sorted({*broken, *stale, *loaded.stale} - {CORE}))
        self._state, self._lost = made.state, False
        await self._catch_up({role: bounds[role].end for role in ROLES})
        reaction = unconfigured(self._state, self._settings.routes.receivers, self._settings.policy)
        if reaction.outbox:
            self._add(made := self._made(self._state), reaction, notify=True)
            await self._write(made)
        if self._state.rebuilding:
            self._rebuilding, self._known = False, frozenset()
            await self._write(self._made(msgspec.structs.replace(self._state, rebuilding=False)))
        self._observer.owned(NAME, 0, self._state.positions.get("signals", 0), 0)
        self._observer.stands(self._state)
        for receiver in self._changed:
            self._notes_wait(receiver)
        return self._state

    async def _say_loss(self, made: Made, bounds: dict[Role, Bounds], new: bool) -> None:
        """An empty store is a loss if react has spoken before, else the first start."""
        lost = self._lost
        if new and not lost:
            said = [
                await bounds_of(self._reader, topic) for topic in (self._topics.alerts, self._topics.retraining)
            ]
            lost = any(held.end > 0 for held in said)
        if lost:
            start, until = made.state.positions.get("signals", 0), bounds["signals"].end
            self._observer.state_lost(NAME, 0, f"rebuilt from {start} to {until}")
            made.outbox.append(state_lost_signal(self._topics.signals, NAME, 0, start, until))

    def _check_bounds(self, made: Made, bounds: dict[Role, Bounds]) -> None:
        """Records that are gone before they were read: said aloud, and gone on behind them."""
        for role in ROLES:
            at, held = made.state.positions.get(role, 0), bounds[role]
            if held.begin <= at <= held.end:
                continue
            gap = LogGap(self._topics.read(role), at, held.begin, "React goes on with what there is.")
            self._observer.gap(NAME, 0, str(gap))
            made.outbox.append(gap_signal(self._topics.signals, NAME, ROLES.index(role), gap))
            made.move(role, held.begin)

    async def _catch_up(self, until: Mapping[Role, int]) -> None:
        """Take what lies before `until`, many messages in one write."""
        assert self._state is not None
        batch: list[tuple[Role, Record]] = []
        async for role, record in in_log_order(self._reader, self._topics, self._state.positions, until):
            batch.append((role, record))
            if len(batch) == TOGETHER:
                await self._fold(batch)
                batch = []
        if batch:
            await self._fold(batch)

    async def _fold(self, batch: Sequence[tuple[Role, Record]]) -> None:
        assert self._state is not None
        if self._held != self._turn:
            raise Transient("the topics were taken from us")
        started = self._clock.monotonic()
        made = self._made(self._state)
        for role, record in batch:
            self._take(made, role, record)
        await self._write(made)
        self._observer.folded(NAME, 0, len(batch), self._clock.monotonic() - started)
        self._observer.beat()

    def _take(self, made: Made, role: Role, record: Record) -> None:
        try:
            message = decode(role, record)
            try:
                reaction = react(made.state, message, self._settings.policy)
            except Exception as error:  # a defect of ours in one record must not stop the rest
                self._observer.fold_failed(NAME, 0, record.offset, origin(error))
                raise Poison("fold_error", f"{type(error).__name__} while reacting") from error
        except Poison as why:
            made.outbox.append(dead_letter_record(self._topics.deadletter, 0, record, why))
            made.refused += 1
        else:
            old = self._rebuilding and record.timestamp < self._newest - OLD_MS
            self._add(made, reaction, notify=not old, message=message)
        made.move(role, record.offset + 1)

    def _made(self, state: State) -> Made:
        return Made(state, self.outbox.edit())

    def _add(self, made: Made, reaction: Reaction, notify: bool, message: Message | None = None) -> None:
        """`message`: what the reaction is to, where others than react may want to be told of it."""
        made.state = reaction.state
        made.dirty |= reaction.dirty
        for note in reaction.notes:
            self._observer.noted(note)
        fresh = [one for one in reaction.outbox if one.id not in self._known]
        made.said += fresh
        made.outbox += [said_record(self._topics, one) for one in fresh]
        if notify:
            tell(reaction, message, self._settings.routes, made.edit)
        made.edit.forget(reaction.forgotten, reaction.state.now)

    async def _write(self, made: Made, delete: Sequence[str] = ()) -> None:
        edit = made.edit
        changed = to_fields(made.state, made.dirty) | edit.set
        gone = [*delete, *gone_fields(made.state, made.dirty), *sorted(edit.delete)]
        write = self._slot.prepare(changed, gone, made.outbox)
        verdict = await self._retry("commit", lambda: self._slot.commit(write))
        size = sum(map(len, write.set.values())) + len(write.outbox)
        self._observer.committed(NAME, 0, verdict.value, size)
        self._state = made.state
        if made.dirty:
            self._observer.stands(made.state)
        self.outbox.apply(edit)
        for one in edit.dropped:
            self._observer.dropped(one.receiver, one.id)
        if made.outbox:
            await self._retry("publish", lambda: self._writer.publish(made.outbox))
            self._observer.published(NAME, 0, len(made.outbox), made.refused)
            for said in made.said:
                self._observer.said(said)
        for receiver in edit.lines:
            self._notes_wait(receiver)

    def _notes_wait(self, receiver: str) -> None:
        self._observer.pending(receiver, self.outbox.counts()[receiver])
        self._changed[receiver].set()
