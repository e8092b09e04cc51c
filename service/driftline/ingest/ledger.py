"""The tail of `blocks`, read back: what has been published is what happened, whatever the store remembers."""

from __future__ import annotations

import asyncio

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


async def published_ranges(reader: LogReader, topic: str, source: int, since: int | None) -> list[Range]:
    """The ranges of `source` that end after `since` and of which any `blocks` partition holds a bundle, in
    order. `since` None: all that are retained. A crash between two partitions' bundles leaves ranges that only
    some of them hold: the union is taken."""
    bounds = await reader.bounds(topic)
    found = await asyncio.gather(*(_tail(reader, topic, p, b, source, since) for p, b in bounds.items()))
    clocks: dict[tuple[int, int], int] = {}
    emitted: set[int] = set()
    duplicates: set[int] = set()
    for head in (h for heads in found for h in heads):
        if head.first < head.next:
            clocks[head.first, head.next] = head.clock
        # A pair may have been emitted by a later range than its offset's: the sets speak of all ranges.
        emitted.update(head.emitted)
        duplicates.update(head.duplicates)
    known = (frozenset(emitted), frozenset(duplicates))
    ranges: list[Range] = []
    for (first, after), clock in sorted(clocks.items()):
        if ranges and first > ranges[-1].next:
            # No partition holds it, so no judge has it: it is folded as it should have been.
            ranges.append(Range(ranges[-1].next, first, clock, *known))
        if ranges and first < ranges[-1].next:
            raise LogGap(f"{topic}, source {source}", ranges[-1].next, first, "Two ranges overlap in the ledger.")
        ranges.append(Range(first, after, clock, *known))
    return ranges


async def _tail(
    reader: LogReader, topic: str, partition: int, bounds: Bounds, source: int, since: int | None
) -> list[BundleHead]:
    """Read backwards, doubling, until a bundle of `source` that `since` already covers, or the log's begin."""
    heads: list[BundleHead] = []
    stop, look = bounds.end, FIRST_LOOK
    while stop > bounds.begin:
        start = max(bounds.begin, stop - look)
        older = [
            head
            for record in await reader.read(topic, partition, start, stop)
            if record.value is not None and (head := _decode_head(record.value)).source == source
        ]
        heads = [h for h in older if since is None or h.next > since] + heads
        if since is not None and any(h.next <= since for h in older):
            break
        stop, look = start, 2 * look
    return heads
