"""The demo's event time, shared by its processes: the publisher sets it, a file holds it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

FILE: Final = "event-time"
_LOOK_S: Final = 0.1


class EventClock:
    """A `Clock` whose wall time is the event time in a file, ms; 0 before it was first set. It stands still between
    two settings, and never goes back."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._now = 0

    def now_ms(self) -> int:
        if self._file.exists():
            self._now = max(self._now, int(self._file.read_text()))
        return self._now

    def monotonic(self) -> float:
        return time.monotonic()

    def set(self, now_ms: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(now_ms))
        new.replace(self._file)  # so that nobody reads half a number

    async def reach(self, time_ms: int) -> None:
        """Wait until it is `time_ms`."""
        while self.now_ms() < time_ms:  # noqa: ASYNC110 - it is set by another process
            await asyncio.sleep(_LOOK_S)
