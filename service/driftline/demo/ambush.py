"""Waits for the moment in which judge has published an alarm over errors: that is when react is killed.

The retraining request hangs on that signal, and react needs some tens of milliseconds to answer it."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from driftline.contracts.cloudevents import decode_signal
from driftline.demo.memory_audit import StoreAudit
from driftline.errors import Transient
from driftline.runtime.log import LogReader

LOOK_EVERY_S: Final = 0.002
_ERRORS: Final = frozenset({"error", "loss", "abs_error"})


class Ambush:
    """`signals`: the name of the topic, read from its begin."""

    def __init__(self, reader: LogReader, store: StoreAudit, signals: str) -> None:
        self._reader = reader
        self._store = store
        self._signals = signals
        self._read = 0

    async def sprung(self) -> bool:
        """Whether such an alarm has been published since the last look."""
        with suppress(Transient):
            end = await self._end()
            if end > self._read:
                records = await self._reader.read(self._signals, 0, self._read, end)
                self._read = end
                found = (decode_signal(record.value) for record in records)
                return any(s.state == "alarm" and s.monitor.partition(":")[0] in _ERRORS for s in found)
        return False

    async def unanswered(self) -> int:
        """How many signals are published that react has not taken."""
        with suppress(Transient):
            return max(0, await self._end() - (await self._store.reacted()).get("signals", 0))
        return 0

    async def _end(self) -> int:
        return (await self._reader.bounds_of(self._signals, [0]))[0].end
