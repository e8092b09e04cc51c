"""Panes as integer counts: exact, mergeable in any order and grouping, and their blocks on the wire.

`PaneCounts.merge` is addition: associative, commutative, exact up to 2^27 rows with |z| = 1000 in one pane. Rows
binned here or there, at once or one by one, give the same counts to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import BinnedBlock
from driftline.errors import StateCorrupt
from driftline.stats.codec import pack, unpack
from driftline.stats.codes import CODES, MISSING
from driftline.stats.encode import Encoded, encode_cells, encode_panes
from driftline.stats.graded import COLUMN as GRADED
from driftline.stats.grid import Grid
from driftline.stats.layout import (
    ROWS,
    count_cells,
    decode_counts,
    decode_joint,
    decode_moments,
    decode_rows,
    encode_codes,
    encode_counts,
    encode_joint,
    encode_moments,
)
from driftline.stats.rows import Rows
from driftline.stats.segments import PREFIX as SEGMENTS
from driftline.stats.vectors import settled

__all__ = ["PaneCounts", "add_block", "encode_cells", "fold_rows", "read_block", "rows_to_blocks"]

MAX_EXTRA: Final = 32
"""Names of unknown columns kept apart: the first in alphabetical order, so that it does not matter which came
first. The rest is counted under OTHERS."""
OTHERS: Final = "*"
KIND: Final = "pane"
VERSION: Final = 1


@dataclass(slots=True)
class PaneCounts:
    """What one pane holds on a grid of F columns. `counts`: int64 [F, 256], every row in every column;
    `moments`: int64 [F, 2], sums of z and z^2 in units of 1/65536 (0 for categories); `extra`: rows with a
    value in columns the grid does not know, by name; `joint`: int64, sums over the rows of the features of the grid's
    embedding, none where it has none. About 2 kB a column; its bytes are sparse."""

    n: int
    counts: npt.NDArray[np.int64]
    moments: npt.NDArray[np.int64]
    extra: dict[str, int] = field(default_factory=dict)
    joint: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @staticmethod
    def empty(columns: int, joint: int = 0) -> PaneCounts:
        """`joint`: how many features the grid's embedding has (`Grid.joint`)."""
        counts, moments = np.zeros((columns, CODES), np.int64), np.zeros((columns, 2), np.int64)
        return PaneCounts(0, counts, moments, {}, np.zeros(joint, np.int64))

    def copy(self) -> PaneCounts:
        return PaneCounts(self.n, self.counts.copy(), self.moments.copy(), dict(self.extra), self.joint.copy())

    def fits(self, columns: int, joint: int) -> None:
        """Raises ValueError if what has so many columns, and features of an embedding, cannot be added."""
        if len(self.counts) != columns:
            raise ValueError(f"counts of {len(self.counts)} and of {columns} columns do not merge")
        if len(self.joint) != joint:
            raise ValueError("panes with and without sums of an embedding do not merge")

    def merge(self, other: PaneCounts) -> PaneCounts:
        """Add `other` to this one, which is returned. Raises ValueError where the shapes differ."""
        self.fits(len(other.counts), len(other.joint))
        self.n += other.n
        self.joint += other.joint
        self.counts += other.counts
        self.moments += other.moments
        self.extra = merge_extra(self.extra, other.extra)
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PaneCounts):
            return NotImplemented
        return (
            self.n == other.n
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.moments, other.moments)
            and self.extra == other.extra
            and np.array_equal(self.joint, other.joint)
        )

    def to_bytes(self) -> bytes:
        layout, codes, counts = encode_counts(self.counts, self.n)
        moments = encode_moments(self.moments)
        extra = dict(sorted(self.extra.items()))
        body = (self.n, layout, codes, counts, moments, extra, encode_joint(self.joint))
        return pack(KIND, VERSION, msgspec.msgpack.encode(body))

    @staticmethod
    def from_bytes(grid: Grid, data: bytes) -> PaneCounts:
        """Raises StateCorrupt, or StateTooNew, if these are not the bytes of a pane on such a grid."""
        _, body = unpack(KIND, VERSION, data)
        try:
            n, layout, codes, counts, sums, extra, joint = msgspec.msgpack.decode(body, type=_Body)
        except ValueError as error:
            raise StateCorrupt(f"pane: {error}") from None
        _check_extra(n, extra)
        found = decode_counts(grid, n, layout, codes, counts)
        moments = decode_moments(len(grid.columns), sums)
        return PaneCounts(n, found, moments, extra, decode_joint(grid, n, joint))


