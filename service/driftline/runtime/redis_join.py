"""The join memory in Redis: 64 shards, a hash for each shard and day, one atomic script a shard and call.

A script touches only keys it is given, so the caller says which days it believes to be alive; a script that knows
better writes nothing and answers with the days, and the call is repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from driftline.errors import Transient
from driftline.runtime.redis_client import Argument, Call, RedisClient
from driftline.runtime.store import Half, JoinTotals, Meeting, Met

SHARDS: Final = 64
CHUNK: Final = 1_000
"""Halves in one script: about 2 ms of the server's time."""
_ATTEMPTS: Final = 5

_NEW: Final = Meeting(Met.NEW)
_ANSWERS: Final = {
    ord("n"): _NEW,
    ord("s"): Meeting(Met.SETTLED),
    ord("d"): Meeting(Met.DUPLICATE),
}
_PAIRED: Final = ord("p")
_SIDES: Final = {"P": b"P", "O": b"O"}
_head: Final = Struct(">cQ").pack


class _Chunk(NamedTuple):
    """Halves of one shard: where they are in the call, their modes ('' if all fresh), keys then packed halves."""

    shard: int
    indices: Sequence[int]
    modes: str
    halves: list[Argument]


class RedisJoin:
    """The part of `RedisStore` that joins."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._live: list[list[int]] = [[] for _ in range(SHARDS)]

    async def join(self, day: int, halves: Sequence[Half]) -> list[Meeting]:
        meetings: list[Meeting] = [_NEW] * len(halves)
        waiting = _chunks(halves)
        for _ in range(_ATTEMPTS):
            if not waiting:
                return meetings
            replies = await self._client.run([self._call(chunk, day) for chunk in waiting])
            repeat = []
            for chunk, reply in zip(waiting, replies, strict=True):
                if reply[0]:
                    _read(reply, chunk, meetings)
                else:
                    self._live[chunk.shard] = [int(d) for d in reply[1:]]
                    repeat.append(chunk)
            waiting = repeat
        raise Transient("the days of the join memory keep changing under us")

    async def expire(self, day: int) -> None:
        old = await self._client.commands(
            [("ZRANGE", self._key(s, "days"), "-inf", f"({day}", "BYSCORE") for s in range(SHARDS)]
        )
        calls = []
        for shard, days in enumerate(old):
            if days:
                hashes = [self._key(shard, d.decode()) for d in days]
                calls.append(Call("expire", [*self._index(shard), *hashes], days))
        if calls:
            await self._client.run(calls)

    async def totals(self) -> JoinTotals:
        replies = await self._client.commands([("HGETALL", self._key(s, "counts")) for s in range(SHARDS)])
        sums: defaultdict[str, int] = defaultdict(int)
        for flat in replies:
            for field, count in zip(flat[::2], flat[1::2], strict=True):
                name = field.decode()
                sums[name if name[0] not in "PO" else name[0]] += int(count)
        return JoinTotals(sums["P"], sums["O"], sums["joined"], sums["expired:P"], sums["expired:O"])

    async def reset(self) -> None:
        left = list(range(SHARDS))
        for _ in range(_ATTEMPTS):
            live = await self._client.commands([("ZRANGE", self._key(s, "days"), 0, -1, "REV") for s in left])
            calls = []
            for shard, days in zip(left, live, strict=True):
                hashes = [self._key(shard, d.decode()) for d in days]
                calls.append(Call("reset_join", [*self._index(shard), *hashes], (b",".join(days),)))
            done = await self._client.run(calls)
            left = [shard for shard, ok in zip(left, done, strict=True) if not ok]
            if not left:
                return
        raise Transient("the days of the join memory keep changing under us")

    def _key(self, shard: int, part: str) -> str:
        return f"{{{self._prefix}:join:{shard}}}:{part}"

    def _index(self, shard: int) -> tuple[str, str]:
        return self._key(shard, "days"), self._key(shard, "counts")

    def _call(self, chunk: _Chunk, day: int) -> Call:
        live = self._live[chunk.shard]
        hashes = [self._key(chunk.shard, str(d)) for d in (day, *live)]
        head: list[Argument] = [day, ",".join(map(str, live)), chunk.modes]
        return Call("join", [*self._index(chunk.shard), *hashes], head + chunk.halves)


def _chunks(halves: Sequence[Half]) -> list[_Chunk]:
    """By shard, in the order given."""
    by_shard: list[list[int]] = [[] for _ in range(SHARDS)]
    for i, half in enumerate(halves):
        by_shard[crc32(half.key) % SHARDS].append(i)
    fresh = not any(half.mode for half in halves)
    chunks = []
    for shard, members in enumerate(by_shard):
        for at in range(0, len(members), CHUNK):
            indices = members[at : at + CHUNK]
            chosen = [halves[i] for i in indices]
            modes = "" if fresh else "".join([str(half.mode.value) for half in chosen])
            packed: list[Argument] = [half.key for half in chosen]
            packed += [_head(_SIDES[half.side], half.origin) + half.payload for half in chosen]
            chunks.append(_Chunk(shard, indices, modes, packed))
    return chunks


def _read(reply: Sequence[bytes], chunk: _Chunk, meetings: list[Meeting]) -> None:
    answers = reply[0]
    if answers.count(b"n") == len(answers):
        return  # what `meetings` holds to begin with
    others = iter(reply[1:])
    for i, answer in zip(chunk.indices, answers, strict=True):
        meetings[i] = Meeting(Met.PAIRED, next(others)) if answer == _PAIRED else _ANSWERS[answer]
