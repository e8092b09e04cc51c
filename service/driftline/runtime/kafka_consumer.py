"""A member of a consumer group on Kafka: eager rebalancing, explicit offsets, never a position that nobody set."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from driftline.errors import Fenced, LogGap
from driftline.runtime.kafka import KafkaSettings, end_consumer, kafka_error
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.log import Bounds, RebalanceListener, Record

_PARTITION_FETCH_BYTES: Final = 4 << 20
_METADATA_AGE_MS: Final = 60_000
"""New partitions are noticed within this."""
_POLL_GRACE_S: Final = 1.0

_NOT_A_MEMBER: Final = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


class KafkaConsumer:
    """A `GroupConsumer` of `topic` in `group`. Transactions that were aborted are not seen.

    The listener is called from a task of aiokafka, between polls or during one.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._reader = KafkaReader(settings)
        self._consumer: Any = None
        self._listener: RebalanceListener | None = None
        self._seeked: set[int] = set()

    async def start(self, listener: RebalanceListener) -> None:
        """Raises Misconfigured if there is no such topic."""
        await self._reader.partitions(self._topic)
        settings = self._settings
        consumer = AIOKafkaConsumer(
            **settings.client_options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=min(3_000, settings.session_timeout_ms // 3),
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            max_poll_interval_ms=settings.max_poll_interval_ms,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            metadata_max_age_ms=_METADATA_AGE_MS,
        )
        self._consumer, self._listener = consumer, listener
        consumer.subscribe([self._topic], listener=_Listener(self, listener))
        try:
            await consumer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await end_consumer(consumer)
            raise kafka_error(settings, f"joining the group {self._group}", error) from error

    async def poll(self, max_records: int, timeout_s: float) -> Mapping[int, Sequence[Record]]:
        """At most `max_records`, from the partitions that were seeked since they were assigned.

        Raises LogGap for a position outside the partition's bounds. A rebalance in progress ends the wait.
        """
        try:
            async with asyncio.timeout(timeout_s + _POLL_GRACE_S):  # getmany itself waits for a rebalance for ever
                polled = await self._consumer.getmany(timeout_ms=round(timeout_s * 1000), max_records=max_records)
        except (TimeoutError, ConsumerStoppedError):
            return {}
        except OffsetOutOfRangeError as error:
            (tp, position), *_ = error.args[0].items()
            bounds = await self.bounds(tp.partition)
            found = bounds.begin if position < bounds.begin else bounds.end
            raise LogGap(f"{self._topic}/{tp.partition}", position, found) from error
        except KafkaError as error:
            raise kafka_error(self._settings, f"polling {self._topic}", error) from error
        return {tp.partition: records for tp, records in polled.items() if tp.partition in self._seeked}

    def seek(self, partition: int, offset: int) -> None:
        """Raises Fenced if the partition is not assigned to us."""
        try:
            self._consumer.seek(TopicPartition(self._topic, partition), offset)
        except IllegalStateError:
            raise Fenced(f"{self._topic}/{partition} is not assigned to us") from None
        self._seeked.add(partition)

    def pause(self, partitions: Collection[int]) -> None:
        """Partitions that are not ours any more are left out."""
        for tp in self._tps(partitions):
            with contextlib.suppress(IllegalStateError):
                self._consumer.pause(tp)

    def resume(self, partitions: Collection[int]) -> None:
        for tp in self._tps(partitions):
            with contextlib.suppress(IllegalStateError):
                self._consumer.resume(tp)

    def assigned(self) -> frozenset[int]:
        return frozenset(tp.partition for tp in self._consumer.assignment())

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):  # aiokafka repeats for ever
                await self._consumer.commit({TopicPartition(self._topic, p): o for p, o in offsets.items()})
        except _NOT_A_MEMBER:
            return False
        except (KafkaError, TimeoutError) as error:
            raise kafka_error(self._settings, f"committing to {self._topic}", error) from error
        return True

    async def committed(self, partition: int) -> int | None:
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                offset: int | None = await self._consumer.committed(TopicPartition(self._topic, partition))
        except (KafkaError, TimeoutError) as error:
            raise kafka_error(self._settings, f"asking what {self._group} committed", error) from error
        return offset

    async def bounds(self, partition: int) -> Bounds:
        return (await self._reader.bounds_of(self._topic, [partition]))[partition]

    async def position(self, partition: int) -> int:
        try:
            offset: int = await self._consumer.position(TopicPartition(self._topic, partition))
        except IllegalStateError:
            raise Fenced(f"{self._topic}/{partition} is not assigned to us") from None
        return offset

    async def close(self) -> None:
        """Tell the listener that its partitions are revoked, then leave the group."""
        if self._consumer is not None:
            held, listener, self._listener = self.assigned(), self._listener, None
            if held and listener is not None:
                await listener.on_revoked(held)
            await end_consumer(self._consumer)
        await self._reader.close()

    def forget_positions(self) -> None:
        """Nothing counts as seeked any more."""
        self._seeked.clear()

    def _tps(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, p) for p in partitions]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Speaks of partitions instead of topic-partitions."""

    def __init__(self, consumer: KafkaConsumer, listener: RebalanceListener) -> None:
        self._consumer = consumer
        self._listener = listener

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if revoked:
            await self._listener.on_revoked(frozenset(tp.partition for tp in revoked))
        self._consumer.forget_positions()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.forget_positions()
        await self._listener.on_assigned(frozenset(tp.partition for tp in assigned))
