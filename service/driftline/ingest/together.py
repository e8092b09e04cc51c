"""Predictions of many model versions, a few of each, as blocks in one go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import PREDICTIONS, BinnedBlock
from driftline.contracts.cells import Cell, Json, floats_of, plain
from driftline.contracts.events import Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.registry import ModelKey
from driftline.stats.bank import GridBank
from driftline.stats.codes import MISSING, WRONG_TYPE
from driftline.stats.grid import Grid
from driftline.stats.rows import Index
from driftline.stats.together import MAX_COLUMNS, Cells, Group, blocks_together

FEATURE_PREFIX: Final = "features."
MAX_EVENTS: Final = 64
"""Of one model version: with more, columns of its own are cheaper."""
_PART: Final = 2_048
"""Events taken at once, about: what they become stays in the processor's cache."""
_MAX_MODELS: Final = 10_000
_ROWS: Final = 16
"""Rows that columns are written out for beforehand."""
_BESIDE: Final = ("prediction", "score", "latency_ms")
"""Columns that are not features."""
_NUMBERS: Final = {int, float}
_NUMBERS_OR_NOTHING: Final = {int, float, type(None)}

Value = Json | int
"""A value as JSON has it: of a feature every number is a float."""

Floats = npt.NDArray[np.float64]


class Few(NamedTuple):
    """At most MAX_EVENTS events, at least one, of a model version that has a grid; those before `since` (ms) belong
    to its reference."""

    key: ModelKey
    events: Sequence[Prediction]
    grid: Grid
    decoder: FeatureDecoder
    since: int


class _Place(NamedTuple):
    """Where a grid is in the bank: its first column; the column of each name of `layout`, _ROWS times over, None
    where the names are not the grid's; and of each of _BESIDE, -1 where it has none."""

    grid: Grid
    first: int
    layout: tuple[str, ...]
    columns: Index | None
    beside: tuple[int, ...]


class Together:
    """Keeps the grids it has met side by side."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._bank = GridBank()
        self._places: dict[ModelKey, _Place] = {}
        self._stale = 0

    def blocks(self, few: Iterable[Few]) -> dict[ModelKey, list[BinnedBlock]]:
        """The blocks of each, as they would be on their own. Left out are those that need a look of their own: with
        names or values that are not laid out for, with vectors, scores of classes, or events before `since`."""
        if len(self._places) > _MAX_MODELS or 2 * self._stale > len(self._bank.columns):
            self._forget()
        found: dict[ModelKey, list[BinnedBlock]] = {}
        part = _Part()
        for one in few:
            events = one.events
            times = [event.time for event in events]
            if min(times) < one.since or one.grid.vectors or any(event.scores for event in events):
                continue
            rows = one.decoder.rows([event.features for event in events])
            place = self._place(one)
            if rows is None or place.columns is None:
                continue
            part.add(one, place, place.columns, times, rows)
            if len(part.times) >= _PART:
                found.update(part.blocks(self._bank))
                part = _Part()
        if part.times:
            found.update(part.blocks(self._bank))
        return found

    def _place(self, one: Few) -> _Place:
        known = self._places.get(one.key)
        layout, grid = one.decoder.layout, one.grid
        same_grid = known is not None and (known.grid is grid or known.grid.id == grid.id)
        if known is not None and same_grid and known.layout is layout:
            return known
        if known is not None and same_grid:
            first = known.first
        else:
            self._stale += 0 if known is None else len(known.grid.columns)
            first = self._bank.add(grid)
        beside = tuple(first + grid.index[name] if name in grid.index else -1 for name in _BESIDE)
        names = [FEATURE_PREFIX + name for name in layout]
        columns = None
        if len(grid.columns) <= MAX_COLUMNS and set(names) == grid.index.keys() - set(_BESIDE):
            columns = np.array([first + grid.index[name] for name in names] * _ROWS, np.intp)
        place = self._places[one.key] = _Place(grid, first, layout, columns, beside)
        return place


class _Part:
    """Some of the events: cells one after the other, as they come out of the decoders."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.times: list[int] = []
        self._events: list[Prediction] = []
        self._cells: list[Cell] = []
        self._columns: list[Index] = []
        self._widths: list[int] = []
        self._beside: list[tuple[int, ...]] = []

    def add(
        self, one: Few, place: _Place, columns: Index, times: Sequence[int], rows: Sequence[tuple[Cell, ...]]
    ) -> None:
        n = len(rows)
        self.groups.append(Group(*one.key, PREDICTIONS, place.grid, place.first, n))
        self.times += times
        self._events += one.events
        self._cells += chain.from_iterable(rows)
        width = len(place.layout)
        self._columns += [columns] * (n // _ROWS)
        self._columns.append(columns[: n % _ROWS * width])
        self._widths += [width] * n
        self._beside += [place.beside] * n

    def blocks(self, bank: GridBank) -> dict[ModelKey, list[BinnedBlock]]:
        rows = np.arange(len(self.times))
        columns = np.concatenate(self._columns)
        of_row = np.repeat(rows, self._widths)
        pieces = [(of_row, columns, *_settled(bank, self._cells, columns))]
        unknown = {}
        beside = np.array(self._beside, np.intp).T
        for name, own, values in zip(_BESIDE, beside, self._beside_values(), strict=True):
            known = own >= 0
            if not known.all():
                unknown[name] = ~known & np.array([value is not None for value in values])
                values = [values[i] for i in np.flatnonzero(known).tolist()]
            if values:
                pieces.append((rows[known], own[known], *_settled(bank, values, own[known])))
        of_cell, column, numbers, told = map(np.concatenate, zip(*pieces, strict=True))
        cells = Cells(of_cell, column, numbers, told, unknown)
        found = blocks_together(bank, self.groups, np.array(self.times, np.int64), cells)
        return {(g.model, g.version): blocks for g, blocks in zip(self.groups, found, strict=True)}

    def _beside_values(self) -> tuple[Sequence[Value], ...]:
        events = self._events
        return [e.prediction for e in events], [e.score for e in events], [e.latency_ms for e in events]


def _settled(bank: GridBank, values: Sequence[Value], columns: Index) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Each value's number, NaN where it is none, and the code that it has then."""
    numbers = floats_of(values)
    if numbers is not None:
        return numbers, np.zeros(len(values), np.uint8)
    told = np.full(len(values), MISSING, np.uint8)
    if set(map(type, values)) <= _NUMBERS_OR_NOTHING:
        return np.array(values, np.float64), told  # None becomes NaN
    numbers = np.array([value if type(value) in _NUMBERS else np.nan for value in values], np.float64)
    for i in np.flatnonzero(np.isnan(numbers)).tolist():
        value = plain(values[i])
        if isinstance(value, str):
            column = bank.columns[columns[i]]
            told[i] = column.table[value] if column.kind == "categorical" else WRONG_TYPE
        else:
            told[i] = value
    return numbers, told
