"""`driftline run`: the stages of one process, from the configuration to a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from driftline import __version__
from driftline.answering import CONDITION, watch_servers
from driftline.clock import SystemClock
from driftline.collector import lean
from driftline.config.model import Config
from driftline.errors import Misconfigured
from driftline.ingest.stage import IngestStage
from driftline.judge.stage import JudgeStage
from driftline.judged import Judged
from driftline.react.metrics import ReactMetrics
from driftline.registry import ProfileRegistry
from driftline.reloading import Hangups, Part, Reloader, in_force
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import LogReader
from driftline.runtime.loop import Loop
from driftline.runtime.stage import Stage
from driftline.stopping import CLOSING_S, Running, run_until_stopped
from driftline.telemetry import HealthServer, Metrics, Progress, Readiness, log
from driftline.telemetry.loop_metrics import LoopMetrics
from driftline.wiring import (
    LoopName,
    StageName,
    decoder,
    detection_settings,
    ingest_settings,
    judge_settings,
    kafka_settings,
    loop_settings,
    redis_store,
    topic_specs,
    worker_settings,
)

STAGES: tuple[StageName, ...] = ("ingest", "judge", "react")


class Service:
    """Runs stages until stopped, in a process of its own. What hangs is abandoned (`stopping.py`): nothing is lost by
    that, the next owner goes on from the store."""

    def __init__(
        self,
        config: Config,
        stages: Sequence[StageName],
        read: Callable[[], Config] | None = None,
        parts: Sequence[Part] = (),
        hangups: Hangups | None = None,
    ) -> None:
        """`read`: the configuration as it is given now; with it, SIGHUP reloads. `parts`: what goes by it outside.
        `hangups`: those since the process began."""
        self._config = config
        self._stages = stages
        self._read = read
        self._hangups = hangups
        self._parts = list(parts)
        self._between: asyncio.Lock | None = None
        self._clock = SystemClock()
        self._kafka = kafka_settings(config)
        self._store = redis_store(config)
        self._reader = KafkaReader(self._kafka)
        self._writer = KafkaWriter(self._kafka)
        self._registry = ProfileRegistry(self._reader, config.topics.profiles, self._clock)
        self._metrics = Metrics()
        self._metrics.set("driftline_info", 1, version=__version__, fingerprint=config.fingerprint())
        self._metrics.set("driftline_fleet_models", config.detection.fleet_models or 0)
        in_force(self._metrics, self._clock)
        self._progress = Progress(config.runtime.watchdog_s, self._clock)
        self._readiness = Readiness(("started", "state", "store", "log", CONDITION))

    async def run(self) -> None:
        """Raises Misconfigured where it cannot start, and whatever stops a loop for the operator to see."""
        with lean():
            await self._run()

    async def _run(self) -> None:
        asked = asyncio.Event() if self._read is None else (self._hangups or Hangups()).asked()
        http = self._config.runtime.http
        health = HealthServer(http.host, http.port, self._metrics, self._progress, self._readiness)
        try:
            if http.enabled:
                await health.start()
            await self._store.check()
            self._readiness.met("store")
            await check_topics(self._reader, self._config)
            await self._registry.refresh(force=True)
            loops = [await (self._react() if name == "react" else self._loop(name)) for name in self._stages]
            self._readiness.met("log")
            self._readiness.met("started")
            log("service.started")
            await self._watched(loops, asked)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_S):
                    await health.stop()
                    await self._writer.close()
                    await self._reader.close()
                    await self._store.close()
                    log("service.stopped")

    async def _watched(self, stages: Sequence[Running], asked: asyncio.Event) -> None:
        topics = [spec.name for spec in topic_specs(self._config)]
        watchers = [
            asyncio.create_task(self._watch_readiness(stages)),
            asyncio.create_task(watch_servers(self._describe, topics, self._store, self._readiness)),
        ]
        if self._read is not None:
            reloader = Reloader(self._config, self._read, self._metrics, self._clock, self._parts, self._between)
            watchers.append(asyncio.create_task(reloader.run(asked)))
        try:
            await run_until_stopped(stages)
        finally:
            for watcher in watchers:
                watcher.cancel()

    async def _describe(self) -> dict[str, int]:
        async with KafkaTopics(self._kafka) as topics:
            return await topics.describe()

    async def _watch_readiness(self, loops: Sequence[Running]) -> None:
        while True:
            waiting = sum(len(loop.waiting) for loop in loops)
            if waiting:
                self._readiness.unmet("state", f"{waiting} partitions are being taken over")
            else:
                self._readiness.met("state")
            await asyncio.sleep(0.5)

    async def _react(self) -> Running:
        # Faust takes a second to import; whoever does not run react is spared it.
        import stamina

        from driftline.react.app import AppSettings, ReactApp
        from driftline.react.worker import ReactWorker
        from driftline.reacting import ReactPart

        stamina.instrumentation.set_on_retry_hooks([])  # senders say it themselves, in declared events
        config = self._config
        for topic in (config.topics.signals, config.topics.lifecycle, config.topics.commands):
            if await self._reader.partitions(topic) != 1:
                raise Misconfigured(f"topic {topic} must have one partition: react needs one order")
        observer = ReactReadiness("react", self._metrics, self._progress, self._clock, self._readiness)
        settings = worker_settings(config)
        worker = ReactWorker(settings, self._store, self._reader, self._writer, self._clock, observer)
        part = ReactPart(config, worker, self._clock, observer)
        self._parts.append(part)
        self._between = worker.between
        return ReactApp(
            AppSettings(f"{config.kafka.group}.react", config.react.tick_s),
            self._kafka,
            settings.topics,
            worker,
            Judged(self._store, await self._reader.partitions(config.topics.blocks), detection_settings(config)),
            self._reader,
            [part.senders],
            observer,
        )

    async def _loop(self, name: LoopName) -> Loop[Any, Any]:
        topics = self._config.topics
        events = topics.events[0]
        sources = await self._reader.partitions(events)
        blocks = await self._reader.partitions(topics.blocks)
        stage: Stage[Any, Any]
        if name == "ingest":
            stage = IngestStage(
                ingest_settings(self._config, sources, blocks, await self._reader.partitions(topics.deadletter)),
                decoder(self._config),
                self._store,
                self._reader,
                self._registry,
            )
        else:
            stage = JudgeStage(judge_settings(self._config), self._reader, self._registry)
        consumer = KafkaConsumer(self._kafka, stage.topic, f"{self._config.kafka.group}.{name}")
        observer = ReadinessObserver(name, self._metrics, self._progress, self._clock, self._readiness)
        if name == "judge":
            observer = JudgeReadiness(self._registry, self._metrics, self._progress, self._clock, self._readiness)
        settings = loop_settings(self._config, name, structure=f"{blocks} partitions of {topics.blocks}")
        return Loop(stage, consumer, self._writer, self._store, self._clock, settings, observer)


class ReadinessObserver(LoopMetrics):
    """Knows from the loop's retries whether the store and the log answer."""

    def __init__(
        self, stage: str, metrics: Metrics, progress: Progress, clock: SystemClock, readiness: Readiness
    ) -> None:
        super().__init__(stage, metrics, progress, clock)
        self._readiness = readiness

    def retrying(self, stage: str, what: str, attempt: int, error: str) -> None:
        super().retrying(stage, what, attempt, error)
        condition = "log" if what in ("publish", "poll") else "store"
        self._readiness.unmet(condition, f"{what} is being retried")

    def committed(self, stage: str, partition: int, verdict: str, size: int) -> None:
        super().committed(stage, partition, verdict, size)
        self._readiness.met("store")

    def published(self, stage: str, partition: int, records: int, dead_letters: int) -> None:
        super().published(stage, partition, records, dead_letters)
        self._readiness.met("log")


class JudgeReadiness(ReadinessObserver):
    """Also tells how the references that judge judges by did in their self-check."""

    def __init__(
        self,
        registry: ProfileRegistry,
        metrics: Metrics,
        progress: Progress,
        clock: SystemClock,
        readiness: Readiness,
    ) -> None:
        super().__init__("judge", metrics, progress, clock, readiness)
        self._registry = registry

    def beat(self) -> None:
        super().beat()
        if (ratio := self._registry.lowest_self_check) is not None:
            self._metrics.set("driftline_selfcheck_ratio", ratio)


class ReactReadiness(ReactMetrics, ReadinessObserver):
    """Both, for react."""


async def check_topics(reader: LogReader, config: Config) -> None:
    """Misconfigured, naming the remedy, where a topic is missing or a fixed partition count is another."""
    for spec in topic_specs(config):
        await reader.partitions(spec.name)
    if await reader.partitions(config.topics.profiles) != 1:
        raise Misconfigured(f"topic {config.topics.profiles} must have one partition: profiles are ordered by it")
