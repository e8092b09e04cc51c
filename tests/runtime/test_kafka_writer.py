"""A producer that repeats without end, as aiokafka's idempotent one does, is given up in bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import SendProduceReqHandler

from driftline.errors import Transient
from driftline.runtime.embedded import EmbeddedServer, embedded_broker
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics, TopicSpec
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing

_LIMIT_S = 1.0
_GENEROUS_S = 5.0
"""Without a limit it is for ever."""


async def test_what_we_touch_of_aiokafka_is_there() -> None:
    """`KafkaWriter` ends a producer by names that aiokafka does not promise. If this fails after an update, look into
    `AIOKafkaProducer.stop` for their successors: without them a producer cannot be ended while the broker is away."""
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9")
    assert callable(producer._message_accumulator.fail_all)
    assert producer._sender.sender_task is None, "it is a task as soon as the producer runs"
    assert asyncio.iscoroutinefunction(producer._sender._sender_routine)
    await producer.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedServer]:
    made = embedded_broker(tmp_path)
    made.start()
    yield made
    made.stop(kill=True)


@pytest.fixture
def settings(broker: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """The embedded broker knows no idempotence: what a producer of ours repeats, and for how long, is put in here."""
    monkeypatch.setattr(SendProduceReqHandler, "_can_retry", lambda *_: True)
    return replace(KafkaSettings.embedded(broker.address), request_timeout_ms=round(1000 * _LIMIT_S))


async def _create(settings: KafkaSettings) -> None:
    async with KafkaTopics(settings) as topics:
        await topics.create([TopicSpec("events", 2)])


@pytest.mark.embedded
async def test_a_call_ends_while_the_broker_is_away(broker: EmbeddedServer, settings: KafkaSettings) -> None:
    """B13. What was given up does not arrive when the broker is back; what is published then arrives once.

    Mutation: `publish` without its time-out; or `_give_up` without cancelling the sender: neither ever returns.
    """
    writer, reader = KafkaWriter(settings), KafkaReader(settings)
    await _create(settings)
    await writer.publish([Outgoing("events", 0, b"k", b"before")])
    broker.stop(kill=True)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Transient):
            await writer.publish([Outgoing("events", p, b"k", b"given up") for p in (0, 1)])
        assert time.monotonic() - began < _LIMIT_S + _GENEROUS_S
    broker.start()  # it kept everything in memory: the topic is gone
    await _create(settings)
    await writer.publish([Outgoing("events", 0, b"k", b"after")])
    assert [r.value for r in await reader.read("events", 0, 0, 9)] == [b"after"]
    assert await reader.read("events", 1, 0, 9) == []
    await writer.close()
    await reader.close()


@pytest.mark.embedded
async def test_closing_ends_while_the_broker_is_away(broker: EmbeddedServer, settings: KafkaSettings) -> None:
    """A4. Whoever still publishes gets a Transient. Other tasks do not notice how the producer ends.

    Mutation: `close` awaits the producer's own `stop`.
    """
    writer = KafkaWriter(replace(settings, request_timeout_ms=60_000))
    await _create(settings)
    await writer.publish([Outgoing("events", 0, b"k", b"before")])
    broker.stop(kill=True)
    publishing = asyncio.create_task(writer.publish([Outgoing("events", 0, b"k", b"lost")]))
    await asyncio.sleep(0.3)  # it repeats
    assert not publishing.done()
    async with asyncio.timeout(_GENEROUS_S):
        await writer.close()
        with pytest.raises(Transient):
            await publishing
    assert not [t for t in asyncio.all_tasks() if "Sender" in repr(t)], "the producer still works"


@pytest.mark.embedded
async def test_a_cancelled_call_ends_while_the_broker_is_away(
    broker: EmbeddedServer, settings: KafkaSettings
) -> None:
    """A4. Mutation: `publish` gives the producer up by the producer's own `stop`."""
    writer = KafkaWriter(replace(settings, request_timeout_ms=60_000))
    await _create(settings)
    await writer.publish([Outgoing("events", 0, b"k", b"before")])
    broker.stop(kill=True)
    publishing = asyncio.create_task(writer.publish([Outgoing("events", 0, b"k", b"lost")]))
    await asyncio.sleep(0.3)  # it repeats
    publishing.cancel()
    _, late = await asyncio.wait([publishing], timeout=_GENEROUS_S)
    assert not late
    assert publishing.cancelled()
    await writer.close()
