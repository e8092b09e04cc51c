"""React as processes over a real broker and store, with topics and a prefix of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from driftline.cli.topics import create_topics
from driftline.config import Config, load
from driftline.contracts.cloudevents import decode_alert, decode_retraining
from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import Signal
from driftline.outgoing import signal_record
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.wiring import kafka_settings
from support.servers import AnyServers, connection, unique

ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """Topics and a prefix of its own; processes that are gone when the test is."""

    environ: dict[str, str]
    config: Config
    reader: KafkaReader
    writer: KafkaWriter
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.directory / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env=self.environ, stdout=subprocess.DEVNULL, stderr=log
            )
        self.processes.append(process)
        return process

    def react(self) -> subprocess.Popen[bytes]:
        return self.start("driftline", "run", "--stages", "react")

    def events(self, number: int) -> list[str]:
        """Names of the events that a process has logged."""
        lines = (self.directory / f"{number}.log").read_text().splitlines()
        return [json.loads(line)["event"] for line in lines if line.startswith("{")]

    async def tell(self, *signals: Signal) -> None:
        await self.writer.publish([signal_record(self.config.topics.signals, one) for one in signals])

    async def alerts(self) -> list[Alert]:
        return [decode_alert(value, ()) for value in await self._values(self.config.topics.alerts)]

    async def requests(self) -> list[RetrainingRequested]:
        return [decode_retraining(value, ()) for value in await self._values(self.config.topics.retraining)]

    async def _values(self, topic: str) -> list[bytes]:
        bounds = (await self.reader.bounds_of(topic, [0]))[0]
        records = await self.reader.read(topic, 0, bounds.begin, bounds.end)
        return [record.value or b"" for record in records]

    async def until(self, count: int) -> list[Alert]:
        """The alerts, as soon as there are so many different ones."""
        return await self.wait(lambda alerts: len({a.id for a in alerts}) >= count)

    async def wait(self, enough: Callable[[Sequence[Alert]], bool]) -> list[Alert]:
        async with asyncio.timeout(60):
            for _ in range(1_000):
                alerts = await self.alerts()
                if enough(alerts):
                    return alerts
                await asyncio.sleep(0.1)
        raise AssertionError(alerts)


@asynccontextmanager
async def connected(servers: AnyServers, directory: Path) -> AsyncIterator[Cluster]:
    name = unique("react")
    where = connection(servers)
    settings = {f"kafka.{key}": value for key, value in where["kafka"].items()} | {
        "kafka.session_timeout_ms": 6_000,
        "kafka.rebalance_timeout_ms": 4_000,
        "kafka.group": name,
        "redis.url": where["redis"]["url"],
        "redis.prefix": name,
        "runtime.http.port": 0,
        "runtime.revoke_deadline_s": 2.0,
        "topics.prefix": f"{name}.",
        "topics.partitions.blocks": 2,
        "react.update_every_s": 0,
    }
    config = load(None, overrides=settings).config
    await create_topics(config)
    environ = {f"DRIFTLINE_{key.upper().replace('.', '__')}": str(value) for key, value in settings.items()}
    path = os.pathsep.join([str(ROOT / "service"), str(ROOT / "tests")])
    kafka = kafka_settings(config)
    made = Cluster(
        os.environ | environ | {"PYTHONPATH": path}, config, KafkaReader(kafka), KafkaWriter(kafka), directory
    )
    try:
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        await made.writer.close()
        await made.reader.close()
