"""Publishes a script at a steady rate and remembers when it said what."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from typing import Final

from driftline.clock import Clock
from driftline.demo.events import COPY, OUTCOME, POISON, PREDICTION, Script
from driftline.runtime.log import LogWriter

CHUNK_S: Final = 0.1
"""Events are sent in chunks of so much of a second."""


class Publisher:
    """`run` publishes everything; the rest tells how far it has come. One chunk is acknowledged before the next
    is sent, so event time reaches the log in order."""

    def __init__(
        self, script: Script, writer: LogWriter, topic: str, partitions: int, per_second: int, clock: Clock
    ) -> None:
        self._script = script
        self._writer = writer
        self._topic = topic
        self._partitions = partitions
        self._chunk = max(1, round(per_second * CHUNK_S))
        self._clock = clock
        self._begins: list[int] = []
        self._sent_at: list[int] = []
        self._counts: Counter[int] = Counter()
        self._started = 0.0
        self.done = 0
        self.by_partition = dict.fromkeys(range(partitions), 0)

    @property
    def total(self) -> int:
        return self._script.n

    @property
    def predictions(self) -> int:
        """Published as prediction events, copies and poison included."""
        return self._counts[PREDICTION] + self._counts[COPY] + self._counts[POISON]

    @property
    def outcomes(self) -> int:
        return self._counts[OUTCOME]

    @property
    def event_time(self) -> int:
        """Event time of what is published next, ms; of the last event in the end."""
        return int(self._script.at[min(self.done, self._script.n - 1)])

    @property
    def per_second(self) -> float:
        """Events published a second so far."""
        return self.done / max(self._clock.monotonic() - self._started, CHUNK_S)

    async def run(self) -> None:
        """Never more than the rate, less where the log is slower. Transient passes through."""
        started = self._started = self._clock.monotonic()
        for first in range(0, self._script.n, self._chunk):
            after = min(first + self._chunk, self._script.n)
            records = self._script.records(first, after, self._topic, self._partitions)
            early = started + first / self._chunk * CHUNK_S - self._clock.monotonic()
            await asyncio.sleep(max(0.0, early))
            self._begins.append(int(self._script.at[first]))
            self._sent_at.append(self._clock.now_ms())
            await self._writer.publish(records)
            self._counts.update(self._script.kind[first:after].tolist())
            for record in records:
                self.by_partition[record.partition] += 1
            self.done = after

    def sent_before(self, time: int) -> int | None:
        """Wall time, ms, at which the last event older than event time `time` was sent; None if there is none."""
        chunk = bisect_left(self._begins, time) - 1
        return self._sent_at[chunk] if chunk >= 0 else None
