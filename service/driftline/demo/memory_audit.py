"""The audit of Redis: what the memory of the join holds, entry by entry, and where the stages stand.

Keys and entries are read as `runtime/store.lua` documents them, without the pipeline's code; all but `reacted`,
which is only waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from driftline.react.notify.outbox import WAITING
from driftline.react.state import CORE, from_fields
from driftline.runtime.redis_client import RedisSettings
from driftline.runtime.redis_store import RedisStore
from driftline.runtime.store import Slot

SHARDS: Final = 64
_FIGURE_OF: Final = {ord("P"): "pending", ord("O"): "orphans_waiting", ord("p"): "pairs", ord("o"): "pairs"}
"""The figure that an entry belongs to, by its first byte."""


@dataclass
class JoinFigures:
    """`pending`: predictions that wait for an outcome; `orphans`: outcomes whose prediction never came, whether
    they still wait (`orphans_waiting`) or were let go. `expired`: predictions let go while they waited. `pairs`:
    pairs still remembered, at most as many as were `joined`."""

    pending: int = 0
    orphans_waiting: int = 0
    orphans_expired: int = 0
    expired: int = 0
    joined: int = 0
    pairs: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def orphans(self) -> int:
        return self.orphans_waiting + self.orphans_expired

    def add_entries(self, entries: Iterable[bytes]) -> None:
        for entry in entries:
            name = _FIGURE_OF.get(entry[0])
            if name is None:
                self.problems.append(f"an entry of the join begins with byte {entry[0]}")
            else:
                setattr(self, name, getattr(self, name) + 1)


class StoreAudit:
    """A connection of its own to the store."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis: Any = Redis.from_url(url)
        self._store = RedisStore(RedisSettings(url), prefix=prefix)
        self._prefix = prefix

    async def close(self) -> None:
        await self._store.close()
        await self._redis.aclose()

    async def next_of(self, stage: str, partition: int) -> int:
        """The offset at which a stage stands; 0 where it has not begun."""
        stands = await self._redis.hget(f"{{{self._prefix}:{stage}:{partition}}}:meta", "next")
        return int(stands or 0)

    async def owned(self, stage: str, partition: int) -> bool:
        """Whether a worker has ever taken this partition over."""
        return bool(await self._redis.hexists(f"{{{self._prefix}:{stage}:{partition}}}:meta", "owner"))

    async def reacted(self) -> Mapping[str, int]:
        """Where react stands in the topics it reads (signals, lifecycle, commands); empty before it has begun."""
        state, _ = from_fields(await self._store.peek(Slot("react", 0), (CORE,)))
        return {} if state is None else state.positions

    async def untold(self) -> int:
        """How many notifications wait for a receiver."""
        names = await self._redis.hkeys(f"{{{self._prefix}:react:0}}:fields")
        return sum(name.startswith(WAITING.encode()) for name in names)

    async def join(self) -> JoinFigures:
        figures = JoinFigures()
        counted: Counter[str] = Counter()
        for shard in range(SHARDS):
            base = f"{{{self._prefix}:join:{shard}}}"
            for day in await self._redis.zrange(f"{base}:days", 0, -1):
                figures.add_entries(await self._redis.hvals(f"{base}:{day.decode()}"))
            for name, count in (await self._redis.hgetall(f"{base}:counts")).items():
                text = name.decode()
                counted[text if text[0] not in "PO" else text[0]] += int(count)
        figures.joined = counted["joined"]
        figures.expired = counted["expired:P"]
        figures.orphans_expired = counted["expired:O"]
        if (counted["P"], counted["O"]) != (figures.pending, figures.orphans_waiting):
            figures.problems.append(
                f"the store counts {counted['P']} and {counted['O']} that wait, "
                f"there are {figures.pending} and {figures.orphans_waiting}"
            )
        return figures
