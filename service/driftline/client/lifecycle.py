"""Telling Driftline what happened to a model version: the `lifecycle` topic."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from driftline.client.connection import Connect, Connection, settings_of, to_kafka
from driftline.client.patience import patiently
from driftline.clock import Clock, SystemClock
from driftline.contracts.cloudevents import encode
from driftline.contracts.reactions import content_id
from driftline.contracts.records import Lifecycle, LifecycleWhat
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.log import Outgoing

TOPIC: Final = "driftline.lifecycle"
SOURCE: Final = "driftline-client"
MAX_DETAILS: Final = 100
MAX_TEXT: Final = 500

Detail = str | int | float | bool | None


class LifecycleReporter:
    """Publishes lifecycle events; each call returns when all in-sync replicas have the event.

    At least once, with the same id in every repetition, so that it counts once. While the broker is away a call
    waits and tries again; cancel it to give up. Raises PublishRefused where we may not write, Misconfigured where
    the broker will not have us. For `async with`, or `close` it.
    """

    def __init__(
        self,
        kafka: KafkaSettings | str,
        *,
        topic: str = TOPIC,
        clock: Clock | None = None,
        connect: Connect = to_kafka,
    ) -> None:
        self._connection: Connection = connect(settings_of(kafka))
        self._topic = topic
        self._clock: Clock = clock or SystemClock()

    async def registered(
        self, model: str, version: str, *, time: int | None = None, details: Mapping[str, object] | None = None
    ) -> Lifecycle:
        """There is such a version."""
        return await self.tell("registered", model, version, time=time, details=details)

    async def deployed(
        self,
        model: str,
        version: str,
        *,
        request: str | None = None,
        time: int | None = None,
        details: Mapping[str, object] | None = None,
    ) -> Lifecycle:
        """It serves from now on, in place of others. `request`: id of the retraining request it came from."""
        return await self.tell("deployed", model, version, request=request, time=time, details=details)

    async def rolled_back(
        self, model: str, version: str, *, time: int | None = None, details: Mapping[str, object] | None = None
    ) -> Lifecycle:
        """It serves no longer; the version before it does again."""
        return await self.tell("rolled_back", model, version, time=time, details=details)

    async def retired(
        self, model: str, version: str, *, time: int | None = None, details: Mapping[str, object] | None = None
    ) -> Lifecycle:
        """It is gone for good."""
        return await self.tell("retired", model, version, time=time, details=details)

    async def tell(
        self,
        what: LifecycleWhat,
        model: str,
        version: str,
        *,
        request: str | None = None,
        id: str | None = None,
        time: int | None = None,
        details: Mapping[str, object] | None = None,
    ) -> Lifecycle:
        """Publish any event. `time` is ms since the epoch, by default now. `id` is by default a function of what is
        told and of `time`; deliveries with the same id are one event."""
        when = self._clock.now_ms() if time is None else time
        event = Lifecycle(
            id=id or content_id("lifecycle", what, model, version, request or "", when),
            what=what,
            model=model,
            version=version,
            time=when,
            request=request,
            details=flat(details or {}),
        )
        headers, value = encode(event, SOURCE)
        record = Outgoing(self._topic, 0, model.encode("utf-8", "backslashreplace"), value, headers)
        await patiently(lambda: self._connection.writer.publish([record]), f"telling {what}")
        return event

    async def close(self) -> None:
        await self._connection.close()

    async def __aenter__(self) -> LifecycleReporter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def announce(
    kafka: KafkaSettings | str,
    what: LifecycleWhat,
    model: str,
    version: str,
    *,
    request: str | None = None,
    time: int | None = None,
    details: Mapping[str, object] | None = None,
    topic: str = TOPIC,
    timeout: float = 30.0,
    connect: Connect = to_kafka,
) -> Lifecycle:
    """`LifecycleReporter.tell` for scripts without asyncio: connect, publish, close. TimeoutError after `timeout`
    seconds; the event may then have arrived nevertheless."""

    async def once() -> Lifecycle:
        async with LifecycleReporter(kafka, topic=topic, connect=connect) as reporter, asyncio.timeout(timeout):
            return await reporter.tell(what, model, version, request=request, time=time, details=details)

    return asyncio.run(once())


def flat(details: Mapping[str, object]) -> dict[str, Detail]:
    """Details as the contract has them: at most MAX_DETAILS, plain and bounded. Scalars of numpy become plain, NaN
    becomes None, and what is neither number, boolean nor None becomes text, cut: an event is worth more than its
    details."""
    return {_cut(str(name)): _detail(value) for name, value in list(details.items())[:MAX_DETAILS]}


def _detail(value: Any) -> Detail:
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else _cut(str(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _cut(str(value))


def _cut(text: str) -> str:
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
