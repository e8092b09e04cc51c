"""The stages of the service over the log and the store in memory: the code that runs in production, without a socket.

What is wired here is what `service.py` wires: one consumer loop a stage, the registry of profiles, react's worker with
its ticks. Nothing waits and nothing is random: `advance` appends a slice, steps every loop until it has nothing left
to do, and hands over what was said. What has been read by all is let go of, so memory does not grow with the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from driftline.backtest.bundles import bundle_position, closing_bundle
from driftline.clock import ManualClock
from driftline.config import Config
from driftline.contracts.blocks import NO_WATERMARK
from driftline.contracts.cloudevents import decode_alert, decode_retraining, decode_signal
from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import Signal
from driftline.errors import DriftlineError
from driftline.ingest.stage import IngestStage
from driftline.judge.stage import JudgeStage
from driftline.judged import Judged
from driftline.react.routes import RouteTable
from driftline.react.topics import Role
from driftline.react.worker import ReactWorker
from driftline.registry import ModelKey, ProfileRegistry, profile_record
from driftline.runtime.loop import Loop
from driftline.runtime.memory_group import MemoryConsumer, MemoryGroup
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryRecord, MemoryWriter
from driftline.runtime.memory_store import MemoryServer, MemoryStore
from driftline.stats.profile import Profile
from driftline.wiring import (
    decoder,
    detection_settings,
    ingest_settings,
    judge_settings,
    loop_settings,
    worker_settings,
)

UNLIMITED: Final = 1 << 40
STRUCTURE: Final = "backtest"


@dataclass
class Heard:
    """What a slice made the stages say. `blocks`: bundles by partition, as they lie on the log."""

    blocks: list[MemoryRecord] = field(default_factory=list)
    letters: list[MemoryRecord] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    requests: list[RetrainingRequested] = field(default_factory=list)


class Replay:
    """`start`, `advance` (or `judge`, with bundles that another run has made) again and again, `finish`.

    The same events give the same signals as the service gives, whatever the slices; react is ticked after each.
    `partitions`: of `blocks`. `join`: whether the memory of the join is asked (a file without ids and outcomes has
    nothing to ask it)."""

    def __init__(self, config: Config, *, partitions: int = 1, join: bool = True) -> None:
        topics = config.topics
        self._config = config
        self._topics = topics
        self._events = topics.events[0]
        self._partitions = partitions
        self._clock = ManualClock()
        single = (topics.profiles, topics.signals, topics.deadletter, topics.lifecycle, topics.commands)
        self._log = MemoryLog(
            self._clock,
            {
                self._events: 1,
                topics.blocks: partitions,
                **dict.fromkeys((*single, topics.alerts, topics.retraining), 1),
            },
        )
        self._reader, self._writer = MemoryReader(self._log), MemoryWriter(self._log)
        self._store = MemoryStore(MemoryServer())
        self._read: dict[tuple[str, int], int] = {}
        self._next: dict[int, dict[int, int]] = {p: {} for p in range(partitions)}
        self.closed = NO_WATERMARK
        detection = detection_settings(config)
        judged = judge_settings(config)
        ingested = ingest_settings(config, 1, partitions, 1)
        self._registry = ProfileRegistry(self._reader, topics.profiles, self._clock, 0.0)
        self._ingest = self._loop(
            "ingest",
            self._events,
            IngestStage(
                replace(ingested, max_write_bytes=UNLIMITED, join=join and config.join.enabled),
                decoder(config),
                self._store,
                self._reader,
                self._registry,
            ),
        )
        budget = judged.max_models_per_partition * topics.partitions.blocks
        self._judge = self._loop(
            "judge",
            topics.blocks,
            JudgeStage(
                replace(judged, max_write_bytes=UNLIMITED, max_models_per_partition=budget),
                self._reader,
                ProfileRegistry(self._reader, topics.profiles, self._clock, 0.0),
            ),
        )
        self._judged = Judged(self._store, partitions, detection)
        settings = replace(worker_settings(config), routes=RouteTable())
        self._react = ReactWorker(settings, self._store, self._reader, self._writer, self._clock, sleep=self._sleep)

    def _loop(self, name: Any, topic: str, stage: Any) -> Loop[Any, Any]:
        settings = replace(
            loop_settings(self._config, name, structure=STRUCTURE),
            on_fold_error="deadletter" if name == "ingest" else "pause",
            dead_letters_per_s=UNLIMITED,
            dead_letter_burst=UNLIMITED,
            watchdog_s=UNLIMITED,
            max_batch=UNLIMITED,
        )
        consumer = MemoryConsumer(MemoryGroup(self._log, topic))
        return Loop(stage, consumer, self._writer, self._store, self._clock, settings, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        """A loop waits only for what is away; nothing is, here."""
        raise BacktestStuck("a stage waits for the log or the store, and both are in this process")

    async def start(self, profiles: Sequence[Profile] = ()) -> None:
        """Take over the partitions, with these profiles in force."""
        for profile in profiles:
            await self._writer.publish([profile_record(self._topics.profiles, profile)])
        for loop in (self._ingest, self._judge):
            await loop.start()
            for _ in range(2):
                await loop.step()
        self._react.assigned()
        await self._react.ensure()

    async def advance(self, records: Sequence[tuple[bytes, int]]) -> Heard:
        """Publish events (value, time in ms) and take them through all stages."""
        if records:
            self._turn_to(max(time for _, time in records))
        for value, _ in records:
            self._log.append(self._events, 0, value)
        while await self._ingest.step():
            pass
        self._log.trim(self._events, 0, self._log.bounds(self._events, 0).end)
        return await self._judge_all()

    async def judge(self, bundles: Sequence[tuple[int, bytes]]) -> Heard:
        """Take bundles (partition, bytes) through judge and react."""
        for partition, value in bundles:
            self._log.append(self._topics.blocks, partition, value)
        return await self._judge_all()

    async def finish(self, last: int) -> Heard:
        """Close every pane that begins before `last` (ms), and let no more time pass: what comes after the files is
        not known to be silence."""
        await self.refresh()
        pane = max((profile.pane_ms for profile in self.profiles().values()), default=1)
        ends = -(-last // pane) * pane
        for partition in range(self._partitions):
            for source, at in sorted(self._next[partition].items()):
                value = closing_bundle(source, len(self._next[partition]), at, ends)
                self._log.append(self._topics.blocks, partition, value)
        return await self._judge_all()

    async def _judge_all(self) -> Heard:
        heard = Heard(blocks=self._new(self._topics.blocks))
        for record in heard.blocks:
            source, after = bundle_position(record.value or b"")
            self._next[record.partition][source] = after
        while await self._judge.step():
            pass
        signals = self._new(self._topics.signals)
        heard.signals = [decode_signal(record.value, record.headers) for record in signals]
        for record in signals:
            await self._react.handle("signals", record)
        await self._tick()
        heard.letters = self._new(self._topics.deadletter)
        heard.alerts = [decode_alert(r.value, r.headers) for r in self._new(self._topics.alerts)]
        heard.requests = [decode_retraining(r.value, r.headers) for r in self._new(self._topics.retraining)]
        self._trim()
        return heard

    async def _tick(self) -> None:
        closed = await self._judged.closed()
        if closed is None or closed == self.closed:
            return
        self.closed = closed
        await self._react.tick(closed, await self._judged.facts(self._react.questions()))
        role: Role = "commands"
        for record in self._new(self._topics.commands):
            await self._react.handle(role, record)

    def profiles(self) -> dict[ModelKey, Profile]:
        """The profiles in force, after the last slice."""
        return {key: s.profile for key, s in self._registry.all().items() if s.profile is not None}

    async def refresh(self) -> None:
        """Let `profiles` know what was learnt with the last slice."""
        await self._registry.refresh(force=True)

    async def fields(self) -> list[dict[str, bytes]]:
        """What the judges have stored, by partition of `blocks`: for the counts of the end."""
        from driftline.runtime.store import Slot

        return [dict((await self._store.read(Slot("judge", p))).fields) for p in range(self._partitions)]

    def _turn_to(self, ms: int) -> None:
        """Event time is the time: what lies in the future for us did not when it happened."""
        self._clock.advance(max(0.0, (ms - self._clock.now_ms()) / 1000 + 0.001))

    def _new(self, topic: str) -> list[MemoryRecord]:
        """What came since the last look, of all partitions, in the order of the log."""
        found: list[MemoryRecord] = []
        for partition in range(self._log.partitions(topic)):
            start = self._read.get((topic, partition), 0)
            records = self._log.records(topic, partition, start)
            if records:
                self._read[topic, partition] = records[-1].offset + 1
                found += records
        return found

    def _trim(self) -> None:
        """Let go of what every reader has: all but the profiles."""
        for (topic, partition), end in self._read.items():
            self._log.trim(topic, partition, end)


class BacktestStuck(DriftlineError):
    """A defect of ours: there is nothing to wait for."""
