"""The stores under the contract, each as seen by several clients of one server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import redis

from driftline.runtime.memory_store import MemoryServer, MemoryStore
from driftline.runtime.redis_client import RedisSettings
from driftline.runtime.redis_store import RedisStore
from driftline.runtime.store import Slot, Store
from support.servers import AnyServers, unique


class Quarantining(Store, Protocol):
    """A store that also shows what it keeps aside, and single fields."""

    async def peek(self, slot: Slot, names: Sequence[str]) -> dict[str, bytes]: ...

    async def quarantined(self, slot: Slot) -> list[tuple[str, bytes]]: ...


class Bench(Protocol):
    def client(self) -> Quarantining:
        """One more client of the same server."""
        ...

    def wipe(self) -> None:
        """The server forgets everything of ours."""
        ...

    async def close(self) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.server = MemoryServer()

    def client(self) -> MemoryStore:
        return MemoryStore(self.server)

    def wipe(self) -> None:
        self.server.wipe()

    async def close(self) -> None: ...


class RedisBench:
    def __init__(self, servers: AnyServers) -> None:
        self._url = servers.redis_url
        self.prefix = unique("test")
        self._clients: list[RedisStore] = []

    def client(self) -> RedisStore:
        self._clients.append(RedisStore(RedisSettings(self._url), prefix=self.prefix))
        return self._clients[-1]

    def stored(self) -> list[bytes]:
        with redis.Redis.from_url(self._url) as plain:
            return list(plain.scan_iter(match=f"{{{self.prefix}:*", count=1_000))

    def wipe(self) -> None:
        with redis.Redis.from_url(self._url) as plain:
            for key in self.stored():
                plain.delete(key)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        self.wipe()
