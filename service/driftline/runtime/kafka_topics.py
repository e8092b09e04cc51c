"""Topics on Kafka: create what is missing, describe what there is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from driftline.errors import Misconfigured
from driftline.runtime.kafka import KafkaSettings, kafka_error

_LOOK_EVERY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as we want it. `retention_ms` of None is the broker's default, -1 for ever.

    Records are stamped with the broker's append time, which no producer's clock can falsify.
    """

    name: str
    partitions: int
    compact: bool = False
    retention_ms: int | None = None

    def configuration(self) -> dict[str, str]:
        configuration = {"message.timestamp.type": "LogAppendTime"}
        if self.compact:
            configuration["cleanup.policy"] = "compact"
        if self.retention_ms is not None:
            configuration["retention.ms"] = str(self.retention_ms)
        return configuration


class KafkaTopics:
    """An administrator's connection, for `async with`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: Any = None

    async def __aenter__(self) -> KafkaTopics:
        client = AIOKafkaAdminClient(**self._settings.client_options())
        try:
            await client.start()
        except (errors.KafkaError, OSError, TimeoutError) as error:
            await client.close()
            raise kafka_error(self._settings, "looking at topics", error) from error
        self._client = client
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def describe(self) -> dict[str, int]:
        """Every topic we may see, with its number of partitions. Creates none."""
        topics = await self._ask("looking at topics", self._client.describe_topics())
        return {t["topic"]: len(t["partitions"]) for t in topics if not t["error_code"]}

    async def create(self, specs: Sequence[TopicSpec], *, replication: int = -1) -> list[str]:
        """Create those that do not exist, and return their names; existing ones stay as they are.

        `replication` of -1 is the broker's default.
        """
        topics = [
            # an empty assignment, because NewTopic takes no other with a replication of -1
            NewTopic(s.name, s.partitions, replication, replica_assignments={}, topic_configs=s.configuration())
            if replication == -1
            else NewTopic(s.name, s.partitions, replication, topic_configs=s.configuration())
            for s in specs
        ]
        response = await self._ask("creating topics", self._client.create_topics(topics))
        created = []
        for name, code, *message in response.topic_errors:
            kind = errors.for_code(code)
            if kind is errors.NoError:
                created.append(name)
            elif kind is errors.TopicAuthorizationFailedError:
                raise Misconfigured(f"topic {name}: our user may not create it; let an administrator do so")
            elif kind is not errors.TopicAlreadyExistsError:
                detail = message[0] if message and message[0] else kind.__name__
                raise Misconfigured(f"topic {name} cannot be created: {detail}")
        await self._until_told("creating topics", set(created), there=True)
        return created

    async def delete(self, names: Sequence[str]) -> None:
        await self._ask("deleting topics", self._client.delete_topics(list(names)))
        await self._until_told("deleting topics", set(names), there=False)

    async def _until_told(self, doing: str, names: Set[str], *, there: bool) -> None:
        """Brokers learn of a change a little after it was made; until then they deny a topic that exists."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                while True:
                    told = names & (await self.describe()).keys()
                    if told == (names if there else set()):
                        return
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError as error:
            raise kafka_error(self._settings, doing, error) from error

    async def _ask(self, doing: str, question: Any) -> Any:
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                return await question
        except (errors.KafkaError, OSError, TimeoutError) as error:
            raise kafka_error(self._settings, doing, error) from error