_Body = tuple[int, int, bytes, bytes, bytes, dict[str, int], bytes]


def merge_extra(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Sums by name. A name that is among the first 32 of the whole is among the first 32 of every part, so
    capping the parts first changes nothing."""
    if not other:
        return one
    total = dict(one)
    for name, rows in other.items():
        total[name] = total.get(name, 0) + rows
    others = total.pop(OTHERS, 0)
    names = sorted(total)
    others += sum(total[name] for name in names[MAX_EXTRA:])
    kept = {name: total[name] for name in names[:MAX_EXTRA]}
    return {OTHERS: others, **kept} if others else kept


def fold_rows(grid: Grid, rows: Rows) -> dict[int, PaneCounts]:
    """The counts of every pane the rows touch, by start of pane in ms."""
    if not rows.n:
        return {}
    rows = settled(rows, grid.vectors)
    encoded = encode_panes(grid, rows)
    extras = _extras(grid, rows, encoded)
    joint = _joint(grid, encoded)
    panes = {}
    for p, pane in enumerate(encoded.panes):
        low, high = encoded.bounds[p], encoded.bounds[p + 1]
        counts = count_cells(grid, encoded.codes[:, low:high])
        panes[pane] = PaneCounts(high - low, counts, _spread(grid, encoded.moments[p]), extras[p], joint[p])
    return panes


def rows_to_blocks(grid: Grid, rows: Rows, model: str, version: str, stream: str) -> list[BinnedBlock]:
    """One block a pane, by time. Equal rows give equal blocks, whatever their order."""
    if not rows.n:
        return []
    rows = settled(rows, grid.vectors)
    encoded = encode_panes(grid, rows)
    extras = _extras(grid, rows, encoded)
    joint = _joint(grid, encoded)
    blocks = []
    for p, pane in enumerate(encoded.panes):
        low, high = encoded.bounds[p], encoded.bounds[p + 1]
        layout, codes, counts = encode_codes(grid, encoded.codes[:, low:high])
        moments = encode_moments(encoded.moments[p])
        blocks.append(
            BinnedBlock(
                model,
                version,
                stream,
                grid.id,
                pane,
                high - low,
                layout,
                codes,
                counts,
                moments,
                extras[p],
                encode_joint(joint[p]),
            )
        )
    return blocks


def add_block(counts: PaneCounts, block: BinnedBlock, grid: Grid) -> None:
    """Add a block that was binned on this grid. Raises StateCorrupt, and adds nothing, if its bytes cannot be such a
    block's; ValueError if it was binned on another grid."""
    if block.layout == ROWS:
        _check(block, grid)
        _add_rows(counts, block, grid)
    else:
        counts.merge(read_block(block, grid))


def read_block(block: BinnedBlock, grid: Grid) -> PaneCounts:
    """What a block holds. Raises as `add_block`."""
    _check(block, grid)
    if block.layout == ROWS:
        counts = PaneCounts.empty(len(grid.columns), grid.joint)
        _add_rows(counts, block, grid)
        return counts
    found = decode_counts(grid, block.n, block.layout, block.codes, block.counts)
    moments = _spread(grid, decode_moments(len(grid.measured), block.moments))
    return PaneCounts(block.n, found, moments, block.extra, decode_joint(grid, block.n, block.joint))


def _check(block: BinnedBlock, grid: Grid) -> None:
    if block.grid != grid.id:
        raise ValueError(f"block binned on grid {block.grid}, wanted {grid.id}")
    _check_extra(block.n, block.extra)


def _add_rows(counts: PaneCounts, block: BinnedBlock, grid: Grid) -> None:
    """A block of few rows: cells are counted where they belong, instead of adding 256 counts a column."""
    if block.counts or block.joint:
        raise StateCorrupt(f"block: {len(block.counts) + len(block.joint)} bytes beside rows")
    codes, flat = decode_rows(grid, block.n, block.codes)
    moments = decode_moments(len(grid.measured), block.moments)
    counts.fits(len(grid.columns), grid.joint)
    np.add.at(counts.counts.reshape(-1), flat, 1)
    if len(moments) == len(grid.columns):
        counts.moments += moments
    else:
        counts.moments[grid.measured] += moments
    if grid.embedding is not None:
        counts.joint += grid.embedding.total(codes)
    counts.n += block.n
    counts.extra = merge_extra(counts.extra, block.extra)


def _check_extra(n: int, extra: dict[str, int]) -> None:
    for name, rows in extra.items():
        if not 0 <= rows <= (n << 16 if name == OTHERS else n):
            raise StateCorrupt(f"block: {rows} of {n} rows hold {name!r}")
    if len(extra) > MAX_EXTRA + 1:
        raise StateCorrupt(f"block: {len(extra)} unknown columns")


def _joint(grid: Grid, encoded: Encoded) -> npt.NDArray[np.int64]:
    """Sums of the embedding's features: int64 [panes, features]."""
    if grid.embedding is None:
        return np.zeros((len(encoded.panes), 0), np.int64)
    return grid.embedding.sums(encoded.codes, encoded.bounds)


def _spread(grid: Grid, measured: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Moments of the measured columns to those of all."""
    if len(measured) == len(grid.columns):
        return measured
    moments = np.zeros((len(grid.columns), 2), np.int64)
    moments[grid.measured] = measured
    return moments


def _extras(grid: Grid, rows: Rows, encoded: Encoded) -> list[dict[str, int]]:
    """For every pane, in how many rows a column that the grid does not know holds something."""
    extras: list[dict[str, int]] = [{} for _ in encoded.panes]
    for name in sorted(rows.columns.keys() - grid.index.keys()):
        if name.startswith(SEGMENTS) or name == GRADED:
            continue  # not of the events: counted since a limit asks for it, or where the reference can read it
        column = rows.columns[name]
        there = ~np.isnan(column.numbers)
        if column.texts is not None:
            there |= np.fromiter((text is not None for text in column.texts), np.bool_, rows.n)
        if column.status is not None:
            there |= (column.status != 0) & (column.status != MISSING)
        if encoded.order is not None:
            there = there[encoded.order]
        found = np.add.reduceat(there.astype(np.int64), encoded.bounds[:-1]).tolist()
        for extra, count in zip(extras, found, strict=True):
            if count:
                extra[name] = count
    if rows.beyond:
        _add_beyond(rows, encoded, extras)
    return [merge_extra({}, extra) for extra in extras]


def _add_beyond(rows: Rows, encoded: Encoded, extras: list[dict[str, int]]) -> None:
    """Those that have no column: each row's, to its pane's."""
    at = np.fromiter(rows.beyond, np.intp, len(rows.beyond))
    if encoded.order is not None:
        places = np.empty(rows.n, np.intp)
        places[encoded.order] = np.arange(rows.n)
        at = places[at]
    panes = np.searchsorted(np.asarray(encoded.bounds), at, side="right") - 1
    for pane, held in zip(panes.tolist(), rows.beyond.values(), strict=True):
        extra = extras[pane]
        for name, count in held.items():
            extra[name] = extra.get(name, 0) + count
