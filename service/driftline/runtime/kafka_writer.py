"""The log writer on Kafka: records are packed into one batch a partition and sent together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from driftline.errors import PublishRefused, Transient
from driftline.runtime.kafka import KafkaSettings, kafka_error, publish_error
from driftline.runtime.log import Outgoing

_BATCH_BYTES: Final = 512 * 1024
_CANCELLED_S: Final = 0.05


class KafkaWriter:
    """A `LogWriter`: acks=all, idempotent where the settings say so, in order per partition.

    After a failure the producer is given up and the next call begins with a new one, so that nothing of the failed
    call can still arrive after its repetition.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """A record beyond `max_message_bytes` refuses the call before anything is sent. Transient after
        `request_timeout_ms`."""
        if not records:
            return
        for r in records:
            if len(r.key or b"") + len(r.value or b"") > self._settings.max_message_bytes:
                raise PublishRefused(
                    f"topic {r.topic}: the record is larger than kafka.max_message_bytes "
                    f"({self._settings.max_message_bytes})"
                )
        producer: Any = None
        try:
            # An idempotent producer of aiokafka repeats for as long as the broker is away.
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                producer = await self._started()
                await self._send(producer, records)
        except PublishRefused:
            raise
        except BaseException as error:
            if producer is not None:
                await self._give_up(producer)
            if isinstance(error, TimeoutError):
                raise kafka_error(self._settings, f"publishing to {records[0].topic}", error) from error
            raise

    async def close(self) -> None:
        """Whoever still publishes is refused with Transient."""
        if self._producer is not None:
            await self._give_up(self._producer)

    async def _give_up(self, producer: Any) -> None:
        """End it without sending what it still holds, which would arrive behind its repetition. (aiokafka's own `stop`
        sends first, and waits for that without end.)"""
        if self._producer is not producer:
            return
        self._producer = None
        producer._message_accumulator.fail_all(KafkaConnectionError("the producer is given up"))
        sender = producer._sender.sender_task
        while not sender.done():  # it answers the first cancellation by waiting for what is on its way
            sender.cancel()
            await asyncio.wait([sender], timeout=_CANCELLED_S)
        await producer.stop()

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._settings.client_options(),
                    acks="all",
                    enable_idempotence=self._settings.idempotent,
                    max_batch_size=_BATCH_BYTES,
                )
                try:
                    await producer.start()
                except BaseException as error:
                    await producer.stop()
                    if isinstance(error, KafkaError | OSError):
                        raise kafka_error(self._settings, "starting to publish", error) from error
                    raise
                self._producer = producer
            return self._producer

    async def _send(self, producer: Any, records: Sequence[Outgoing]) -> None:
        batches = _batches(producer, records)
        acknowledged: list[tuple[str, asyncio.Future[object]]] = []
        failures: list[tuple[str, BaseException]] = []
        for turn in range(max(len(queue) for queue in batches.values())):
            for (topic, partition), queue in batches.items():
                if turn < len(queue):
                    try:
                        if partition not in await producer.partitions_for(topic):
                            raise Transient(f"topic {topic}: there is no partition {partition}")
                        sent = await producer.send_batch(queue[turn], topic, partition=partition)
                        sent.add_done_callback(_looked_at)
                        acknowledged.append((topic, sent))
                    except (KafkaError, TimeoutError) as error:
                        failures.append((topic, error))
        results = await asyncio.gather(*(sent for _, sent in acknowledged), return_exceptions=True)
        failures += [
            (t, r) for (t, _), r in zip(acknowledged, results, strict=True) if isinstance(r, BaseException)
        ]
        if failures:
            mapped = [publish_error(self._settings, topic, error) for topic, error in failures]
            raise min(mapped, key=lambda error: not isinstance(error, PublishRefused))


def _looked_at(sent: asyncio.Future[object]) -> None:
    """Else asyncio would log the failure of each batch of a call that was cancelled before it came to them."""
    if not sent.cancelled():
        sent.exception()


def _batches(producer: Any, records: Sequence[Outgoing]) -> dict[tuple[str, int], list[Any]]:
    """Builders in order for each partition, each at most about `_BATCH_BYTES` or one record."""
    batches: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
    for r in records:
        queue = batches[r.topic, r.partition]
        if not queue or queue[-1].append(timestamp=None, key=r.key, value=r.value, headers=list(r.headers)) is None:
            builder = producer.create_batch()
            builder.append(timestamp=None, key=r.key, value=r.value, headers=list(r.headers))
            queue.append(builder)
    for queue in batches.values():
        queue[-1].close()
    return batches
