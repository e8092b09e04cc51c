"""The durable outbox: what each receiver has still to be told, and what it has been told of which incident.

Its fields are of react's slot, written in the same compare-and-set as the state. A notification is in it from the
write that made it until the write that marks it sent, so a crash between POST and mark repeats the POST, with the
same id. What has been heard is kept until the incident is forgotten: the receipt (a thread's id, say), and that there
is somebody to be told of the end. Names sort by age. Nothing here does any I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

import msgspec

from driftline.react.notify.notification import Notification

WAITING: Final = "n:"
HEARD: Final = "r:"
MAX_HEARD: Final = 10_000
"""Incidents a receiver is remembered to have heard of; the one it was told of longest ago goes first."""
PASSING: Final = frozenset({"updated", "repeated"})
"""What is overtaken by anything later of its incident, and the first to give way."""
_DIGITS: Final = 12
_encoder: Final = msgspec.json.Encoder()
_waiting: Final = msgspec.json.Decoder(Notification)


class Heard(msgspec.Struct, frozen=True):
    """A receiver has been told of `key` at `time` (event time, ms); `gone`: the last of it is what still waits."""

    key: str
    time: int
    receipt: str | None = None
    gone: bool = False


_heard: Final = msgspec.json.Decoder(Heard)


class Loaded(NamedTuple):
    """`broken`: names of fields that cannot be read. `stale`: those of receivers that are configured no more;
    `dropped`: what will not be told therefore."""

    broken: list[str]
    stale: list[str]
    dropped: list[Notification]


class _Line:
    """One receiver's: what waits by field name, oldest first; how much of it is of which key; what has been heard."""

    def __init__(self) -> None:
        self.waiting: dict[str, Notification] = {}
        self.keys: dict[str, int] = {}
        self.heard: dict[str, Heard] = {}

    def copy(self) -> _Line:
        line = _Line()
        line.waiting, line.keys, line.heard = dict(self.waiting), dict(self.keys), dict(self.heard)
        return line

    def put(self, name: str, notification: Notification) -> None:
        self.waiting[name] = notification
        self.keys[notification.key] = self.keys.get(notification.key, 0) + 1

    def pop(self, name: str) -> Notification:
        gone = self.waiting.pop(name)
        self.keys[gone.key] -= 1
        if not self.keys[gone.key]:
            del self.keys[gone.key]
        return gone


class Outbox:
    """At most `limit` notifications wait for a receiver."""

    def __init__(self, receivers: Iterable[str] = (), limit: int = 1_000) -> None:
        self.limit = limit
        self._lines = {name: _Line() for name in receivers}
        self._count = 0

    def load(self, fields: Mapping[str, bytes]) -> Loaded:
        """From the slot's fields; what was held before is forgotten."""
        self._lines, self._count = {name: _Line() for name in self._lines}, 0
        loaded = Loaded([], [], [])
        heard: list[tuple[str, Heard]] = []
        for name in sorted(n for n in fields if n.startswith((WAITING, HEARD))):
            receiver = name.split(":")[1]
            try:
                if name.startswith(HEARD):
                    heard.append((receiver, _heard.decode(fields[name])))
                    if receiver not in self._lines:
                        loaded.stale.append(name)
                    continue
                count, one = int(name.split(":")[2]), _waiting.decode(fields[name])
            except (msgspec.DecodeError, ValueError, IndexError):
                loaded.broken.append(name)
                continue
            self._count = max(self._count, count + 1)
            if receiver in self._lines:
                self._lines[receiver].put(name, one)
            else:
                loaded.stale.append(name)
                loaded.dropped.append(one)
        for receiver, one_heard in sorted(heard, key=lambda item: item[1].time):
            if receiver in self._lines:
                self._lines[receiver].heard[one_heard.key] = one_heard
        return loaded

    def __len__(self) -> int:
        return sum(len(line.waiting) for line in self._lines.values())

    def counts(self) -> dict[str, int]:
        return {receiver: len(line.waiting) for receiver, line in self._lines.items()}

    def holds(self, receiver: str, name: str, id: str) -> bool:
        waiting = self._lines[receiver].waiting.get(name)
        return waiting is not None and waiting.id == id

    def oldest(self, receiver: str) -> list[tuple[str, Notification]]:
        return list(self._lines[receiver].waiting.items())

    def receipt(self, receiver: str, key: str) -> str | None:
        heard = self._lines[receiver].heard.get(key)
        return None if heard is None else heard.receipt

    def edit(self) -> Edit:
        return Edit(self._lines, self._count, self.limit)

    def apply(self, edit: Edit) -> None:
        """After the write: this is how the store stands now."""
        self._lines.update(edit.lines)
        self._count = edit.count


