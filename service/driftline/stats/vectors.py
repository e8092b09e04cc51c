"""Embedding vectors as columns: a feature whose value is a list of numbers is watched by its length, its norm and
eight projections, whatever its dimension.

Rows hold these ten columns and never the vector. A row is judged alone: which length is the right one is the grid's to
say (`Grid.vectors`), and a row of another has values of the wrong type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.stats.codes import WRONG_TYPE
from driftline.stats.rows import Column, Rows

LENGTH: Final = "length"
NORM: Final = "norm"
PROJECTIONS: Final = 8
PARTS: Final = (LENGTH, NORM, *(f"p{i}" for i in range(PROJECTIONS)))


def part_names(name: str) -> list[str]:
    return [f"{name}.{part}" for part in PARTS]


def vectors_among(names: Iterable[str]) -> list[str]:
    """The vectors whose ten columns are all among the names, in order."""
    held = set(names)
    ending = f".{LENGTH}"
    bases = [name.removesuffix(ending) for name in held if name.endswith(ending)]
    return sorted(base for base in bases if held.issuperset(part_names(base)))


def lengths_of(rows: Rows) -> dict[str, int]:
    """Of every vector that any row has the length that most have, the smaller one of two."""
    found: dict[str, int] = {}
    for name in vectors_among(rows.columns):
        held = rows.columns[f"{name}.{LENGTH}"].numbers
        lengths, counts = np.unique(held[~np.isnan(held)], return_counts=True)
        if len(lengths):
            found[name] = int(lengths[np.argmax(counts)])
    return found


def settled(rows: Rows, wanted: Mapping[str, int]) -> Rows:
    """The rows as a grid with these vectors, by name and length, takes them: vectors of another length have values of
    the wrong type, and a vector where none is wanted is itself one."""
    found = vectors_among(rows.columns)
    if not found:
        return rows
    columns = dict(rows.columns)
    for name in found:
        lengths = columns[f"{name}.{LENGTH}"].numbers
        there = ~np.isnan(lengths)
        if name in wanted:
            wrong = there & (lengths != wanted[name])
            for part in part_names(name)[1:]:
                columns[part] = _with_wrong(columns[part], wrong)
        else:
            for part in part_names(name):
                del columns[part]
            columns[name] = _with_wrong(columns.get(name) or Column.missing(rows.n), there)
    return Rows(rows.times, rows.ids, columns, rows.beyond)


def _with_wrong(column: Column, wrong: npt.NDArray[np.bool_]) -> Column:
    if not wrong.any():
        return column
    status = np.zeros(len(wrong), np.uint8) if column.status is None else column.status
    numbers = np.where(wrong, np.nan, column.numbers)
    return Column(numbers, column.texts, np.where(wrong, WRONG_TYPE, status).astype(np.uint8))
