"""Everything that has to run around the demo: broker, store, topics, stand-ins for Slack and PagerDuty, the stages'
processes, the retraining job."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from driftline.clock import Clock
from driftline.demo.memory_audit import StoreAudit
from driftline.demo.processes import Process, StageProcess
from driftline.demo.settings import SETTINGS_FILE, write_settings
from driftline.demo.standins import StandIns
from driftline.runtime.embedded import EmbeddedServers
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.wiring import kafka_settings, topic_specs

STAGES: Final = ("ingest", "judge", "react")
JOB: Final = "retraining-job"


class Surroundings:
    """For `async with`: all runs inside, and is gone afterwards, whatever happens. `directory` is kept after an
    error, because the stages' logs are there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stack = AsyncExitStack()
        self.stages: dict[str, Process] = {}
        """By name: the stages, and the retraining job."""

    async def __aenter__(self) -> Surroundings:
        async with AsyncExitStack() as stack:
            self.directory = Path(tempfile.mkdtemp(prefix="driftline-demo-"))
            stack.push(self._tidy)
            self.servers = await stack.enter_async_context(EmbeddedServers())
            self.people = await stack.enter_async_context(StandIns())
            self.settings_file = self.directory / SETTINGS_FILE
            self.config = write_settings(self.settings_file, self.servers, self.people)
            kafka = kafka_settings(self.config)
            async with KafkaTopics(kafka) as topics:
                await topics.create(topic_specs(self.config))
            self.reader, self.writer = KafkaReader(kafka), KafkaWriter(kafka)
            # A reader reads one thing at a time; whoever must not wait for the display has one of his own.
            self.lookout = KafkaReader(kafka)
            stack.push_async_callback(self.lookout.close)
            stack.push_async_callback(self.reader.close)
            stack.push_async_callback(self.writer.close)
            self.store = StoreAudit(self.config.redis.url, self.config.redis.prefix)
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.stop_stages)
            self.start_stages()
            self.start_job()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def start_stages(self) -> None:
        for stage in STAGES:
            process = StageProcess(stage, self.settings_file, self.directory, self._clock)
            self.stages[stage] = process
            process.start()

    def start_job(self) -> None:
        command = (sys.executable, "-m", "driftline.demo.retraining_job")
        process = Process(
            JOB, (*command, str(self.directory), self.servers.kafka_bootstrap), self.directory, self._clock
        )
        self.stages[JOB] = process
        process.start()

    def check_stages(self) -> None:
        """Misconfigured if one has ended by itself."""
        for process in self.stages.values():
            process.check()

    async def watch_stages(self) -> None:
        """Until cancelled, or until one ends by itself: Misconfigured."""
        for _ in itertools.count():
            self.check_stages()
            await asyncio.sleep(1)

    async def stop_stages(self) -> dict[str, int | None]:
        """Their exit codes. Those that do not run are left out."""
        stages, self.stages = self.stages, {}
        return {stage: await process.stop() for stage, process in stages.items()}

    def _tidy(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception):
            shutil.rmtree(self.directory, ignore_errors=True)
