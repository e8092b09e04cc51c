"""How long a verdict takes: ingest and judge as processes, events in real time, models that begin to drift.

A pane can be closed once an event later than its end by the lateness has been read; what is measured is the time
from that moment of the wall clock (event time is wall time here) to the timestamp of the signal's record, which judge
gives it as it publishes; and to the moment a subscriber has it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.job import memory_mb
from bench.workload import PARTITIONS, model_name, pin, prediction, reference
from driftline.cli.run import embedded_overrides
from driftline.cli.topics import create_topics
from driftline.config import Config, load
from driftline.contracts.cloudevents import decode_signal
from driftline.errors import Misconfigured
from driftline.runtime.embedded import EmbeddedServers, die_with_parent
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing
from driftline.wiring import kafka_settings

MODELS: Final = 60
EVERY_MS: Final = 100
"""Between two events of a model: panes of 10 s hold 100."""
TICK_MS: Final = 50
_STEADY_S: Final = 22.0
_SHIFT: Final = 3.0
_DRIFTING: Final = np.isin(np.arange(20), (1, 2, 3))
"""Which features drift."""
_SETTINGS: Final = "driftline.json"


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the moment a pane could be closed to its alarms, over `signals` alarms of `panes` panes;
    `received`: until a subscriber has them.
    `block_bytes`: a live event's on the topic `blocks`. Memory of the two processes, MB."""

    p50_s: float
    p99_s: float
    received_p50_s: float
    received_p99_s: float
    signals: int
    panes: int
    events_per_s: float
    block_bytes: float
    ingest_mb: float
    judge_mb: float


def measure_latency(seconds: float) -> Latency:
    with EmbeddedServers() as servers, tempfile.TemporaryDirectory(prefix="driftline-bench-") as name:
        directory = Path(name)
        settings = nested(
            {
                **embedded_overrides(servers),
                "topics.partitions.events": PARTITIONS,
                "runtime.http.enabled": False,
                "logging.level": "WARNING",
            }
        )
        (directory / _SETTINGS).write_bytes(orjson.dumps(settings))
        config = load(directory / _SETTINGS, {}).config
        asyncio.run(prepare(config))
        with stages(directory) as (ingest, judge):
            return asyncio.run(Watch(config, ingest, judge).run(seconds))


async def prepare(config: Config) -> None:
    await create_topics(config)
    await pin(config, reference(20, EVERY_MS), MODELS)


@contextmanager
def stages(directory: Path) -> Iterator[tuple[int, int]]:
    """The processes' ids, ingest's and judge's. They are killed at the end: nothing of theirs is kept."""
    running = []
    with (directory / "log").open("wb") as log:
        for stage in ("ingest", "judge"):
            command = [sys.executable, "-m", "driftline", "run", "--stages", stage, "-c", _SETTINGS]
            running.append(subprocess.Popen(command, cwd=directory, stderr=log, preexec_fn=die_with_parent()))
        try:
            yield running[0].pid, running[1].pid
        finally:
            for process in running:
                process.kill()
                process.wait()


class Watch:
    """Publishes as time goes by and notes when each alarm comes."""

    def __init__(self, config: Config, ingest: int, judge: int) -> None:
        self._config = config
        self._pids = ingest, judge
        self._lateness_s = config.ingest.lateness_s
        self._delays: dict[int, list[tuple[float, float]]] = {}
        self._published = 0

    async def run(self, seconds: float) -> Latency:
        """After _STEADY_S without drift the models begin to drift, a few every second until ten seconds before the
        end, so that alarms are spread over panes."""
        listener = asyncio.create_task(self._listen())
        started = time.monotonic()
        await self._publish(seconds)
        elapsed = time.monotonic() - started
        listener.cancel()
        delays = np.array([both for of_pane in self._delays.values() for both in of_pane])
        if not len(delays):
            raise Misconfigured("no alarm came: the run is too short, or a stage has not started")
        (p50, received_p50), (p99, received_p99) = np.percentile(delays, (50, 99), axis=0).tolist()
        return Latency(
            p50_s=p50,
            p99_s=p99,
            received_p50_s=received_p50,
            received_p99_s=received_p99,
            signals=len(delays),
            panes=len(self._delays),
            events_per_s=self._published / elapsed,
            block_bytes=await self._block_bytes() / self._published,
            ingest_mb=memory_mb(self._pids[0], "VmRSS"),
            judge_mb=memory_mb(self._pids[1], "VmRSS"),
        )

    async def _publish(self, seconds: float) -> None:
        writer = KafkaWriter(kafka_settings(self._config))
        rng = np.random.default_rng(3)
        topic = self._config.topics.events[0]
        spread = (seconds - _STEADY_S - 10.0) / MODELS
        start = due = time.time()
        while due < start + seconds:
            await asyncio.sleep(max(0.0, due - time.time()))
            now = round(due * 1000)
            records: list[Outgoing] = []
            for index in range(MODELS):
                shift = _SHIFT if due - start > _STEADY_S + spread * index else 0.0
                if (round((due - start) * 1000) + index * TICK_MS) % EVERY_MS < TICK_MS:
                    values = (rng.normal(size=20) + shift * _DRIFTING).round(14).tolist()
                    value = prediction(f"{index}-{now}", model_name(index), now, values)
                    records.append(Outgoing(topic, (self._published + len(records)) % PARTITIONS, None, value))
            await writer.publish(records)
            self._published += len(records)
            due += TICK_MS / 1000
        await writer.close()

    async def _listen(self) -> None:
        topic = self._config.topics.signals
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self._config.kafka.bootstrap, enable_auto_commit=False)
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        try:
            async for record in consumer:
                received = time.time()
                signal = decode_signal(record.value, record.headers)
                if signal.state == "alarm":
                    closable = signal.time / 1000 + self._lateness_s
                    both = record.timestamp / 1000 - closable, received - closable
                    self._delays.setdefault(signal.time, []).append(both)
        finally:
            await consumer.stop()

    async def _block_bytes(self) -> int:
        reader = KafkaReader(kafka_settings(self._config))
        topic, total = self._config.topics.blocks, 0
        for partition, bounds in (await reader.bounds(topic)).items():
            records = await reader.read(topic, partition, bounds.begin, bounds.end)
            total += sum(len(r.value or b"") for r in records)
        await reader.close()
        return total


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by dotted path, as a file has them."""
    tree: dict[str, Any] = {}
    for path, value in settings.items():
        *sections, name = path.split(".")
        at = tree
        for section in sections:
            at = at.setdefault(section, {})
        at[name] = value
    return tree
