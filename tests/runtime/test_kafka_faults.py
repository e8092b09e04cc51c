"""Kafka that is away, refuses, or has forgotten what we ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition, errors

from driftline.errors import DriftlineError, LogGap, Misconfigured, PublishRefused, Transient
from driftline.runtime.embedded import EmbeddedServer, embedded_broker
from driftline.runtime.kafka import KafkaSettings, kafka_error, publish_error
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics, TopicSpec
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Bounds, Outgoing
from support.servers import AnyServers, kafka_settings, unique

HERE = KafkaSettings("broker:9092", sasl_username="us", sasl_password="canary")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.MessageSizeTooLargeError(), PublishRefused),
        (errors.RecordListTooLargeError(), PublishRefused),
        (errors.TopicAuthorizationFailedError(), PublishRefused),
        (errors.ClusterAuthorizationFailedError(), PublishRefused),
        (errors.NotEnoughReplicasError(), Transient),
        (errors.KafkaTimeoutError(), Transient),
        (errors.KafkaConnectionError(), Transient),
        (errors.NotLeaderForPartitionError(), Transient),
        (TimeoutError(), Transient),
        (OSError("gone"), Transient),
        (errors.SaslAuthenticationFailed(), Misconfigured),
        (errors.UnsupportedVersionError(), Misconfigured),
    ],
)
def test_what_a_failed_publish_means(error: Exception, kind: type[DriftlineError]) -> None:
    """B18. Mutation: empty `_REFUSALS`: a refused record is repeated for ever and nobody is told why."""
    assert type(publish_error(HERE, "blocks", error)) is kind
    assert "blocks" in str(publish_error(HERE, "blocks", error))


def test_secrets_are_in_no_text() -> None:
    """E45."""
    assert "canary" not in repr(HERE)
    assert "canary" not in str(kafka_error(HERE, "polling", errors.SaslAuthenticationFailed("canary")))


def test_settings_become_client_options() -> None:
    assert KafkaSettings("b:1").client_options()["security_protocol"] == "PLAINTEXT"
    sasl = replace(HERE, security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", ssl_check_hostname=False)
    options = sasl.client_options()
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("us", "canary")
    assert options["ssl_context"].check_hostname is False
    with pytest.raises(Misconfigured, match="PEM"):
        replace(HERE, security_protocol="SSL", ssl_cafile="/nowhere.pem").client_options()


class _OutOfRange:
    """Stands for aiokafka's consumer at an offset that is gone; the embedded broker never answers that."""

    async def getmany(self, **_: object) -> None:
        raise errors.OffsetOutOfRangeError({TopicPartition("events", 1): 5})


async def test_an_offset_out_of_range_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """B15. Mutation: catch it as any KafkaError in `poll`: the loop repeats for ever instead of saying so."""
    consumer = KafkaConsumer(HERE, "events", "group")

    async def bounds(partition: int) -> Bounds:
        return Bounds(9, 20)

    monkeypatch.setattr(consumer, "_consumer", _OutOfRange())
    monkeypatch.setattr(consumer, "bounds", bounds)
    with pytest.raises(LogGap, match="events/1: offset 5 is wanted, 9 is the next"):
        await consumer.poll(10, 0.1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedServer]:
    made = embedded_broker(tmp_path)
    made.start()
    yield made
    made.stop(kill=True)


@pytest.mark.embedded
async def test_a_broker_that_goes_away_and_comes_back(broker: EmbeddedServer) -> None:
    """B13. Mutation: let `_started` pass on what aiokafka raises: a KafkaConnectionError ends the loop."""
    settings = replace(KafkaSettings.embedded(broker.address), request_timeout_ms=1_000)
    writer, reader = KafkaWriter(settings), KafkaReader(settings)
    record = Outgoing("events", 0, b"k", b"v")

    async def create() -> None:
        async with KafkaTopics(settings) as topics:
            await topics.create([TopicSpec("events", 1)])

    await create()
    await writer.publish([record])
    assert await reader.bounds("events") == {0: Bounds(0, 1)}
    broker.stop(kill=True)
    for call in (writer.publish([record]), writer.publish([record]), reader.read("events", 0, 0, 1), create()):
        with pytest.raises(Transient, match=f"Kafka at {broker.address}"):
            await call
    broker.start()  # it kept everything in memory: the topic is gone
    await create()
    await writer.publish([record])
    assert [r.value for r in await reader.read("events", 0, 0, 9)] == [b"v"]
    await writer.close()
    await reader.close()


class Following:
    """Reads every partition from its beginning."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    async def on_assigned(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._consumer.seek(partition, 0)

    async def on_revoked(self, partitions: Collection[int]) -> None: ...


@pytest.mark.embedded
async def test_a_member_leaves_while_the_broker_is_away(broker: EmbeddedServer) -> None:
    """A4. Closing is no cancellation of the one who closes: what a loop has failed with is not lost by it.

    Mutation: `end_consumer` awaits aiokafka's `stop` itself.
    """
    settings = replace(KafkaSettings.embedded(broker.address), request_timeout_ms=5_000)
    async with KafkaTopics(settings) as topics:
        await topics.create([TopicSpec("events", 1)])
    writer, consumer = KafkaWriter(settings), KafkaConsumer(settings, "events", "group")
    await writer.publish([Outgoing("events", 0, b"k", b"v")])
    await writer.close()
    await consumer.start(Following(consumer))
    while not await consumer.poll(1, 0.1):
        pass
    broker.stop(kill=True)
    with suppress(Transient):
        await consumer.poll(1, 0.5)  # it fetches, in vain
    async with asyncio.timeout(10):
        await consumer.close()


async def test_what_ends_a_consumer_is_there() -> None:
    """`end_consumer` closes connections by a name that aiokafka does not promise. If this fails after an update, look
    into `AIOKafkaConsumer.stop` for its successor."""
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:9")
    assert asyncio.iscoroutinefunction(consumer._client.close)


@pytest.mark.connected
async def test_a_partition_that_is_not_there(servers: AnyServers) -> None:
    settings = kafka_settings(servers)
    name = unique("topic")
    async with KafkaTopics(settings) as topics:
        assert await topics.create([TopicSpec(name, 2, compact=True, retention_ms=-1)]) == [name]
        assert await topics.create([TopicSpec(name, 9)]) == []
        assert (await topics.describe())[name] == 2
        writer = KafkaWriter(settings)
        with pytest.raises(Transient, match="no partition 5"):
            await writer.publish([Outgoing(name, 5, b"k", b"v")])
        await writer.publish([Outgoing(name, 1, b"k", b"v")])
        await writer.close()
        await topics.delete([name])
        assert name not in await topics.describe()


@pytest.mark.connected
async def test_many_records_of_many_partitions_keep_their_order(servers: AnyServers) -> None:
    settings = kafka_settings(servers)
    name = unique("topic")
    async with KafkaTopics(settings) as topics:
        await topics.create([TopicSpec(name, 8)])
    writer, reader = KafkaWriter(settings), KafkaReader(settings)
    await writer.publish([Outgoing(name, i % 8, b"k", b"%d" % i + bytes(600)) for i in range(20_000)])
    for partition in range(8):
        read = await reader.read(name, partition, 0, 1 << 40)
        values = [int((r.value or b"").rstrip(b"\0")) for r in read]
        assert values == list(range(partition, 20_000, 8))
    await writer.close()
    await reader.close()
