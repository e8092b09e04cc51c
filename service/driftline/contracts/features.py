"""Step two of decoding: the features of many events of one model version become columns.

About 1.1 us an event of 20 features that are all numbers, 1.5 us if some are not; a few more for one with a name
that is rarely there. Memory is bounded by rows x names, and the number of names by `max_names`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from driftline.contracts.cells import Cell, Json, cells_of, column_of, short, table_of
from driftline.contracts.limits import MAX_TEXT
from driftline.contracts.vectors import vector_columns
from driftline.stats.codes import MISSING, WRONG_TYPE
from driftline.stats.rows import Column
from driftline.stats.vectors import part_names, vectors_among

_STRUCT_NAMES: Final = 256
"""With more names, rows are read as dictionaries: a struct finds a field by walking along its names, from where it
found the last one. 200 names in the order of the fields take 6 us, in the worst order 150; a dictionary 25."""
_LOOK_EVERY: Final = 64
"""Parts between two looks at the order in which the names come."""
_PART: Final = 1_024
"""Rows decoded at once: as many as the processor's cache holds."""
_COMMON: Final = 4
"""A name found in one of so many rows joins the struct."""
_BEYOND: Final = 32
"""As many as a block names (`stats.block.MAX_EXTRA`)."""
_REFUSED: Final = (msgspec.DecodeError, RecursionError, ValueError)

_astuple: Final = msgspec.structs.astuple


class Beyond(NamedTuple):
    """What one row holds under names that have no column: the first 32 names in alphabetical order, and how many
    more. What is first among many rows is first in each of them, so of the first 32 of any rows nothing is lost."""

    names: list[str]
    more: int


class Features(NamedTuple):
    """`columns`: the names given, always, and the others that have a value here. `dropped` counts the values of
    names beyond `max_names`, which have no column; `beyond` has them by row, beside given names."""

    columns: dict[str, Column]
    dropped: int
    beyond: dict[int, Beyond]


