"""What can be seen while the demo runs: error by week from `blocks`; signals, alerts and requests as they come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec
import numpy as np

from driftline.config.topics import Topics
from driftline.contracts.blocks import NO_WATERMARK, PAIRS, BinnedBlock, Bundle, blocks_partition
from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import Lifecycle, Signal
from driftline.demo.model import MODEL
from driftline.demo.signals import SYSTEM
from driftline.runtime.kafka_reader import KafkaReader
from driftline.stats.grid import Grid
from driftline.stats.layout import decode_counts
from driftline.stats.profile import decode_profile

WEEK_MS: Final = 7 * 86_400_000
_MONDAY_MS: Final = 4 * 86_400_000
"""5 January 1970 was the first Monday."""
_decode: Final = msgspec.msgpack.Decoder(Bundle).decode
T = TypeVar("T", Signal, Alert, RetrainingRequested, Lifecycle)


def week_of(time: int) -> int:
    """The Monday, 00:00 UTC, of a time in ms."""
    return (time - _MONDAY_MS) // WEEK_MS * WEEK_MS + _MONDAY_MS


@dataclass
class Seen:
    """`weeks`: by Monday, outcomes and errors among them. `signals`: (state, monitor, event time ms, sentence) in
    order; `alerts` the same with status and cause, requests and deployments among them. `watermark`: event time up
    to which every source has been read; None at first."""

    weeks: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    signals: list[tuple[str, str, int, str]] = field(default_factory=list)
    alerts: list[tuple[str, str, int, str]] = field(default_factory=list)
    watermark: int | None = None


class Watch:
    """Follows the topics. For the display, and for requests and lifecycle events as they come: the audit looks for
    itself."""

    def __init__(self, reader: KafkaReader, topics: Topics) -> None:
        self._reader = reader
        self._topics = topics
        self._partition = blocks_partition(MODEL, topics.partitions.blocks)
        self._grids: dict[str, Grid] = {}
        self._ends: dict[int, int] = {}
        self._watermarks: dict[int, int] = {}
        self._positions: dict[str, int] = defaultdict(int)
        self._ids: set[str] = set()
        self.seen = Seen()
        self.requests: list[RetrainingRequested] = []
        self.lifecycle: list[Lifecycle] = []

    async def look(self) -> None:
        """Take in what is new. Transient passes through."""
        topics = self._topics
        for value in await self._fresh(topics.profiles, 0):
            profile = decode_profile(value)
            if profile.pairs is not None:
                self._grids[profile.pairs.grid.id] = profile.pairs.grid
        for value in await self._fresh(topics.blocks, self._partition):
            self._take(_decode(value))
        for signal in await self._new(topics.signals, Signal):
            if not signal.monitor.startswith(SYSTEM):
                self.seen.signals.append((signal.state, signal.monitor, signal.time, signal.sentence))
        for alert in await self._new(topics.alerts, Alert):
            self.seen.alerts.append((alert.status, alert.cause, alert.time, alert.sentence))
        for request in await self._new(topics.retraining, RetrainingRequested):
            self.requests.append(request)
            self.seen.alerts.append(("retrain", request.rule, request.time, request.window.why))
        for event in await self._new(topics.lifecycle, Lifecycle):
            self.lifecycle.append(event)
            self.seen.alerts.append(
                ("told", event.what, event.time, f"{event.what}: {event.model} {event.version}")
            )

    async def _new(self, topic: str, kind: type[T]) -> list[T]:
        """Each id once."""
        found = [msgspec.json.decode(value, type=kind) for value in await self._fresh(topic, 0)]
        fresh = {one.id: one for one in found if one.id not in self._ids}
        self._ids |= fresh.keys()
        return list(fresh.values())

    async def _fresh(self, topic: str, partition: int) -> list[bytes]:
        records = await self._reader.read(topic, partition, self._positions[topic], 1 << 60)
        if records:
            self._positions[topic] = records[-1].offset + 1
        return [record.value for record in records if record.value is not None]

    def _take(self, bundle: Bundle) -> None:
        if bundle.first < self._ends.get(bundle.source, 0):
            return  # published a second time after a crash
        self._ends[bundle.source] = bundle.next
        if bundle.watermark > NO_WATERMARK:
            self._watermarks[bundle.source] = bundle.watermark
        if len(self._watermarks) == bundle.sources:
            self.seen.watermark = min(self._watermarks.values())
        for block in bundle.blocks:
            if isinstance(block, BinnedBlock) and block.stream == PAIRS and block.grid in self._grids:
                self._count(block, self._grids[block.grid])

    def _count(self, block: BinnedBlock, grid: Grid) -> None:
        counts = decode_counts(grid, block.n, block.layout, block.codes, block.counts)
        right, wrong = counts[grid.index["error"], :2].astype(np.int64).tolist()
        week = self.seen.weeks[week_of(block.pane)]
        week[0] += right + wrong
        week[1] += wrong
