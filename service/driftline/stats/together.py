"""Blocks of many small groups of rows at once, each group on a grid of its own.

The same blocks, to the byte, as `block.rows_to_blocks` makes of each group: that costs 100 us a group, however few
rows there are; here it is the cells that cost, 60 ns each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import BinnedBlock
from driftline.stats.bank import GridBank
from driftline.stats.block import merge_extra
from driftline.stats.codes import CODES, MISSING
from driftline.stats.embedding import CHUNK, FEATURES, Embedding, cosines
from driftline.stats.encode import MAX_Z
from driftline.stats.grid import MOMENT_UNIT
from driftline.stats.layout import CELLS, SPARSE, encode_moments
from driftline.stats.rows import Index

MAX_ROWS: Final = 255
"""Rows a group: every count fits uint8, and no layout but CELLS and SPARSE can be the smallest."""
MAX_COLUMNS: Final = 256
"""Columns a grid: flat codes fit uint16."""
_CLIP: Final = float(MAX_Z * MOMENT_UNIT)
_JOINT: Final = 2 * FEATURES
"""Bytes of a block's sums of features: of so few rows they fit int16."""


class Group(NamedTuple):
    """Rows of one model version and stream, on a grid of `width` columns whose first is number `first` in the bank."""

    model: str
    version: str
    stream: str
    grid: str
    pane_ms: int
    first: int
    width: int
    embedding: Embedding | None


@dataclass(slots=True)
class Cells:
    """What R rows hold: for each row, one cell in each column of its grid, in any order. `row` and `column` (in the
    bank) say whose a cell is; `numbers` is NaN where there is none, and then `told` is the cell's code.
    `unknown`: by name, bool [R], the rows with a value in a column that their grid does not know."""

    row: Index
    column: Index
    numbers: npt.NDArray[np.float64]
    told: npt.NDArray[np.uint8]
    unknown: Mapping[str, npt.NDArray[np.bool_]]


def blocks_together(
    bank: GridBank, groups: Sequence[Group], owner: Index, times: npt.NDArray[np.int64], cells: Cells
) -> list[list[BinnedBlock]]:
    """The blocks of each group. `owner` [R]: the number of each row's group, ascending; `times`: ms [R]."""
    panes = _Panes(groups, owner, times)
    widths = np.array([group.width for group in groups], np.intp)[panes.group]
    firsts = np.array([group.first for group in groups], np.intp)[panes.group]
    ends = np.cumsum(widths)  # counting the columns of all blocks
    starts = ends - widths
    place = (starts - firsts)[panes.of_row].take(cells.row)
    place += cells.column
    codes, moments = _encode(bank, cells, place, int(ends[-1]))

    key = (place * CODES + codes).astype(np.int32)
    key.sort(kind="stable")  # thrice as fast here: one row's columns ascend
    own_cells = _offsets(widths * panes.rows)
    plain = key.astype(np.uint8).tobytes()
    first_of_kind = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    kinds = first_of_kind.searchsorted(own_cells)
    sparse = 3 * np.diff(kinds) < widths * panes.rows
    flat = key[first_of_kind] - np.repeat(starts * CODES, np.diff(kinds))
    flat_bytes = flat.astype("<u2").tobytes()
    count_bytes = np.diff(first_of_kind, append=len(key)).astype(np.uint8).tobytes()

    columns = np.arange(ends[-1]) - np.repeat(starts - firsts, widths)
    measured = bank.measured(columns)
    own_moments = np.concatenate(([0], np.cumsum(measured)))[np.concatenate(([0], ends))]
    moments = moments[measured]
    narrow = moments.astype("<i4")
    wide = np.flatnonzero((narrow != moments).any(axis=1))
    narrow_bytes = narrow.tobytes()
    is_wide = set((own_moments.searchsorted(wide, side="right") - 1).tolist())

    sizes = np.bincount(owner, minlength=len(groups))
    joint = _joint(bank, groups, sizes, panes, cells, codes)
    extras = _extras(cells.unknown, panes)
    blocks: list[list[BinnedBlock]] = [[] for _ in groups]
    cell_at, kind_at, moment_at = own_cells.tolist(), kinds.tolist(), own_moments.tolist()
    listed = zip(panes.group.tolist(), panes.start.tolist(), panes.rows.tolist(), sparse.tolist(), strict=True)
    for b, (g, start, n, is_sparse) in enumerate(listed):
        group = groups[g]
        if is_sparse:
            low, high = kind_at[b], kind_at[b + 1]
            layout, code_part, count_part = SPARSE, flat_bytes[2 * low : 2 * high], count_bytes[low:high]
        else:
            layout, code_part, count_part = CELLS, plain[cell_at[b] : cell_at[b + 1]], b""
        low, high = moment_at[b], moment_at[b + 1]
        sums = encode_moments(moments[low:high]) if b in is_wide else narrow_bytes[8 * low : 8 * high]
        own_joint = joint[_JOINT * b : _JOINT * (b + 1)] if group.embedding is not None else b""
        blocks[g].append(
            BinnedBlock(
                group.model,
                group.version,
                group.stream,
                group.grid,
                start,
                n,
                layout,
                code_part,
                count_part,
                sums,
                extras.get(b, {}),
                own_joint,
            )
        )
    return blocks


