"""What an administrator of Kafka, or its retention, does to the topics and groups of others."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.group import LeaveGroupRequest

from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_topics import KafkaTopics


class Admin:
    """A connection, for `async with`."""

    def __init__(self, bootstrap: str) -> None:
        self._topics = KafkaTopics(KafkaSettings(bootstrap))
        self._client: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> Admin:
        await self._client.start()
        await self._topics.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._topics.__aexit__(kind, error, trace)
        await self._client.close()

    async def create(self, topic: str, partitions: int, **configuration: str) -> None:
        """`configuration` has underscores where Kafka has dots."""
        settings = {name.replace("_", "."): value for name, value in configuration.items()}
        await self._client.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])

    async def delete(self, topic: str) -> None:
        await self._topics.delete([topic])

    async def widen(self, topic: str, partitions: int) -> None:
        """Add partitions until there are so many."""
        await self._client.create_partitions({topic: NewPartitions(partitions)})

    async def trim(self, topic: str, befores: Mapping[int, int]) -> None:
        """Let go of the records of a partition before an offset, as retention does."""
        await self._client.delete_records(
            {TopicPartition(topic, p): RecordsToDelete(before) for p, before in befores.items()}
        )

    async def committed(self, group: str) -> dict[int, int]:
        try:
            found = await self._client.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:  # the first group of all makes the coordinator's topic
            return {}
        return {tp.partition: at.offset for tp, at in found.items()}

    async def members(self, group: str) -> list[str]:
        ((found,),) = [answer.groups for answer in await self._client.describe_consumer_groups([group])]
        return [member[0] for member in found[5]]

    async def evict(self, group: str, member: str) -> None:
        """The group goes on without that member, which is not told."""
        node = await self._client.find_coordinator(group)
        answer = await self._client._send_request(LeaveGroupRequest(group, member), node)
        assert answer.error_code == 0
