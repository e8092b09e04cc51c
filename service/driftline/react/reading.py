"""Reading react's topics outside the group: what came while nobody was active, and what has been said before."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

from driftline.react.topics import ROLES, Role, Topics
from driftline.runtime.log import Bounds, LogReader, Record

CHUNK: Final = 1_000
"""Records read at once."""


async def bounds_of(reader: LogReader, topic: str) -> Bounds:
    return (await reader.bounds_of(topic, [0]))[0]


async def in_log_order(
    reader: LogReader, topics: Topics, start: Mapping[str, int], until: Mapping[Role, int]
) -> AsyncIterator[tuple[Role, Record]]:
    """Records from `start` and before `until`, over the topics in the order in which the log took them, so that a
    state that is made again sees them as the first one did. Transient passes through."""
    at = {role: start.get(role, 0) for role in until}
    buffers: dict[Role, deque[Record]] = {role: deque() for role in until}
    while True:
        for role, end in until.items():
            while not buffers[role] and at[role] < end:
                stop = min(at[role] + CHUNK, end)
                buffers[role].extend(await reader.read(topics.read(role), 0, at[role], stop))
                at[role] = stop
        waiting = [role for role in ROLES if buffers.get(role)]
        if not waiting:
            return
        first = min(waiting, key=lambda role: (buffers[role][0].timestamp, ROLES.index(role)))
        yield first, buffers[first].popleft()


async def newest_of(reader: LogReader, topics: Topics, bounds: Mapping[Role, Bounds]) -> int:
    """When the log took the last record of these topics, ms of its own clock; 0 where they are empty."""
    newest = 0
    for role, held in bounds.items():
        for record in await reader.read(topics.read(role), 0, max(held.begin, held.end - 1), held.end):
            newest = max(newest, record.timestamp)
    return newest


async def ids_on(reader: LogReader, topics: Iterable[str]) -> frozenset[str]:
    """The ids of all that these topics hold."""
    found: set[str] = set()
    for topic in topics:
        held = await bounds_of(reader, topic)
        for start in range(held.begin, held.end, CHUNK):
            for record in await reader.read(topic, 0, start, min(start + CHUNK, held.end)):
                found |= {value.decode("utf-8", "replace") for name, value in record.headers if name == "ce_id"}
    return frozenset(found)