class _Panes:
    """The panes that rows of groups fall into, one group's after the other's, by time: `group`, `start` (ms) and
    number of `rows` of each; `of_row` says which is a row's, `sorted` whether these ascend."""

    def __init__(self, groups: Sequence[Group], owner: Index, times: npt.NDArray[np.int64]) -> None:
        lengths = np.array([group.pane_ms for group in groups], np.int64)
        start = times - times % lengths[owner]
        order = None
        same = owner[1:] == owner[:-1]
        if (same & (start[1:] < start[:-1])).any():
            order = np.lexsort((start, owner))
            start = start[order]  # `owner` is sorted as it is
        first = np.concatenate(([True], ~same | (start[1:] != start[:-1])))
        number = np.cumsum(first) - 1
        self.of_row = number
        self.sorted = order is None
        if order is not None:
            self.of_row = np.empty_like(number)
            self.of_row[order] = number
        begins = np.flatnonzero(first)
        self.group = owner[begins]
        self.start = start[begins]
        self.rows = np.diff(begins, append=len(times))


def _encode(
    bank: GridBank, cells: Cells, place: Index, places: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Every cell's code, and the moments of every place (a block's column): sums of whole numbers, exact."""
    none = np.isnan(cells.numbers)
    values = cells.numbers
    if none.any():
        values = np.where(none, 0.0, values)
        codes = np.where(none, cells.told, bank.codes(cells.column, values))
    else:
        codes = bank.codes(cells.column, values)
    z = bank.standardised(cells.column, values)
    np.clip(z, -_CLIP, _CLIP, out=z)
    np.rint(z, out=z)
    z[codes >= MISSING] = 0.0
    moments = np.empty((places, 2), np.int64)
    moments[:, 0] = np.bincount(place, z, places)
    z *= z
    z /= MOMENT_UNIT
    np.rint(z, out=z)
    moments[:, 1] = np.bincount(place, z, places)
    return codes, moments


def _joint(
    bank: GridBank,
    groups: Sequence[Group],
    sizes: Index,
    panes: _Panes,
    cells: Cells,
    codes: npt.NDArray[np.uint8],
) -> bytes:
    """The sums of the embeddings' features, int16 of each block; anything where a grid has none."""
    sums = np.zeros((len(panes.rows), FEATURES), "<i2")
    if all(group.embedding is None for group in groups):
        return sums.tobytes()
    place = bank.places(cells.column)
    looked_at = np.flatnonzero(place >= 0)
    widths = np.array([0 if g.embedding is None else len(g.embedding.frequencies) for g in groups], np.intp)
    of_row = np.repeat(widths, sizes)
    first = np.cumsum(of_row) - of_row
    if not panes.sorted:
        first = first[np.argsort(np.argsort(panes.of_row, kind="stable"))]
    scores = np.ones(int(widths @ sizes), np.float32)
    at = first.take(cells.row.take(looked_at)) + place.take(looked_at)
    scores[at] = bank.scores(cells.column.take(looked_at), codes.take(looked_at))
    _sum_features(groups, sizes.tolist(), scores, panes.rows, sums)
    return sums.tobytes()


def _sum_features(
    groups: Sequence[Group],
    sizes: Sequence[int],
    scores: npt.NDArray[np.float32],
    rows: Index,
    sums: npt.NDArray[np.int16],
) -> None:
    """Fill `sums` [blocks, FEATURES]. `scores`: one group's rows after the other's; `rows` of each block."""
    products = np.zeros((CHUNK + MAX_ROWS, FEATURES), np.float32)
    ends = np.cumsum(rows)
    at = done = held = block = 0
    for i, (group, n) in enumerate(zip(groups, sizes, strict=True)):
        if group.embedding is not None:
            w = group.embedding.frequencies
            own = scores[at : at + n * len(w)].reshape(n, len(w))
            np.matmul(own, w, out=products[held : held + n])
            at += own.size
        held += n
        if held >= CHUNK or i + 1 == len(groups):
            until = int(ends.searchsorted(done + held)) + 1
            starts = ends[block:until] - rows[block:until] - done
            sums[block:until] = np.add.reduceat(cosines(products[:held]), starts, axis=0)
            done, held, block = done + held, 0, until


def _extras(unknown: Mapping[str, npt.NDArray[np.bool_]], panes: _Panes) -> dict[int, dict[str, int]]:
    """By number of the block, in how many rows each unknown column holds something."""
    extras: dict[int, dict[str, int]] = {}
    for name in sorted(unknown):
        rows = np.bincount(panes.of_row[unknown[name]], minlength=len(panes.rows))
        for b in np.flatnonzero(rows).tolist():
            extras.setdefault(b, {})[name] = int(rows[b])
    return {b: merge_extra({}, extra) for b, extra in extras.items()}


def _offsets(sizes: Index) -> Index:
    return np.concatenate(([0], np.cumsum(sizes)))