class FeatureDecoder:
    """Columns of one model version's features.

    `names` are known beforehand (a profile's); others are told apart in the order of their first value, up to
    `max_names` (32 beside given names, else 1,000). What it has seen makes it faster, never different, but for
    which names have a column. A list of numbers becomes the columns of `stats.vectors`, of all names, or of those
    vectors that the names given know; every other list is of the wrong type."""

    def __init__(self, names: Iterable[str] = (), max_names: int | None = None) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._told_apart = set(self._names)
        self._vectors = frozenset(vectors_among(self._names))
        default = 32 if self._names else 1_000
        self._room = default if max_names is None else max_names
        self._parts = 0
        self._lay_out(self._names)

    def columns(self, texts: Sequence[bytes]) -> Features:
        """Columns of `texts`, objects as `Prediction.features` holds them; row i is text i.

        Numbers are finite or a status, booleans are the texts "true" and "false", long texts are shortened.
        Raises Poison for a text that no Decoder lets through."""
        if len(texts) <= _PART:
            return self._part(texts)
        sizes = [min(_PART, len(texts) - start) for start in range(0, len(texts), _PART)]
        parts = [self._part(texts[i * _PART : (i + 1) * _PART]) for i in range(len(sizes))]
        columns = {
            name: Column.concat(
                [part.columns.get(name) or Column.missing(n) for part, n in zip(parts, sizes, strict=True)]
            )
            for name in dict.fromkeys(name for part in parts for name in part.columns)
        }
        beyond = {i * _PART + row: held for i, part in enumerate(parts) for row, held in part.beyond.items()}
        return Features(columns, sum(part.dropped for part in parts), beyond)

    @property
    def layout(self) -> tuple[str, ...]:
        """The names that `rows` speaks of: the same object until they or their order change."""
        return self._layout

    def rows(self, texts: Sequence[bytes]) -> list[tuple[Cell, ...]] | None:
        """The cells of each text in the order of `layout`, at least one text. None where that does not say
        everything: then `columns` does."""
        if self._parts % _LOOK_EVERY == 0:
            self._follow(cells_of(texts[0]))
        self._parts += 1
        try:
            return list(map(_astuple, map(self._decode, texts)))
        except _REFUSED:
            return None

    def _part(self, texts: Sequence[bytes]) -> Features:
        n = len(texts)
        if n == 0:
            return Features({name: Column.missing(0) for name in self._names}, 0, {})
        if not self._layout:
            first = cells_of(texts[0])
            self._lay_out(tuple(name for name in first if len(name) <= MAX_TEXT and self._admit(name)))
        elif self._parts % _LOOK_EVERY == 0:  # now and then, see in what order names come
            self._follow(cells_of(texts[0]))
        self._parts += 1
        rows: list[tuple[Cell, ...]] = []
        strays: dict[str, _Stray] = {}
        beyond: dict[int, Beyond] = {}
        pending = iter(texts)
        while len(rows) < n:
            try:
                rows.extend(map(_astuple, map(self._decode, pending)))
            except _REFUSED:
                at = len(rows)
                cells = cells_of(texts[at])
                rows.append(tuple(map(cells.get, self._layout)))
                if without := self._keep_strays(at, cells, strays):
                    beyond[at] = Beyond(sorted(without)[:_BEYOND], max(0, len(without) - _BEYOND))
        table = table_of(rows)
        columns = map(column_of, zip(*rows, strict=True)) if table is None else map(Column, table.T)
        laid_out = zip(self._layout, columns, strict=True)
        found = {name: column for name, column in laid_out if column is not None}
        found |= {name: stray.column(n) for name, stray in strays.items()}
        for name in [name for name, column in found.items() if _any_wrong(column)]:
            if not self._names or name in self._vectors:
                held = strays[name].all_cells(n) if name in strays else self._cells(rows, name)
                self._take_vectors(name, held, found)
        if strays:
            self._learn(strays, n)
        dropped = sum(len(names) + more for names, more in beyond.values())
        return Features(self._given(found, n), dropped, beyond if self._names else {})

    def _given(self, found: dict[str, Column], n: int) -> dict[str, Column]:
        """The names given, in their order, and the others."""
        return {name: found.get(name) or Column.missing(n) for name in self._names} | found

    def _cells(self, rows: Sequence[tuple[Cell, ...]], name: str) -> list[Cell]:
        at = self._layout.index(name)
        return [row[at] for row in rows]

    def _take_vectors(self, name: str, cells: Sequence[Cell], found: dict[str, Column]) -> None:
        """Put the columns of the vectors among the cells of a name in the place of its own."""
        names = [short(part) for part in part_names(name)]
        if len([part for part in names if part not in self._told_apart]) > self._room:
            return
        columns = vector_columns(name, cells)
        if columns is None:
            return
        for part, column in zip(names, columns, strict=True):
            self._admit(part)
            found[part] = _over(column, found[part]) if part in found else column
        own, vector = found.pop(name), ~np.isnan(columns[0].numbers)
        assert own.status is not None
        status = np.where(vector, MISSING, own.status).astype(np.uint8)
        if (status != MISSING).any():
            found[name] = Column(own.numbers, own.texts, status)

    def _admit(self, name: str) -> bool:
        """Whether a name has, or now gets, a column of its own."""
        if name not in self._told_apart:
            if self._room <= 0:
                return False
            self._room -= 1
            self._told_apart.add(name)
        return True

    def _keep_strays(self, row: int, cells: dict[str, Cell], strays: dict[str, _Stray]) -> list[str]:
        """Put aside the cells that the layout has no place for. Returns the names of those that were dropped."""
        dropped: list[str] = []
        for name, cell in cells.items():
            if name in self._placed or cell is None:
                continue
            stray = strays.get(name)
            if stray is None:
                kept = short(name)
                if not self._admit(kept):
                    dropped.append(kept)
                    continue
                stray = strays.setdefault(kept, _Stray(shortened=kept != name))
            stray.rows.append(row)
            stray.cells.append(cell)
        return dropped

    def _learn(self, strays: dict[str, _Stray], n: int) -> None:
        common = tuple(
            name
            for name, stray in strays.items()
            if not stray.shortened and len(stray.rows) * _COMMON >= n and _can_be_field(name)
        )
        if common:
            self._lay_out(self._layout + common)

    def _follow(self, first: dict[str, Cell]) -> None:
        """Let the fields stand in the order in which a text has them."""
        order = [name for name in first if name in self._placed]
        order += [name for name in self._layout if name not in first]
        if tuple(order) != self._layout:
            self._lay_out(tuple(order))

    def _lay_out(self, names: tuple[str, ...]) -> None:
        self._layout = tuple(name for name in names if _can_be_field(name))
        self._placed = frozenset(self._layout)
        self._decode = _struct_decoder(self._layout) if len(self._layout) <= _STRUCT_NAMES else _no_decoder


class _Stray:
    """The cells of a name that stands outside the layout, by row."""

    def __init__(self, shortened: bool) -> None:
        self.shortened = shortened
        self.rows: list[int] = []
        self.cells: list[Cell] = []

    def column(self, n: int) -> Column:
        return column_of(self.all_cells(n)) or Column.missing(n)

    def all_cells(self, n: int) -> list[Cell]:
        cells: list[Cell] = [None] * n
        for row, cell in zip(self.rows, self.cells, strict=True):
            cells[row] = cell
        return cells


def _any_wrong(column: Column) -> bool:
    return column.status is not None and bool((column.status == WRONG_TYPE).any())


def _over(upper: Column, lower: Column) -> Column:
    """Of each row the upper column's cell where it has one, else the lower's."""
    if upper.status is None:
        return upper
    none = upper.status == MISSING
    texts = None
    if lower.texts is not None:
        texts = [text if free else None for text, free in zip(lower.texts, none.tolist(), strict=True)]
    status = np.zeros(len(none), np.uint8) if lower.status is None else lower.status
    return Column(
        np.where(none, lower.numbers, upper.numbers), texts, np.where(none, status, upper.status).astype(np.uint8)
    )


def _can_be_field(name: str) -> bool:
    return name.isprintable() and '"' not in name and "\\" not in name


@lru_cache(maxsize=1_024)
def _struct_decoder(names: tuple[str, ...]) -> Callable[[bytes], Any]:
    """Decoder of objects with these names and no others; a missing name is None. Models share them."""
    fields = [(f"f{i}", Json, None) for i in range(len(names))]
    row = msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{i}": name for i, name in enumerate(names)},
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(row).decode


def _no_decoder(text: bytes) -> Any:
    raise ValueError
