"""Blocks of many small groups of rows at once, each group on a grid of its own.

They mean what the blocks that `block.rows_to_blocks` makes of each group mean, to the bit, in another layout: that
costs 100 us a group, however few rows there are; here it is the cells that cost, 25 ns each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import BinnedBlock
from driftline.stats.bank import Codes, Floats, GridBank
from driftline.stats.block import merge_extra
from driftline.stats.grid import MOMENT_UNIT
from driftline.stats.layout import ROWS, encode_moments
from driftline.stats.rows import Index


class Group(NamedTuple):
    """Rows of one model version and stream, on the grid that has the `number` in the bank."""

    model: str
    version: str
    stream: str
    grid: str
    pane_ms: int
    number: int


class Rows(NamedTuple):
    """R rows of groups. `owner` [R]: the number of each row's group, ascending; `times` [R]: ms; `values`, `told`
    [R, columns]: as `GridBank.encoded` takes them; `unknown`: by name, bool [R], the rows with a value in a column
    that their grid does not know."""

    owner: Index
    times: npt.NDArray[np.int64]
    values: Floats
    told: Codes | None
    unknown: Mapping[str, npt.NDArray[np.bool_]]


def blocks_together(bank: GridBank, groups: Sequence[Group], rows: Rows) -> list[list[BinnedBlock]]:
    """The blocks of each group of at most `layout.FEW` rows."""
    lengths = np.array([group.pane_ms for group in groups], np.int64)
    start = rows.times - rows.times % lengths.take(rows.owner)
    rows, start = _by_pane(rows, start)
    first = np.concatenate(([True], (rows.owner[1:] != rows.owner[:-1]) | (start[1:] != start[:-1])))
    begins = np.flatnonzero(first)
    group_of = rows.owner.take(begins)
    numbers = np.array([group.number for group in groups], np.intp)

    codes, z = bank.encoded(numbers.take(rows.owner), rows.values, rows.told)
    moments = np.empty((len(begins), bank.width, 2), np.int64)
    moments[:, :, 0] = np.add.reduceat(z, begins, axis=0)
    z *= z
    z /= MOMENT_UNIT
    np.rint(z, out=z)
    moments[:, :, 1] = np.add.reduceat(z, begins, axis=0)
    sums = _encoded_moments(moments, bank.measured(numbers.take(group_of)))

    extras = _extras(rows.unknown, begins)
    plain, width = codes.tobytes(), bank.width
    ends = [*begins[1:].tolist(), len(start)]
    blocks: list[list[BinnedBlock]] = [[] for _ in groups]
    listed = zip(group_of.tolist(), start.take(begins).tolist(), begins.tolist(), ends, sums, strict=True)
    for b, (g, pane, low, high, moments_of) in enumerate(listed):
        model, version, stream, grid, _, _ = groups[g]
        part, extra = plain[low * width : high * width], extras.get(b, {})
        blocks[g].append(
            BinnedBlock(model, version, stream, grid, pane, high - low, ROWS, part, b"", moments_of, extra)
        )
    return blocks


def _by_pane(rows: Rows, start: npt.NDArray[np.int64]) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Each group's rows by the start of their pane, else in the order in which they came."""
    if not ((rows.owner[1:] == rows.owner[:-1]) & (start[1:] < start[:-1])).any():
        return rows, start
    order = np.lexsort((start, rows.owner))  # `owner` is sorted as it is
    told = None if rows.told is None else rows.told[order]
    unknown = {name: there[order] for name, there in rows.unknown.items()}
    return Rows(rows.owner, rows.times[order], rows.values[order], told, unknown), start[order]


def _encoded_moments(moments: npt.NDArray[np.int64], measured: npt.NDArray[np.bool_] | None) -> list[bytes]:
    """Of each block, as `encode_moments` has them. `measured` [block, column]: None if all columns are."""
    narrow = moments.astype("<i4")
    wide = (narrow != moments).any(axis=(1, 2))
    if measured is not None:
        return [encode_moments(own[there]) for own, there in zip(moments, measured, strict=True)]
    size, packed = 8 * moments.shape[1], narrow.tobytes()
    sums = [packed[at : at + size] for at in range(0, len(packed), size)]
    for b in np.flatnonzero(wide).tolist():
        sums[b] = encode_moments(moments[b])
    return sums


def _extras(unknown: Mapping[str, npt.NDArray[np.bool_]], begins: Index) -> dict[int, dict[str, int]]:
    """By number of the block, in how many rows each unknown column holds something."""
    extras: dict[int, dict[str, int]] = {}
    for name in sorted(unknown):
        rows = np.add.reduceat(unknown[name].astype(np.intp), begins)
        for b in np.flatnonzero(rows).tolist():
            extras.setdefault(b, {})[name] = int(rows[b])
    return {b: merge_extra({}, extra) for b, extra in extras.items()}
