"""The tail of `blocks`, read back: what has been published is what happened, whatever the store remembers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from driftline.errors import LogGap
from driftline.runtime.log import Bounds, LogReader
from driftline.runtime.stage import Range

FIRST_LOOK = 64


class BundleHead(msgspec.Struct, frozen=True):
    """The ledger's part of a bundle: decoding it skips the blocks."""

    source: int
    first: int
    next: int
    clock: int
    emitted: list[int] = []
    duplicates: list[int] = []


_decode_head = msgspec.msgpack.Decoder(BundleHead).decode


@dataclass(frozen=True, slots=True)
class Published:
    """What the ledger says of one source: its ranges, and the input offsets whose pairs are in it."""

    ranges: list[Range]
    emitted: frozenset[int]


async def published_ranges(reader: LogReader, topic: str, source: int, since: int | None) -> Published:
    """The ranges of `source` that end after `since` and of which any `blocks` partition holds a bundle, in
    order. `since` None: all that are retained. A crash between two partitions' bundles leaves a last range that
    only some of them hold: the union is taken, and `held` says which."""
    bounds = await reader.bounds(topic)
    found = await asyncio.gather(*(_tail(reader, topic, p, b, source, since) for p, b in bounds.items()))
    clocks: dict[tuple[int, int], int] = {}
    held: dict[tuple[int, int], set[int]] = defaultdict(set)
    emitted: set[int] = set()
    duplicates: set[int] = set()
    for partition, heads in zip(bounds, found, strict=True):
        for head in heads:
            if head.first < head.next:
                clocks[head.first, head.next] = head.clock
                held[head.first, head.next].add(partition)
            # A pair may have been emitted by a later range than its offset's: the sets speak of all ranges.
            emitted.update(head.emitted)
            duplicates.update(head.duplicates)
    known = (frozenset(emitted), frozenset(duplicates))
    ranges: list[Range] = []
    last = max(clocks, default=None)
    for (first, after), clock in sorted(clocks.items()):
        if ranges and first > ranges[-1].next:
            # No partition holds it, so no judge has it: it is folded as it should have been.
            ranges.append(Range(ranges[-1].next, first, clock, *known))
        if ranges and first < ranges[-1].next:
            raise LogGap(f"{topic}, source {source}", ranges[-1].next, first, "Two ranges overlap in the ledger.")
        holders = frozenset(held[first, after])
        settled = (first, after) != last and len(holders) == len(bounds)
        ranges.append(Range(first, after, clock, *known, holders, settled))
    return Published(ranges, known[0])


async def _tail(
    reader: LogReader, topic: str, partition: int, bounds: Bounds, source: int, since: int | None
) -> list[BundleHead]:
    """What a judge of this partition has taken after `since`. Read backwards, doubling, until the ranges found
    join on to `since` without a hole, or to the log's begin: a covered bundle alone proves nothing, because a
    worker that was stopped may publish its last range a second time, long after."""
    heads: list[BundleHead] = []
    stop, look = bounds.end, FIRST_LOOK
    while stop > bounds.begin:
        start = max(bounds.begin, stop - look)
        heads = [
            head
            for record in await reader.read(topic, partition, start, stop)
            if record.value is not None and (head := _decode_head(record.value)).source == source
        ] + heads
        if since is not None and _joins_on(heads, since):
            break
        stop, look = start, 2 * look
    return _first_copies(heads, since)


def _joins_on(heads: Sequence[BundleHead], since: int) -> bool:
    reached = since
    for head in sorted(heads, key=lambda h: h.first):
        if head.first <= reached:
            reached = max(reached, head.next)
    covered = any(head.next <= since for head in heads) or any(head.first <= since for head in heads)
    return covered and reached >= max(head.next for head in heads)


def _first_copies(heads: Sequence[BundleHead], since: int | None) -> list[BundleHead]:
    """Without second copies. An empty range says something only at `since` or after: the pairs that it carries."""
    taken: list[BundleHead] = []
    reached = since
    for head in heads:
        if reached is None or head.next > reached or head.first == head.next == reached:
            taken.append(head)
            reached = head.next
    return taken
