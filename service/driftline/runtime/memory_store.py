"""A store in memory: same verdicts and meetings as Redis (one contract suite), and what faults need beside them.

Clients (`MemoryStore`) share a `MemoryServer` as processes share a Redis. A call never yields to the event
loop, so every call is atomic. Used by tests, by the fault harness and by the backtest; nothing is kept on disk.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from driftline.errors import Transient
from driftline.runtime.store import Half, JoinMode, JoinTotals, Meeting, Met, Slot, Snapshot, Verdict, Write

MAX_QUARANTINED: Final = 16
"""Unreadable fields kept for each slot, in Redis too; the oldest go first."""

_NEW: Final = Meeting(Met.NEW)
_SETTLED: Final = Meeting(Met.SETTLED)
_DUPLICATE: Final = Meeting(Met.DUPLICATE)
_UNKNOWN: Final = -1


class _Entry(NamedTuple):
    """A half that waits (`joined` is False), or a pair: `side` and `origin` are then the emitter's.

    `payload` is what the next half needs: the waiting half's, or in a pair the partner's, because the emitter
    alone is answered with a payload again. `partner` is the partner's origin, `_UNKNOWN` after a refold that met
    the emitter only.
    """

    joined: bool
    side: str
    origin: int
    payload: bytes
    partner: int = _UNKNOWN


@dataclass(slots=True)
class _Record:
    owner: str = ""
    next: int | None = None
    batch: str | None = None
    fields: dict[str, bytes] = field(default_factory=dict)
    outbox: bytes = b""


@dataclass(slots=True)
class _Contents:
    slots: dict[Slot, _Record] = field(default_factory=dict)
    quarantine: dict[Slot, list[tuple[str, bytes]]] = field(default_factory=dict)
    days: dict[int, dict[bytes, _Entry]] = field(default_factory=dict)
    joined: int = 0
    expired: dict[str, int] = field(default_factory=lambda: {"P": 0, "O": 0})


class MemoryServer:
    """What the clients share. `available = False` makes every call fail, `full = True` those that take memory."""

    def __init__(self) -> None:
        self.available = True
        self.full = False
        self.contents = _Contents()

    def snapshot(self) -> object:
        """A deep copy of everything held, for `restore`."""
        return copy.deepcopy(self.contents)

    def restore(self, snapshot: object) -> None:
        """Go back to `snapshot`, as a fail-over to a lagging replica or a restart of a log of every second does."""
        if not isinstance(snapshot, _Contents):
            raise TypeError("restore takes what snapshot() returned")
        self.contents = copy.deepcopy(snapshot)

    def wipe(self) -> None:
        """Hold nothing, as after FLUSHALL or an empty replacement."""
        self.contents = _Contents()


class MemoryStore:
    """A client of `server` (its own, if none is given)."""

    def __init__(self, server: MemoryServer | None = None) -> None:
        self.server = server or MemoryServer()

    async def check(self) -> None:
        self._contents()

    async def acquire(self, slot: Slot, token: str) -> Snapshot:
        record = self._contents(takes_memory=True).slots.setdefault(slot, _Record())
        record.owner = token
        return Snapshot(record.next, dict(record.fields), record.outbox)

    async def commit(self, slot: Slot, write: Write) -> Verdict:
        record = self._contents(takes_memory=True).slots.get(slot)
        if record is None:
            return Verdict.LOST
        if record.batch == write.batch:
            return Verdict.REPEATED
        if record.owner != write.token:
            return Verdict.FENCED
        if record.next != write.begin or (write.after and record.batch != write.after):
            return Verdict.MOVED
        for name in write.delete:
            record.fields.pop(name, None)
        record.fields.update(write.set)
        record.next, record.batch, record.outbox = write.next, write.batch, write.outbox
        return Verdict.APPLIED

    async def read(self, slot: Slot) -> Snapshot:
        record = self._contents().slots.get(slot, _Record())
        return Snapshot(record.next, dict(record.fields), record.outbox)

    async def peek(self, slot: Slot, names: Sequence[str]) -> dict[str, bytes]:
        """Some fields of a slot, those that it has, without taking it."""
        fields = (await self.read(slot)).fields
        return {name: fields[name] for name in names if name in fields}

    async def quarantine(self, slot: Slot, name: str, value: bytes) -> None:
        kept = self._contents(takes_memory=True).quarantine.setdefault(slot, [])
        kept.insert(0, (name, value))
        del kept[MAX_QUARANTINED:]

    async def quarantined(self, slot: Slot) -> list[tuple[str, bytes]]:
        """What `quarantine` keeps of a slot, newest first."""
        return list(self._contents().quarantine.get(slot, ()))

    async def join(self, day: int, halves: Sequence[Half]) -> list[Meeting]:
        contents = self._contents(takes_memory=True)
        live = [contents.days[d] for d in sorted(contents.days, reverse=True)]
        meetings = []
        for half in halves:
            home, entry = None, None
            for entries in live:
                entry = entries.get(half.key)
                if entry is not None:
                    home = entries
                    break
            changed, meeting = _meet(entry, half)
            if changed is not None:
                if home is None:
                    home = contents.days.get(day)
                    if home is None:
                        home = contents.days[day] = {}
                        live = [contents.days[d] for d in sorted(contents.days, reverse=True)]
                home[half.key] = changed
                contents.joined += changed.joined and not (entry is not None and entry.joined)
            meetings.append(meeting)
        return meetings

    async def expire(self, day: int) -> None:
        contents = self._contents()
        for old in [d for d in contents.days if d < day]:
            for entry in contents.days.pop(old).values():
                if not entry.joined:
                    contents.expired[entry.side] += 1

    async def join_totals(self) -> JoinTotals:
        contents = self._contents()
        pending = {"P": 0, "O": 0}
        for entries in contents.days.values():
            for entry in entries.values():
                if not entry.joined:
                    pending[entry.side] += 1
        return JoinTotals(pending["P"], pending["O"], contents.joined, contents.expired["P"], contents.expired["O"])

    async def reset_join(self) -> None:
        contents = self._contents()
        contents.days, contents.joined, contents.expired = {}, 0, {"P": 0, "O": 0}

    async def close(self) -> None: ...

    def _contents(self, *, takes_memory: bool = False) -> _Contents:
        if not self.server.available:
            raise Transient("the store in memory is switched off")
        if takes_memory and self.server.full:
            raise Transient("the store in memory is full")
        return self.server.contents


def _meet(entry: _Entry | None, half: Half) -> tuple[_Entry | None, Meeting]:
    """What `entry` becomes (None: it stays) and what `half` is told. The same table as in `store.lua`.

    A half that is published (SILENT, EMITTED) was counted, whatever the store remembers: it takes the place of
    another of its id and side, which a worker left here whose write was refused. EMITTED, it becomes the emitter
    in any case, or the pair would be emitted a second time.
    """
    published, emitted = half.mode is not JoinMode.FRESH, half.mode is JoinMode.EMITTED
    if entry is None or (not entry.joined and entry.side == half.side):
        if emitted:
            return _Entry(True, half.side, half.origin, b""), Meeting(Met.PAIRED)
        if entry is not None and entry.origin == half.origin:
            return None, _NEW
        if entry is None or published:
            return _Entry(False, half.side, half.origin, half.payload), _NEW
        return None, _DUPLICATE
    if not entry.joined:
        pair = _Entry(True, half.side, half.origin, entry.payload, entry.origin)
        return pair, Meeting(Met.PAIRED, entry.payload)
    if entry.side == half.side:
        if entry.origin == half.origin:
            return None, Meeting(Met.PAIRED, entry.payload)
        if published and entry.partner != _UNKNOWN:
            return entry._replace(origin=half.origin), Meeting(Met.PAIRED, entry.payload)
        return None, _DUPLICATE
    if entry.partner == _UNKNOWN:
        return entry._replace(payload=half.payload, partner=half.origin), _SETTLED
    if emitted:
        return _Entry(True, half.side, half.origin, b"", entry.origin), Meeting(Met.PAIRED)
    if entry.partner == half.origin:
        return None, _SETTLED
    if published:
        return entry._replace(payload=half.payload, partner=half.origin), _SETTLED
    return None, _DUPLICATE
