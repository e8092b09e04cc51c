"""The clients on a broker: the embedded one, or with --real Apache Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from client.making import request
from driftline.client import EventLogger, KafkaSettings, RetrainingSubscriber
from driftline.contracts.cloudevents import decode_lifecycle, encode
from driftline.contracts.decode import Decoder
from driftline.contracts.reactions import RetrainingRequested
from driftline.runtime.embedded import EmbeddedServer, embedded_broker
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics, TopicSpec
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing, Record
from support.servers import AnyServers, kafka_settings, unique


@dataclass
class Topics:
    settings: KafkaSettings
    events: str
    retraining: str
    lifecycle: str

    async def create(self) -> None:
        async with KafkaTopics(self.settings) as topics:
            await topics.create(
                [TopicSpec(self.events, 4), TopicSpec(self.retraining, 1), TopicSpec(self.lifecycle, 1)]
            )

    async def ask(self, asked: RetrainingRequested) -> None:
        writer = KafkaWriter(self.settings)
        headers, value = encode(asked)
        await writer.publish([Outgoing(self.retraining, 0, b"flights", value, headers)])
        await writer.close()

    async def read(self, topic: str) -> list[Record]:
        reader = KafkaReader(self.settings)
        bounds = await reader.bounds(topic)
        records = [r for p, b in bounds.items() for r in await reader.read(topic, p, b.begin, b.end)]
        await reader.close()
        return records

    async def told(self) -> list[str]:
        return [decode_lifecycle(r.value, r.headers).what for r in await self.read(self.lifecycle)]

    def subscriber(self, job: str) -> RetrainingSubscriber:
        return RetrainingSubscriber(self.settings, job=job, topic=self.retraining, lifecycle_topic=self.lifecycle)


def names(settings: KafkaSettings) -> Topics:
    short = replace(settings, session_timeout_ms=2_000, rebalance_timeout_ms=2_000)
    return Topics(short, unique("events"), unique("retraining"), unique("lifecycle"))


@pytest.fixture
async def topics(servers: AnyServers) -> Topics:
    made = names(kafka_settings(servers))
    await made.create()
    return made


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.connected
async def test_events_arrive(topics: Topics) -> None:
    async with EventLogger(topics.settings, topic=topics.events) as logger:
        for i in range(2_000):
            assert logger.log_prediction(model="m", version="1", id=i, features={"age": float(i)})
            assert logger.log_outcome(model="m", id=i, outcome=True)
    assert logger.counts() == (0, 4_000, 0, 0, 0)
    where: dict[str, set[int]] = {}
    decoder = Decoder()
    for record in await topics.read(topics.events):
        where.setdefault(decoder.decode(record.value).id, set()).add(record.partition)
    assert len(where) == 2_000
    assert all(len(partitions) == 1 for partitions in where.values())
    assert {p for partitions in where.values() for p in partitions} == {0, 1, 2, 3}


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedServer]:
    made = embedded_broker(tmp_path)
    yield made
    made.stop(kill=True)


@pytest.mark.embedded
async def test_a_broker_that_comes_late_and_goes_away(own_broker: EmbeddedServer) -> None:
    """B13. Mutation: keep the connection after a defect, and let `_deliver` return: nothing arrives later."""
    topics = names(replace(KafkaSettings.embedded(own_broker.address), request_timeout_ms=1_000))
    logger = EventLogger(topics.settings, topic=topics.events, max_records=50)

    def log(first: int) -> None:
        for i in range(first, first + 40):
            assert logger.log_prediction(model="m", version="1", id=i)

    log(0)
    assert not await logger.aflush(0.3)
    own_broker.start()
    assert not await logger.aflush(0.3)  # there is no such topic yet
    await topics.create()
    assert await logger.aflush(15)
    own_broker.stop(kill=True)
    log(40)
    assert not await logger.aflush(0.3)
    own_broker.start()  # empty: it kept everything in memory
    await topics.create()
    assert await logger.aflush(15)
    assert await logger.aclose()
    assert logger.counts() == (0, 80, 0, 0, 0)
    async with asyncio.timeout(10):
        while True:  # the end of its logs lags
            if len(await topics.read(topics.events)) == 40:
                break
            await asyncio.sleep(0.05)


@pytest.mark.connected
async def test_a_request_is_worked_on_and_not_given_again(topics: Topics) -> None:
    job = unique("job")
    await topics.ask(request("r1", time=now()))
    async with topics.subscriber(job) as requests:
        asked = await asyncio.wait_for(anext(requests), 20)
        async with asked.working() as work:
            work.version = "8"
        await asked.deployed("8")
        await topics.ask(request("r1", time=now()))
        await topics.ask(request("r2", time=now()))
        again = await asyncio.wait_for(anext(requests), 20)
        assert again.id == "r2"
        await again.decline()
    assert await topics.told() == ["retraining.started", "retraining.succeeded", "deployed"]


WORKER = """
import asyncio, json, sys
from driftline.client import KafkaSettings, RetrainingSubscriber

async def main():
    kafka, job, topic, lifecycle = json.loads(sys.argv[1])
    settings = KafkaSettings(**kafka)
    async with RetrainingSubscriber(settings, job=job, topic=topic, lifecycle_topic=lifecycle) as requests:
        async for request in requests:
            async with request.working():
                print(request.id, flush=True)
                await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.connected
async def test_killed_between_started_and_succeeded(topics: Topics) -> None:
    """A1. SIGKILL. Mutation: commit in `_given`, before the work: the request is lost with the worker."""
    job = unique("job")
    await topics.ask(request("r1", time=now()))
    arguments = json.dumps([asdict(topics.settings), job, topics.retraining, topics.lifecycle])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, arguments, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert worker.stdout is not None
    try:
        assert await asyncio.wait_for(worker.stdout.readline(), 20) == b"r1\n"
    finally:
        worker.kill()
        await worker.wait()
    async with topics.subscriber(job) as requests:
        asked = await asyncio.wait_for(anext(requests), 25)
        assert (asked.id, asked.started_before) == ("r1", True)
        async with asked.working():
            pass
    assert await topics.told() == ["retraining.started", "retraining.started", "retraining.succeeded"]
    records = await topics.read(topics.lifecycle)
    ids = [decode_lifecycle(r.value, r.headers).id for r in records]
    assert ids[0] == ids[1] != ids[2]
