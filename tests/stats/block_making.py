"""Rows, their blocks, and what these should hold, counted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from driftline.contracts.blocks import BinnedBlock
from driftline.stats.block import PaneCounts, add_block, fold_rows, rows_to_blocks
from driftline.stats.codes import CODES, MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.embedding import FEATURES, UNIT, learn_embedding
from driftline.stats.encode import encode_cells
from driftline.stats.grid import MOMENT_UNIT, Grid, learn_grid
from driftline.stats.layout import ROWS, encode_moments
from driftline.stats.rows import Column, Rows

PANE = 10_000


def make_rows(n: int, seed: int, *, panes: int = 3, dirty: bool = True, extra: bool = True) -> Rows:
    """Rows of every kind of column and cell, around time 0."""
    rng = np.random.default_rng(seed)

    def status(share: float) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        codes = rng.choice([MISSING, WRONG_TYPE, NON_FINITE], n).astype(np.uint8)
        return np.where(rng.random(n) < share, codes, 0).astype(np.uint8)

    lost = status(0.1) if dirty else np.zeros(n, np.uint8)
    spoken = dirty & (rng.random(n) < 0.1) & (lost == 0)
    number = np.where((lost != 0) | spoken, np.nan, rng.normal(5, 2, n))
    words: list[str | None] = ["odd" if said else None for said in spoken.tolist()]
    category: list[str | None] = [f"v{i}" for i in rng.integers(0, 12, n)]
    columns = {
        "number": Column(number, words if dirty else None, lost if dirty else None),
        "clean": Column(rng.lognormal(0, 1, n)),
        "category": Column(np.full(n, np.nan), category),
        "error": Column(rng.integers(0, 2, n).astype(np.float64)),
    }
    if extra:
        columns["new"] = Column(np.where(rng.random(n) < 0.5, 1.0, np.nan))
    times = rng.integers(-panes * PANE // 2, panes * PANE // 2 + 1, n)
    return Rows(times.astype(np.int64), rng.integers(0, 2**63, n).astype(np.uint64), columns)


def embedded(rows: Rows) -> Grid:
    """A grid that also sums up what all of its columns do together."""
    grid = learn_grid(rows, PANE)
    codes = np.ascontiguousarray(encode_cells(grid, rows).T)
    counts = np.stack([np.bincount(column, minlength=CODES) for column in codes])
    return msgspec.structs.replace(grid, embedding=learn_embedding(counts, [c.codes for c in grid.columns], codes))


GRID = embedded(make_rows(2_000, 0, extra=False))
F = len(GRID.columns)


def joined(blocks: Iterable[BinnedBlock]) -> dict[int, PaneCounts]:
    panes: dict[int, PaneCounts] = {}
    for block in blocks:
        add_block(panes.setdefault(block.pane, PaneCounts.empty(F, FEATURES)), block, GRID)
    return panes


def blocks_of(rows: Rows) -> list[BinnedBlock]:
    return rows_to_blocks(GRID, rows, "m", "1", "predictions")


def joint_by_hand(codes: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The features of one row: cosines of 4,096ths of a turn, of whole numbers."""
    embedding = GRID.embedding
    assert embedding is not None
    scores = [int(embedding.table[i, codes[column]]) for i, column in enumerate(embedding.columns)]
    *w, phases = embedding.frequencies.astype(int).tolist()
    found = []
    for j in range(FEATURES):
        turned = sum(score * w[i][j] for i, score in enumerate(scores)) + phases[j]
        found.append(round(math.cos(2.0 * math.pi * (turned // 16 % 4_096) / 4_096) * UNIT))
    return np.array(found, np.int64)


def by_hand(rows: Rows) -> dict[int, PaneCounts]:
    """The same counts, one cell at a time."""
    panes: dict[int, PaneCounts] = {}
    for i in range(rows.n):
        start = int(rows.times[i]) // PANE * PANE
        pane = panes.setdefault(start, PaneCounts.empty(F, FEATURES))
        pane.n += 1
        row = []
        for j, column in enumerate(GRID.columns):
            cells = rows.columns[column.name]
            number = float(cells.numbers[i])
            text = cells.texts[i] if cells.texts else None
            status = int(cells.status[i]) if cells.status is not None else 0
            if column.kind == "categorical":
                code = column.table[text] if text is not None else status or MISSING
            elif number == number:
                code = (
                    sum(edge <= number for edge in column.edge_values) if column.kind == "numeric" else int(number)
                )
                z = round((number - column.center) / column.scale * MOMENT_UNIT)
                pane.moments[j] += (z, round(z * z / MOMENT_UNIT))
            else:
                code = status or (WRONG_TYPE if text is not None else MISSING)
            pane.counts[j, code] += 1
            row.append(code)
        pane.joint += joint_by_hand(row)
        if "new" in rows.columns and not np.isnan(rows.columns["new"].numbers[i]):
            pane.extra["new"] = pane.extra.get("new", 0) + 1
    return panes


def some_block(n: int = 60) -> BinnedBlock:
    rows = make_rows(n, 1)
    rows.times[:] = 0
    return blocks_of(rows)[0]


def as_rows(rows: Rows) -> list[BinnedBlock]:
    """One block a pane in layout ROWS."""
    codes = encode_cells(GRID, rows)
    blocks = []
    for pane, counts in fold_rows(GRID, rows).items():
        there = rows.times // PANE * PANE == pane
        moments = encode_moments(counts.moments[GRID.measured])
        blocks.append(
            BinnedBlock(
                *("m", "1", "predictions", GRID.id, pane, counts.n, ROWS),
                *(codes[there].tobytes(), b"", moments, counts.extra),
            )
        )
    return blocks
