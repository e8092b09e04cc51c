"""What ingest says to judge: bundles of blocks, MessagePack on the `blocks` topic.

A *bundle* carries everything one range of one input partition holds for one `blocks` partition; every range
writes exactly one bundle to every `blocks` partition, empty ones too, so that the ledger and the watermark
reach every judge. Binary arrays are little-endian.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

BUNDLE_VERSION: Final = 1

PREDICTIONS: Final = "predictions"
"""Stream of prediction events: features, score, prediction, latency."""
WINDOW: Final = 1_000
"""Offsets of an input partition of which refused records are counted together, whatever the ranges were."""
DUPLICATE_MS: Final = 10_000
"""The shortest pane: duplicates are counted by it."""
PAIRS: Final = "pairs"
"""Stream of joined pairs: error, loss, label delay. An event's time here is its outcome's."""


class RawColumn(msgspec.Struct, frozen=True, array_like=True):
    """One column of raw rows. `numbers`: float64 x n, NaN where the row has no finite number.
    `texts`: the row's string (booleans are "true" / "false"), None where it has none; an empty list: no strings.
    `status`: uint8 x n of `stats.grid` status codes (0 = a value), empty where all are 0."""

    numbers: bytes
    texts: list[str | None]
    status: bytes


class RawBlock(msgspec.Struct, frozen=True, array_like=True, tag="raw"):
    """Rows as they came, for a section that has no reference yet. `times` int64 ms x n, `ids` uint64 x n (a hash
    of the event id: ties in time are broken by it, so that order never depends on arrival)."""

    model: str
    version: str
    stream: str
    times: bytes
    ids: bytes
    columns: dict[str, RawColumn]

    @property
    def n(self) -> int:
        return len(self.times) // 8


class BinnedBlock(msgspec.Struct, frozen=True, array_like=True, tag="bin", gc=False):
    """Counts of one pane on a section's grid, or the codes of a few rows: mergeable by addition, exactly.

    `layout` says how `codes` and `counts` are to be read (`stats.layout`); `moments` int32 or int64 x columns x 2,
    fixed-point sums; `extra` counts the values of columns that the grid does not know, by name (capped); `joint`:
    the sums of the grid's embedding, int16, int32 or int64 x 64, empty where it has none or the codes tell them."""

    model: str
    version: str
    stream: str
    grid: str
    pane: int
    n: int
    layout: int
    codes: bytes
    counts: bytes
    moments: bytes
    extra: dict[str, int]
    joint: bytes = b""


Block = RawBlock | BinnedBlock


class ModelTally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a range did for one model. `version` is empty for outcomes that have met no prediction."""

    model: str
    version: str
    predictions: int = 0
    outcomes_joined: int = 0
    outcomes_waiting: int = 0
    duplicate_predictions: int = 0
    duplicate_outcomes: int = 0
    before_reference: int = 0
    """Of `predictions`: older than what the profile was learnt from, so in no block."""
    duplicates_at: dict[int, int] = {}
    """`duplicate_predictions` by time: start (ms) of the `DUPLICATE_MS` that each is in."""


class WindowTally(msgspec.Struct, frozen=True, array_like=True):
    """What a range holds of one aligned window of `WINDOW` offsets of its source: how many records, and how many of
    them were refused, by reason."""

    records: int
    refused: dict[str, int] = {}


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """One range's share for one `blocks` partition.

    `source` of `sources` is the input partition, `first <= offset < next` the range, `watermark` ms of event
    time. `clock` is the reader's wall clock the range was judged by for future times, so that folding it again
    gives the same bytes. `emitted` lists the input offsets whose pairs this bundle carries, `duplicates` those
    that were found to be duplicates: with both, a memory of the join that was lost is rebuilt exactly.
    `windows`, by offset // WINDOW, speak of all records of the range and stand in `blocks` partition
    `source % partitions` only."""

    source: int
    sources: int
    first: int
    next: int
    watermark: int
    clock: int
    idle: bool = False
    blocks: list[Block] = []
    tallies: list[ModelTally] = []
    emitted: list[int] = []
    duplicates: list[int] = []
    windows: dict[int, WindowTally] = {}
    v: int = BUNDLE_VERSION


NO_WATERMARK: Final = -(2**63)
"""The watermark of a source that has shown no event yet."""


def blocks_partition(model: str, partitions: int) -> int:
    """The `blocks` partition of a model: crc32 of its id. All versions of a model share one."""
    return zlib.crc32(model.encode("utf-8", "surrogatepass")) % partitions
