"""Rows of one model version and stream as arrays, one `Column` a name; and their wire form for raw rows.

A cell is a number, a text, or a status (missing, wrong type, non-finite); a cell that is none of them counts as
missing. Numbers are finite: the door lets no other through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import RawBlock, RawColumn
from driftline.errors import StateCorrupt
from driftline.stats.codes import MISSING, STATUSES

Index = npt.NDArray[np.intp]


@dataclass(slots=True)
class Column:
    """One column of n rows. `numbers`: float64 x n, NaN where there is none; `texts`: None where there is none,
    and None altogether if no row has one; `status`: uint8 x n, 0 or a status code, None where all are 0."""

    numbers: npt.NDArray[np.float64]
    texts: list[str | None] | None = None
    status: npt.NDArray[np.uint8] | None = None

    def take(self, index: Index) -> Column:
        texts = None
        if self.texts is not None:
            held = self.texts
            texts = [held[i] for i in index.tolist()]
        return Column(self.numbers[index], texts, None if self.status is None else self.status[index])

    @staticmethod
    def concat(columns: Sequence[Column]) -> Column:
        """One after the other."""
        numbers = np.concatenate([column.numbers for column in columns])
        texts: list[str | None] | None = None
        if any(column.texts is not None for column in columns):
            texts = []
            for column in columns:
                texts.extend([None] * len(column.numbers) if column.texts is None else column.texts)
        status = None
        if any(column.status is not None for column in columns):
            status = np.concatenate(
                [np.zeros(len(c.numbers), np.uint8) if c.status is None else c.status for c in columns]
            )
        return Column(numbers, texts, status)

    @staticmethod
    def missing(n: int) -> Column:
        return Column(np.full(n, np.nan), None, np.full(n, MISSING, np.uint8))


@dataclass(slots=True)
class Rows:
    """n rows: `times` int64 ms, `ids` uint64 (a hash of the event id), `columns` by name. Which partition a row
    came through is not known here, so nothing can depend on it. `beyond`: of rows that hold something under names
    that have no column, how often each; not on the wire, for a reference does not learn of them."""

    times: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint64]
    columns: dict[str, Column]
    beyond: dict[int, dict[str, int]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.times)

    def take(self, index: Index) -> Rows:
        columns = {name: column.take(index) for name, column in self.columns.items()}
        beyond = {}
        if self.beyond:
            beyond = {i: self.beyond[row] for i, row in enumerate(index.tolist()) if row in self.beyond}
        return Rows(self.times[index], self.ids[index], columns, beyond)

    def sorted(self) -> Rows:
        """By (time, id), whatever the order of arrival."""
        order = np.lexsort((self.ids, self.times))
        if np.array_equal(order, np.arange(self.n)):
            return self
        return self.take(order)

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """One after the other. A column that one part lacks is missing in all its rows."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Rows(np.empty(0, np.int64), np.empty(0, np.uint64), {})
        starts = np.cumsum([0, *(part.n for part in parts)]).tolist()
        beyond = {
            start + row: held
            for start, part in zip(starts, parts, strict=False)
            for row, held in part.beyond.items()
        }
        names = sorted({name for part in parts for name in part.columns})
        columns = {
            name: Column.concat([part.columns.get(name) or Column.missing(part.n) for part in parts])
            for name in names
        }
        return Rows(
            np.concatenate([part.times for part in parts]),
            np.concatenate([part.ids for part in parts]),
            columns,
            beyond,
        )

    def to_raw_block(self, model: str, version: str, stream: str) -> RawBlock:
        """The wire form. Equal rows give equal bytes, whatever their order: they are sorted by (time, id)."""
        rows = self.sorted()
        columns = {name: _to_raw(rows.columns[name]) for name in sorted(rows.columns)}
        times = rows.times.astype("<i8", copy=False).tobytes()
        ids = rows.ids.astype("<u8", copy=False).tobytes()
        return RawBlock(model, version, stream, times, ids, columns)

    @staticmethod
    def from_raw_block(block: RawBlock) -> Rows:
        """Raises StateCorrupt unless every array has n items, every number is finite or NaN, and every status
        is one we know."""
        times = _read(block.times, "<i8", np.int64, "times")
        n = len(times)
        ids = _read(block.ids, "<u8", np.uint64, "ids")
        if len(ids) != n:
            raise StateCorrupt(f"raw block: {n} times, {len(ids)} ids")
        columns = {name: _from_raw(name, column, n) for name, column in block.columns.items()}
        return Rows(times, ids, columns)


def _to_raw(column: Column) -> RawColumn:
    texts = column.texts if column.texts is not None and any(t is not None for t in column.texts) else []
    status = b"" if column.status is None or not column.status.any() else column.status.tobytes()
    return RawColumn(column.numbers.astype("<f8", copy=False).tobytes(), texts, status)


def _from_raw(name: str, column: RawColumn, n: int) -> Column:
    numbers = _read(column.numbers, "<f8", np.float64, name)
    if len(numbers) != n or len(column.texts) not in (0, n) or len(column.status) not in (0, n):
        raise StateCorrupt(f"raw block: column {name!r} does not hold {n} rows")
    if np.isinf(numbers).any():
        raise StateCorrupt(f"raw block: column {name!r} holds an infinite number")
    status = None
    if column.status:
        status = np.frombuffer(column.status, np.uint8)
        if not np.isin(status, (0, *STATUSES)).all():
            raise StateCorrupt(f"raw block: column {name!r} holds an unknown status")
    return Column(numbers, column.texts or None, status)


def _read(data: bytes, wire: str, dtype: type[Any], name: str) -> npt.NDArray[Any]:
    if len(data) % 8:
        raise StateCorrupt(f"raw block: {name!r} is cut in the middle of a number")
    return np.frombuffer(data, wire).astype(dtype, copy=False)
