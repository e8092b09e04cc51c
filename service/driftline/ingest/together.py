"""Predictions of many model versions, a few of each, as blocks in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from itertools import chain
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import PREDICTIONS, BinnedBlock
from driftline.contracts.cells import Cell, Json, floats_of, plain, table_of
from driftline.contracts.events import Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.registry import ModelKey
from driftline.stats.bank import Codes, Floats, GridBank
from driftline.stats.codes import MISSING, WRONG_TYPE
from driftline.stats.grid import Grid, GridColumn
from driftline.stats.layout import FEW
from driftline.stats.profile import Profile
from driftline.stats.rows import Index
from driftline.stats.together import Group, Rows, blocks_together

FEATURE_PREFIX: Final = "features."
MAX_EVENTS: Final = FEW
"""Of one model version: with more, columns of its own are cheaper."""
MAX_COLUMNS: Final = 256
"""Of a grid: with more, a few events are rows enough."""
_PART: Final = 2_048
"""Events taken at once, about: what they become stays in the processor's cache."""
_MAX_MODELS: Final = 10_000
_BESIDE: Final = {name: attrgetter(name) for name in ("prediction", "score", "latency_ms")}
"""Columns that are not features."""
_TIME: Final = attrgetter("time")
_CLASSES: Final = attrgetter("scores")
_NUMBERS: Final = {int, float}
_NUMBERS_OR_NOTHING: Final = {int, float, type(None)}

Value = Json | int
"""A value as JSON has it: of a feature every number is a float."""


class _Shape(NamedTuple):
    """What model versions have in common whose events can be taken together: how many columns, and which of
    `_BESIDE` are among them."""

    width: int
    beside: tuple[str, ...]


class _Place(NamedTuple):
    """What is known of a model version: its last profile; before `since` (ms) are those of its events that belong to
    the reference, or to an earlier profile; its group of blocks; its decoder, and the `layout` that this had;
    `columns` of the grid, in the order of the layout and of `shape.beside`. `shape` is None where the names are not the
    grid's."""

    profile: Profile
    since: int
    group: Group
    decoder: FeatureDecoder
    layout: tuple[str, ...]
    columns: Sequence[GridColumn]
    shape: _Shape | None


class Together:
    """Keeps the grids it has met side by side."""

    def __init__(self, decoder_of: Callable[[str, str, Grid], FeatureDecoder]) -> None:
        self._decoder_of = decoder_of
        self._forget()

    def _forget(self) -> None:
        self._banks: dict[int, GridBank] = {}
        self._shapes: dict[_Shape, _Shape] = {}
        self._places: dict[ModelKey, _Place] = {}
        self._added = self._stale = 0

    def blocks(
        self, groups: Mapping[ModelKey, Sequence[Prediction]], profiles: Mapping[ModelKey, Sequence[Profile]]
    ) -> dict[ModelKey, list[BinnedBlock]]:
        """The blocks of each model version that has a profile and at least one event but few, of the same meaning as
        they would have on their own. Left out are those that need a look of their own: with names or values that are
        not laid out for, with vectors, scores of classes, or events that belong to the reference or to the time of an
        earlier profile."""
        if len(self._places) > _MAX_MODELS or 2 * self._stale > self._added:
            self._forget()
        found: dict[ModelKey, list[BinnedBlock]] = {}
        parts: dict[_Shape, _Part] = {}
        part: _Part | None = None
        for key, events in groups.items():
            known = profiles.get(key)
            if not known or len(events) > MAX_EVENTS:
                continue
            profile, place = known[-1], self._places.get(key)
            if place is None or place.profile is not profile:
                if profile.provisional:
                    continue
                place = self._place(key, profile)
            if place.shape is None and place.layout is place.decoder.layout:
                continue
            first = events[0]
            if first.scores or first.time < place.since:  # one tells of most: the part looks at all
                continue
            rows = place.decoder.rows([event.features for event in events])
            if place.layout is not place.decoder.layout:
                place = self._place(key, profile)
            if rows is None or place.shape is None:
                continue
            if part is None or part.shape is not place.shape:
                part = parts.get(place.shape)
                if part is None:
                    part = parts[place.shape] = _Part(place.shape, self._banks[place.shape.width])
            part.add(place, events, rows)
            if len(part.events) >= _PART:
                part.blocks(found)
                part.clear()
        for part in parts.values():
            part.blocks(found)
        return found

    def _place(self, key: ModelKey, profile: Profile) -> _Place:
        known = self._places.get(key)
        grid = profile.predictions.grid
        width = len(grid.columns)
        bank = self._banks.setdefault(width, GridBank(width)) if width <= MAX_COLUMNS else None
        number = -1
        if known is not None and known.group.grid == grid.id:
            number, decoder = known.group.number, known.decoder
        else:
            decoder = self._decoder_of(*key, grid)
            if bank is not None:
                number = bank.add(grid.columns)
                self._added += width
            self._stale += 0 if known is None else len(known.profile.predictions.grid.columns)
        names = [FEATURE_PREFIX + name for name in decoder.layout]
        beside = tuple(name for name in _BESIDE if name in grid.index)
        columns: Sequence[GridColumn] = ()
        shape = None
        if bank is not None and not grid.vectors and set(names) == grid.index.keys() - set(_BESIDE):
            laid_out = [grid.index[name] for name in (*names, *beside)]
            bank.lay_out(number, np.argsort(laid_out))
            columns = [grid.columns[i] for i in laid_out]
            shape = _Shape(width, beside)
            shape = self._shapes.setdefault(shape, shape)
        group = Group(*key, PREDICTIONS, grid.id, grid.pane_ms, number)
        since = profile.since(PREDICTIONS)
        place = self._places[key] = _Place(profile, since, group, decoder, decoder.layout, columns, shape)
        return place


