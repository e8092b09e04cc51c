"""The durable outbox of notifications: fields of react's slot, written in the same compare-and-set as the state.

An alert or a request is in it from the write that made it until the write that marks it sent, so a crash between
POST and mark repeats the POST, with the same id. Names sort by age. Nothing here does any I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import Severity
from driftline.react.causes import rank
from driftline.react.draft import Said

PREFIX: Final = "n:"
_encoder: Final = msgspec.json.Encoder()
_alert: Final = msgspec.json.Decoder(Alert)
_request: Final = msgspec.json.Decoder(RetrainingRequested)
_DIGITS: Final = 12
_REQUEST: Final = ":r"
"""What the names of requests end in."""


class Pending:
    """What waits, by field name, oldest first. At most `limit`: the oldest gives way, and that is said aloud.

    An "updated" that waits gives way to any later alert of its incident: people want the latest."""

    def __init__(self, limit: int, least: Severity) -> None:
        self._limit = limit
        self._least = least
        self._count = 0
        self._said: dict[str, Said] = {}

    def load(self, fields: Mapping[str, bytes]) -> list[str]:
        """From the slot's fields; the names of those that cannot be read."""
        self._said, broken = {}, []
        for name in sorted(n for n in fields if n.startswith(PREFIX)):
            try:
                self._hold(name, fields[name])
            except (msgspec.DecodeError, ValueError):
                broken.append(name)
        return broken

    def _hold(self, name: str, data: bytes) -> None:
        self._count = max(self._count, int(name[len(PREFIX) :][:_DIGITS]) + 1)
        self._said[name] = (_request if name.endswith(_REQUEST) else _alert).decode(data)

    def __len__(self) -> int:
        return len(self._said)

    def holds(self, name: str) -> bool:
        return name in self._said

    def oldest(self) -> list[tuple[str, Said]]:
        return sorted(self._said.items())

    def take(self, said: Sequence[Said]) -> tuple[dict[str, bytes], list[str], list[str]]:
        """(fields to set, fields to delete, ids dropped for want of room). Nothing changes before `apply`."""
        held, new, delete, dropped = dict(self._said), dict[str, Said](), list[str](), list[str]()
        count = self._count
        for one in said:
            name, stale = f"{PREFIX}{count:0{_DIGITS}d}", list[str]()
            if isinstance(one, Alert):
                if rank(one.severity) < rank(self._least):
                    continue
                stale = [n for n, other in {**held, **new}.items() if _superseded(other, one)]
            else:
                name += _REQUEST
            new[name] = one
            count += 1
            for name in stale:
                if new.pop(name, None) is None:
                    delete.append(name)
                    del held[name]
        for name in sorted({**held, **new})[: max(0, len(held) + len(new) - self._limit)]:
            dropped.append((held.get(name) or new[name]).id)
            if new.pop(name, None) is None:
                delete.append(name)
        return {name: _encoder.encode(one) for name, one in new.items()}, delete, dropped

    def apply(self, changed: Mapping[str, bytes], delete: Sequence[str]) -> None:
        """After the write: this is how the store stands now."""
        for name in delete:
            self._said.pop(name, None)
        for name in sorted(n for n in changed if n.startswith(PREFIX)):
            self._hold(name, changed[name])


def _superseded(waiting: Said, alert: Alert) -> bool:
    return isinstance(waiting, Alert) and waiting.incident == alert.incident and waiting.status == "updated"
