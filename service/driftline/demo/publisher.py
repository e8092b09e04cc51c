"""Publishes a script at a steady rate, holds where it is told to, and remembers when it said what."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from typing import Final

import numpy as np

from driftline.clock import Clock
from driftline.demo.events import COPY, OUTCOME, POISON, PREDICTION, Script
from driftline.demo.flights import NEVER
from driftline.runtime.log import LogWriter

CHUNK_S: Final = 0.1
"""Events are sent in chunks of so much of a second."""


class Publisher:
    """`run` publishes; the rest tells how far it has come. One chunk is acknowledged before the next is sent, so
    event time reaches the log in order."""

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
        self._counts: Counter[tuple[str, int]] = Counter()
        self._started: float | None = None
        self._before_s = 0.0
        self.done = 0
        self.by_partition = dict.fromkeys(range(partitions), 0)

    @property
    def script(self) -> Script:
        return self._script

    @property
    def total(self) -> int:
        return self._script.n

    @property
    def predictions(self) -> int:
        """Published as prediction events, copies and poison included."""
        return self._total(PREDICTION) + self._total(COPY) + self._total(POISON)

    @property
    def outcomes(self) -> int:
        return self._total(OUTCOME)

    def by_version(self, kind: int) -> dict[str, int]:
        """How many events of a kind were published, by the version that predicts the flight."""
        return {version: n for (version, of_kind), n in self._counts.items() if of_kind == kind}

    def _total(self, kind: int) -> int:
        return sum(self.by_version(kind).values())

    @property
    def event_time(self) -> int:
        """Event time of what is published next, ms; of the last event in the end."""
        return int(self._script.at[min(self.done, self._script.n - 1)])

    @property
    def end_time(self) -> int:
        """Event time, ms, before which everything is due."""
        return int(self._script.at[-1]) + 1

    @property
    def per_second(self) -> float:
        """Events published a second so far, holds left out."""
        running = 0.0 if self._started is None else self._clock.monotonic() - self._started
        return self.done / max(self._before_s + running, CHUNK_S)

    def switch(self, script: Script) -> None:
        """Go on with another script, of the same entries and alike up to here."""
        self._script = script

    async def run(self, until: int | None = None) -> None:
        """Publish what is due before event time `until`, ms; None: everything. Never more than the rate, less where
        the log is slower. Transient passes through."""
        end = self._script.n if until is None else int(np.searchsorted(self._script.at, until))
        begin = self.done
        started = self._started = self._clock.monotonic()
        try:
            while self.done < end:
                first, after = self.done, min(self.done + self._chunk, end)
                records = self._script.records(first, after, self._topic, self._partitions)
                early = started + (first - begin) / self._chunk * CHUNK_S - self._clock.monotonic()
                await asyncio.sleep(max(0.0, early))
                self._begins.append(int(self._script.at[first]))
                self._sent_at.append(self._clock.now_ms())
                await self._writer.publish(records)
                versions = self._script.version[self._script.row[first:after]].tolist()
                self._counts.update(zip(versions, self._script.kind[first:after].tolist(), strict=True))
                for record in records:
                    self.by_partition[record.partition] += 1
                self.done = after
        finally:
            self._started = None
            self._before_s += self._clock.monotonic() - started

    def sent_before(self, time: int) -> int | None:
        """Wall time, ms, at which the last event older than event time `time` was sent; None if there is none."""
        chunk = bisect_left(self._begins, time) - 1
        return self._sent_at[chunk] if chunk >= 0 else None


def paired_by_version(publisher: Publisher) -> dict[str, int]:
    """How many outcomes were published whose prediction was taken, by the version that predicted."""
    script = publisher.script
    lonely = Counter(script.version[(script.flights.known_at != NEVER) & ~script.clean].tolist())
    return {version: n - lonely[version] for version, n in publisher.by_version(OUTCOME).items()}