class _Part:
    """Some of the events of one shape, and their features as they come out of the decoders."""

    def __init__(self, shape: _Shape, bank: GridBank) -> None:
        self.shape = shape
        self._bank = bank
        self.clear()

    def clear(self) -> None:
        self.events: list[Prediction] = []
        self._places: list[_Place] = []
        self._sizes: list[int] = []
        self._rows: list[tuple[Cell, ...]] = []

    def add(self, place: _Place, events: Sequence[Prediction], rows: Sequence[tuple[Cell, ...]]) -> None:
        self.events += events
        self._places.append(place)
        self._sizes.append(len(rows))
        self._rows += rows

    def blocks(self, found: dict[ModelKey, list[BinnedBlock]]) -> None:
        """Adds to `found`."""
        if not self._places:
            return
        owner = np.repeat(np.arange(len(self._places)), self._sizes)
        times = np.fromiter(map(_TIME, self.events), np.int64, len(owner))
        alone = times < np.array([place.since for place in self._places], np.int64).take(owner)
        if any(map(_CLASSES, self.events)):
            alone |= np.array([bool(event.scores) for event in self.events])
        if alone.any():
            self._without(set(owner[alone].tolist())).blocks(found)
            return
        groups = [place.group for place in self._places]
        made = blocks_together(self._bank, groups, self._as_rows(groups, owner, times))
        found.update(zip([group[:2] for group in groups], made, strict=True))

    def _without(self, those: Set[int]) -> _Part:
        part, end = _Part(self.shape, self._bank), 0
        for i, (place, size) in enumerate(zip(self._places, self._sizes, strict=True)):
            start, end = end, end + size
            if i not in those:
                part.add(place, self.events[start:end], self._rows[start:end])
        return part

    def _as_rows(self, groups: Sequence[Group], owner: Index, times: npt.NDArray[np.int64]) -> Rows:
        """`owner`: the number of each row's place."""
        pieces, unknown = [], {}
        if features := self.shape.width - len(self.shape.beside):
            pieces.append(self._features(owner, features))
        for name, value_of in _BESIDE.items():
            held = list(map(value_of, self.events))
            if name in self.shape.beside:
                at = features + self.shape.beside.index(name)
                pieces.append(_settled(held, self._columns(owner, at, 1)))
            elif held.count(None) < len(held):
                unknown[name] = np.array([value is not None for value in held])
        grids = np.array([group.number for group in groups], np.intp).take(owner)
        values = self._bank.arranged(grids, np.column_stack([numbers for numbers, _ in pieces]))
        told = None
        if any(codes is not None for _, codes in pieces):
            codes = [np.zeros(numbers.shape, np.uint8) if own is None else own for numbers, own in pieces]
            told = self._bank.arranged(grids, np.column_stack(codes))
        return Rows(owner, times, values, told, unknown)

    def _features(self, owner: Index, width: int) -> tuple[Floats, Codes | None]:
        numbers = table_of(self._rows)
        if numbers is not None:
            return numbers, None
        cells = list(chain.from_iterable(self._rows))
        numbers, told = _settled(cells, self._columns(owner, 0, width))
        return numbers.reshape(-1, width), None if told is None else told.reshape(-1, width)

    def _columns(self, owner: Index, first: int, width: int) -> Callable[[int], GridColumn]:
        """Whose a value is of those that are `width` a row, from place `first` on."""
        return lambda i: self._places[owner[i // width]].columns[first + i % width]


def _settled(values: Sequence[Value], column_of: Callable[[int], GridColumn]) -> tuple[Floats, Codes | None]:
    """Each value's number, NaN where it is none, and the code that it has then; None: all are numbers. `column_of`
    says whose a value is."""
    numbers = floats_of(values)
    if numbers is not None:
        return numbers, None
    kinds = set(map(type, values))
    if kinds <= _NUMBERS:
        return np.array(values, np.float64), None
    told = np.full(len(values), MISSING, np.uint8)
    if kinds <= _NUMBERS_OR_NOTHING:
        return np.array(values, np.float64), told  # None becomes NaN
    numbers = np.array([value if type(value) in _NUMBERS else np.nan for value in values], np.float64)
    for i in np.flatnonzero(np.isnan(numbers)).tolist():
        value = plain(values[i])
        if isinstance(value, str):
            column = column_of(i)
            told[i] = column.table[value] if column.kind == "categorical" else WRONG_TYPE
        else:
            told[i] = value
    return numbers, told
