"""The durable outbox of notifications: fields of react's slot, written in the same compare-and-set as the state.

An alert is in it from the write that made it until the write that marks it sent, so a crash between POST and mark
repeats the POST, with the same id. Names sort by age. Nothing here does any I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from driftline.contracts.reactions import Alert
from driftline.contracts.records import Severity
from driftline.react.causes import rank

PREFIX: Final = "n:"
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Alert)


class Pending:
    """What waits, by field name, oldest first. At most `limit`: the oldest gives way, and that is said aloud.

    An "updated" that waits gives way to any later alert of its incident: people want the latest."""

    def __init__(self, limit: int, least: Severity) -> None:
        self._limit = limit
        self._least = least
        self._count = 0
        self._alerts: dict[str, Alert] = {}

    def load(self, fields: Mapping[str, bytes]) -> list[str]:
        """From the slot's fields; the names of those that cannot be read."""
        self._alerts, broken = {}, []
        for name in sorted(n for n in fields if n.startswith(PREFIX)):
            try:
                self._alerts[name] = _decoder.decode(fields[name])
                self._count = max(self._count, int(name[len(PREFIX) :]) + 1)
            except (msgspec.DecodeError, ValueError):
                broken.append(name)
        return broken

    def __len__(self) -> int:
        return len(self._alerts)

    def holds(self, name: str) -> bool:
        return name in self._alerts

    def oldest(self) -> list[tuple[str, Alert]]:
        return sorted(self._alerts.items())

    def take(self, alerts: Sequence[Alert]) -> tuple[dict[str, bytes], list[str], list[str]]:
        """(fields to set, fields to delete, ids dropped for want of room). Nothing changes before `apply`."""
        held, new, delete, dropped = dict(self._alerts), dict[str, Alert](), list[str](), list[str]()
        count = self._count
        for alert in alerts:
            if rank(alert.severity) < rank(self._least):
                continue
            stale = [
                n for n, a in {**held, **new}.items() if a.incident == alert.incident and a.status == "updated"
            ]
            new[f"{PREFIX}{count:012d}"] = alert
            count += 1
            for name in stale:
                if new.pop(name, None) is None:
                    delete.append(name)
                    del held[name]
        for name in sorted({**held, **new})[: max(0, len(held) + len(new) - self._limit)]:
            dropped.append((held.get(name) or new[name]).id)
            if new.pop(name, None) is None:
                delete.append(name)
        return {name: _encoder.encode(alert) for name, alert in new.items()}, delete, dropped

    def apply(self, changed: Mapping[str, bytes], delete: Sequence[str]) -> None:
        """After the write: this is how the store stands now."""
        for name in delete:
            self._alerts.pop(name, None)
        for name in sorted(n for n in changed if n.startswith(PREFIX)):
            self._alerts[name] = _decoder.decode(changed[name])
            self._count = max(self._count, int(name[len(PREFIX) :]) + 1)
