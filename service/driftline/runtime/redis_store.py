"""The store in Redis. What is where, and the scripts that write it: `store.lua`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from driftline.runtime.memory_store import MAX_QUARANTINED
from driftline.runtime.redis_client import Argument, Call, RedisClient, RedisSettings
from driftline.runtime.redis_join import RedisJoin
from driftline.runtime.store import Half, JoinTotals, Meeting, Slot, Snapshot, Verdict, Write

_PARTS: Final = ("meta", "fields", "outbox")


class RedisStore:
    """A `Store` on one Redis (>= 7) or Valkey server, or behind a proxy that looks like one.

    Every write is one script, so it happens whole or not at all. Redis answers before it replicates: a fail-over
    can lose what was acknowledged, which `commit` notices (MOVED, LOST) and the log repairs.
    """

    def __init__(self, settings: RedisSettings, *, prefix: str = "driftline", allow_eviction: bool = False) -> None:
        self._client = RedisClient(settings)
        self._join = RedisJoin(self._client, prefix)
        self._prefix = prefix
        self._allow_eviction = allow_eviction

    async def check(self) -> None:
        await self._client.check(allow_eviction=self._allow_eviction)

    async def acquire(self, slot: Slot, token: str) -> Snapshot:
        return await self._snapshot(Call("acquire", self._keys(slot), (token,)))

    async def read(self, slot: Slot) -> Snapshot:
        return await self._snapshot(Call("read", self._keys(slot), ()))

    async def peek(self, slot: Slot, names: Sequence[str]) -> dict[str, bytes]:
        """Some fields of a slot, those that it has, without taking it."""
        (values,) = await self._client.commands([("HMGET", self._key(slot, "fields"), *names)])
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    async def commit(self, slot: Slot, write: Write) -> Verdict:
        begin: Argument = "" if write.begin is None else write.begin
        args: list[Argument] = [write.token, write.batch, begin, write.after, write.next, write.outbox]
        args.append(len(write.delete))
        args.extend(write.delete)
        for name, value in write.set.items():
            args += (name, value)
        (verdict,) = await self._client.run([Call("commit", self._keys(slot), args)])
        return Verdict(verdict.decode())

    async def quarantine(self, slot: Slot, name: str, value: bytes) -> None:
        entry = name.encode() + b"\0" + value
        await self._client.run([Call("quarantine", [self._key(slot, "quarantine")], (entry, MAX_QUARANTINED))])

    async def quarantined(self, slot: Slot) -> list[tuple[str, bytes]]:
        """What `quarantine` keeps of a slot, newest first."""
        (entries,) = await self._client.commands([("LRANGE", self._key(slot, "quarantine"), 0, -1)])
        parts = [entry.partition(b"\0") for entry in entries]
        return [(name.decode(), value) for name, _, value in parts]

    async def join(self, day: int, halves: Sequence[Half]) -> list[Meeting]:
        return await self._join.join(day, halves)

    async def expire(self, day: int) -> None:
        await self._join.expire(day)

    async def join_totals(self) -> JoinTotals:
        return await self._join.totals()

    async def reset_join(self) -> None:
        await self._join.reset()

    async def close(self) -> None:
        await self._client.close()

    def _key(self, slot: Slot, part: str) -> str:
        return f"{{{self._prefix}:{slot.stage}:{slot.partition}}}:{part}"

    def _keys(self, slot: Slot) -> list[str]:
        return [self._key(slot, part) for part in _PARTS]

    async def _snapshot(self, call: Call) -> Snapshot:
        (reply,) = await self._client.run([call])
        stands, flat, outbox = reply
        names = (name.decode() for name in flat[::2])
        fields: dict[str, bytes] = dict(zip(names, flat[1::2], strict=True))
        return Snapshot(None if stands is None else int(stands), fields, outbox or b"")
