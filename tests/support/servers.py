"""The broker and store of the connected tests: started once, told apart by unique names.

The embedded ones, or, with `pytest --real`, Apache Kafka and Redis.
"""

from __future__ import annotations

import itertools
import os
from functools import cached_property
from typing import Any

from driftline.runtime.embedded import EmbeddedServer, EmbeddedServers
from driftline.runtime.kafka import KafkaSettings
from support.own import Server, Unavailable, missing
from support.real import RealServers

AnyServer = EmbeddedServer | Server
AnyServers = EmbeddedServers | RealServers

_numbers = itertools.count()


def unique(name: str) -> str:
    """A topic, group or prefix that no other test uses, also not in another process."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


class Servers:
    """Started when first asked for. Where there are no real ones, every test that asks is told why."""

    def __init__(self, real: bool) -> None:
        self._real = real
        self._started: AnyServers | None = None

    @cached_property
    def versions(self) -> str:
        """What the tests run on."""
        match self._made:
            case RealServers() as servers:
                return f"{servers.kafka.version}, {servers.redis.version}"
            case Unavailable() as why:
                return str(why)
        return "the embedded broker and store"

    def get(self) -> AnyServers:
        if isinstance(self._made, Unavailable):
            missing(str(self._made))
        if self._started is None:
            self._made.start()
            self._started = self._made
        return self._started

    def stop(self) -> None:
        if "_made" in self.__dict__ and not isinstance(self._made, Unavailable):
            self._made.stop()

    @cached_property
    def _made(self) -> AnyServers | Unavailable:
        if not self._real:
            return EmbeddedServers()
        try:
            return RealServers()
        except Unavailable as why:
            return why


def connection(servers: AnyServers) -> dict[str, dict[str, Any]]:
    """The part of the configuration that leads to them."""
    embedded = isinstance(servers, EmbeddedServers)
    kafka = {"bootstrap": servers.kafka_bootstrap, "idempotent": not embedded, "end_lags": embedded}
    return {"kafka": kafka, "redis": {"url": servers.redis_url}}


def kafka_settings(servers: AnyServers) -> KafkaSettings:
    """Ours with short sessions; the idempotent producer where the broker has it."""
    if isinstance(servers, EmbeddedServers):
        return KafkaSettings.embedded(servers.kafka_bootstrap)
    return KafkaSettings(servers.kafka_bootstrap, session_timeout_ms=4_000, rebalance_timeout_ms=3_000)
