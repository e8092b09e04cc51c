"""React obeys a stop in whatever phase it is: starting, joining its group, at work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from driftline.cli.topics import create_topics
from driftline.clock import SystemClock
from driftline.config import load
from driftline.contracts.reactions import Fact
from driftline.react import app as react_app
from driftline.react.app import AppSettings, ReactApp
from driftline.react.core import Question
from driftline.react.worker import ReactWorker
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.wiring import kafka_settings, redis_store, worker_settings
from support.servers import AnyServers, connection, unique

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


class NothingJudged:
    async def closed(self) -> int | None:
        return None

    async def facts(self, asked: Sequence[Question]) -> list[Fact]:
        return []


async def test_a_stop_is_obeyed_at_any_moment(servers: AnyServers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked at once, and after every part of a second until it has long joined; each time with a group of its own.

    Mutation: await app.stop() without a limit in ReactApp._end; while it joins, a stop takes until it has joined."""
    monkeypatch.setattr(react_app, "STOP_S", 0.5)
    name = unique("stopping")
    where = connection(servers)
    settings = {f"kafka.{key}": value for key, value in where["kafka"].items()}
    settings |= {"redis.url": where["redis"]["url"], "redis.prefix": name, "topics.prefix": f"{name}."}
    config = load(None, overrides=settings).config
    await create_topics(config)
    kafka, policy = kafka_settings(config), worker_settings(config)
    reader, writer, store = KafkaReader(kafka), KafkaWriter(kafka), redis_store(config)
    took = {}
    try:
        for after in (0.0, 0.0, 0.05, 0.1, 0.2, 0.2, 0.4, 0.8, 1.6, 2.4, 8.0):
            worker = ReactWorker(policy, store, reader, writer, SystemClock())
            app = ReactApp(AppSettings(unique(name)), kafka, policy.topics, worker, NothingJudged(), reader)
            running = asyncio.create_task(app.run())
            await asyncio.sleep(after)
            started = time.monotonic()
            app.stop()
            await running
            took[after] = time.monotonic() - started
            assert not worker.active
    finally:
        await writer.close()
        await reader.close()
        await store.close()
    assert max(took.values()) < 2.5, took
