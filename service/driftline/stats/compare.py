"""Two references side by side: how far apart they are, column by column."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from driftline.contracts.records import Distances
from driftline.stats.distances import distances
from driftline.stats.encode import encode_cells
from driftline.stats.graded import COLUMN as GRADED
from driftline.stats.grid import Grid
from driftline.stats.profile import Profile
from driftline.stats.rows import Column, Rows
from driftline.stats.section import ColumnReference, Section
from driftline.stats.witness import MISSING_BIN

Verdict = Literal["both", "only in A", "only in B", "of another kind"]


class ColumnComparison(msgspec.Struct, frozen=True, kw_only=True):
    """`distances`: of B from A on the coarse bins of A (None where they cannot be laid on each other). `exact`: False
    where B has other bins, whose representatives were sorted into those of A. `smallest_a`, `smallest_b`: the
    smallest shift each lets see, SDs for a mean, else a share."""

    stream: str
    column: str
    verdict: Verdict
    kind: str
    rows_a: int = 0
    rows_b: int = 0
    mean_a: float | None = None
    mean_b: float | None = None
    distances: Distances | None = None
    exact: bool = True
    smallest_a: float | None = None
    smallest_b: float | None = None


def compare(a: Profile, b: Profile) -> list[ColumnComparison]:
    """Every column of either, predictions first, the furthest apart first."""
    found: list[ColumnComparison] = []
    for stream in ("predictions", "pairs"):
        one, other = _columns(a.section(stream)), _columns(b.section(stream))
        lines = [_compare(stream, one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())]
        found += sorted(lines, key=lambda line: -(line.distances.psi if line.distances else -1.0))
    return found


def _columns(section: Section | None) -> dict[str, tuple[ColumnReference, Grid]]:
    """All but the graded scores: a number that nobody reads, and score and outcomes are there."""
    if section is None:
        return {}
    return {c.name: (c, section.grid) for c in section.columns if c.rows and c.name != GRADED}


def _compare(
    stream: str, a: tuple[ColumnReference, Grid] | None, b: tuple[ColumnReference, Grid] | None
) -> ColumnComparison:
    if a is None or b is None:
        held = a or b
        assert held is not None
        verdict: Verdict = "only in A" if b is None else "only in B"
        return ColumnComparison(stream=stream, column=held[0].name, verdict=verdict, kind=held[0].kind)
    (one, grid), (other, others) = a, b
    alike = one.kind == other.kind
    counts, exact = _counts_on(one, grid, other, others) if alike else (None, True)
    return ColumnComparison(
        stream=stream,
        column=one.name,
        verdict="both" if alike else "of another kind",
        kind=one.kind,
        rows_a=one.rows,
        rows_b=other.rows,
        mean_a=one.mean if one.scores else None,
        mean_b=_mean(other),
        distances=None
        if counts is None
        else distances(one.coarse_counts, counts, np.asarray(one.scores) if one.kind == "numeric" else None),
        exact=exact,
        smallest_a=_smallest(one),
        smallest_b=_smallest(other),
    )


def _mean(column: ColumnReference) -> float | None:
    """Of what it holds: a relearnt reference keeps the scores of the original."""
    if not column.scores:
        return None
    return column.mean + column.sd * float(column.shares[: len(column.scores)] @ np.asarray(column.scores))


def _smallest(column: ColumnReference) -> float | None:
    main = next(
        (w for w in column.witnesses if w.form == "mean"), column.witnesses[0] if column.witnesses else None
    )
    return None if main is None else main.eps


def _counts_on(
    one: ColumnReference, grid: Grid, other: ColumnReference, others: Grid
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], bool]:
    """Coarse counts of `other` on the bins of `one`, and whether that is exact."""
    mine, theirs = grid.columns[grid.index[one.name]], others.columns[others.index[other.name]]
    if mine == theirs:
        return np.bincount(one.coarse_map, other.fine_counts, len(one.coarse_counts)).astype(np.int64), True
    held = other.coarse_counts.copy()
    missing, held[MISSING_BIN] = int(held[MISSING_BIN]), 0
    if one.kind == "categorical":
        fine = other.fine_counts
        texts: list[str | None] = [*theirs.categories, "\N{REPLACEMENT CHARACTER} unseen"]
        weights = np.append(fine[: len(theirs.categories)], held.sum() - fine[: len(theirs.categories)].sum())
        cells = Column(np.full(len(texts), np.nan), texts)
    else:
        values = other.mean + other.sd * np.asarray(other.scores)
        weights = held[: len(values)]
        cells = Column(values)
    n = len(cells.numbers)
    alone = Grid([mine], grid.pane_ms)
    codes = encode_cells(alone, Rows(np.zeros(n, np.int64), np.zeros(n, np.uint64), {one.name: cells}))[:, 0]
    counts = np.bincount(one.coarse_map[codes], weights, len(one.coarse_counts)).astype(np.int64)
    counts[MISSING_BIN] += missing
    return counts, False