class Edit:
    """Changes in the making: the outbox stays as it is until they are applied. `set` and `delete` are fields of the
    slot; `dropped`: what gives way for want of room; `fresh`: the receivers that have more to be told."""

    def __init__(self, lines: Mapping[str, _Line], count: int, limit: int) -> None:
        self.count = count
        self.lines: dict[str, _Line] = {}
        self.set: dict[str, bytes] = {}
        self.delete: set[str] = set()
        self.dropped: list[Notification] = []
        self.fresh: set[str] = set()
        self._former = lines
        self._limit = limit

    def told(self, key: str) -> Collection[str]:
        """The receivers that have heard of `key`, or are about to."""
        return [r for r in self._former if key in (line := self._look(r)).heard or key in line.keys]

    def put(self, notifications: Sequence[Notification]) -> None:
        """Last in the line of each one's receiver."""
        for one in notifications:
            line = self._line(one.receiver)
            stale = line.waiting.items() if one.key in line.keys else ()
            for name in [name for name, waiting in stale if _overtakes(one, waiting)]:
                self._remove(one.receiver, name)
            name = f"{WAITING}{one.receiver}:{self.count:0{_DIGITS}d}"
            self.count += 1
            line.put(name, one)
            self._write(name, _encoder.encode(one))
            self.fresh.add(one.receiver)
            for first in _give_way(line.waiting, len(line.waiting) - self._limit):
                self.dropped.append(self._remove(one.receiver, first))

    def settle(self, name: str, one: Notification, taken: bool, receipt: str | None, now: int) -> None:
        """`one` is out of the line; if `taken`, its receiver has heard of its incident."""
        line = self._line(one.receiver)
        waiting = line.waiting.get(name)
        held = line.heard.get(one.key)
        if taken and one.alert is not None:
            known = None if held is None else held.receipt
            gone = held is not None and held.gone
            self._hear(one.receiver, Heard(one.key, now, known if receipt is None else receipt, gone))
        if waiting is not None and waiting.id == one.id:
            self._remove(one.receiver, name)

    def forget(self, keys: Sequence[str], now: int) -> None:
        """Nothing more will be said of these but what waits."""
        for receiver in self._former:
            for key in keys:
                held = self._look(receiver).heard.get(key)
                if key in self._look(receiver).keys:
                    self._hear(receiver, Heard(key, now, None if held is None else held.receipt, gone=True))
                elif held is not None:
                    self._unhear(receiver, key)

    def _look(self, receiver: str) -> _Line:
        return self.lines.get(receiver) or self._former[receiver]

    def _line(self, receiver: str) -> _Line:
        if receiver not in self.lines:
            self.lines[receiver] = self._former[receiver].copy()
        return self.lines[receiver]

    def _write(self, name: str, data: bytes) -> None:
        self.set[name] = data
        self.delete.discard(name)

    def _erase(self, name: str) -> None:
        self.set.pop(name, None)
        self.delete.add(name)

    def _remove(self, receiver: str, name: str) -> Notification:
        line = self._line(receiver)
        gone = line.pop(name)
        self._erase(name)
        held = line.heard.get(gone.key)
        if held is not None and held.gone and gone.key not in line.keys:
            self._unhear(receiver, gone.key)
        return gone

    def _hear(self, receiver: str, heard: Heard) -> None:
        line = self._line(receiver)
        line.heard.pop(heard.key, None)
        line.heard[heard.key] = heard
        self._write(_field(receiver, heard.key), _encoder.encode(heard))
        if len(line.heard) > MAX_HEARD:
            self._unhear(receiver, next(iter(line.heard)))

    def _unhear(self, receiver: str, key: str) -> None:
        del self._line(receiver).heard[key]
        self._erase(_field(receiver, key))


def _field(receiver: str, key: str) -> str:
    """Keys may be anything, so they are hashed."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"{HEARD}{receiver}:{digest}"


def _give_way(waiting: Mapping[str, Notification], surplus: int) -> list[str]:
    """Several where the limit has become less by a reload."""
    if surplus <= 0:
        return []
    passing = (name for name, one in waiting.items() if _passing(one))
    others = (name for name, one in waiting.items() if not _passing(one))
    return list(islice(chain(passing, others), surplus))


def _passing(one: Notification) -> bool:
    return one.alert is not None and one.alert.status in PASSING


def _overtakes(one: Notification, waiting: Notification) -> bool:
    """People want the latest: what only brings an incident up to date is not told once there is more to tell."""
    return (
        _passing(waiting)
        and one.alert is not None
        and waiting.alert is not None
        and one.alert.incident == waiting.alert.incident
    )
