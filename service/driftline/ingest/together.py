"""Predictions of many model versions, a few of each, as blocks in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from itertools import chain
from operator import attrgetter
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
from driftline.stats.profile import Profile
from driftline.stats.rows import Index
from driftline.stats.together import MAX_COLUMNS, Cells, Group, blocks_together

FEATURE_PREFIX: Final = "features."
MAX_EVENTS: Final = 64
"""Of one model version: with more, columns of its own are cheaper."""
_PART: Final = 2_048
"""Events taken at once, about: what they become stays in the processor's cache."""
_MAX_MODELS: Final = 10_000
_BESIDE: Final = ("prediction", "score", "latency_ms")
"""Columns that are not features."""
_CLASSES: Final = attrgetter("scores")
_NUMBERS: Final = {int, float}
_NUMBERS_OR_NOTHING: Final = {int, float, type(None)}

Value = Json | int
"""A value as JSON has it: of a feature every number is a float."""

Floats = npt.NDArray[np.float64]


class _Place(NamedTuple):
    """What is known of a model version: its profile, and those of its events that belong to the reference are before
    `since` (ms); its group of blocks; its decoder, and the `layout` that this had; `columns`: in the bank, of each
    name of the layout and of each of _BESIDE, -1 where it has none. None where the names are not the grid's."""

    profile: Profile
    since: int
    group: Group
    decoder: FeatureDecoder
    layout: tuple[str, ...]
    columns: Index | None


class Together:
    """Keeps the grids it has met side by side."""

    def __init__(self, decoder_of: Callable[[str, str, Grid], FeatureDecoder]) -> None:
        self._decoder_of = decoder_of
        self._forget()

    def _forget(self) -> None:
        self._bank = GridBank()
        self._places: dict[ModelKey, _Place] = {}
        self._stale = 0

    def blocks(
        self, groups: Mapping[ModelKey, Sequence[Prediction]], profiles: Mapping[ModelKey, Sequence[Profile]]
    ) -> dict[ModelKey, list[BinnedBlock]]:
        """The blocks of each model version that has one profile and at least one event but few, as they would be on
        their own. Left out are those that need a look of their own: with names or values that are not laid out for,
        with vectors, scores of classes, or events that belong to the reference."""
        if len(self._places) > _MAX_MODELS or 2 * self._stale > len(self._bank.columns):
            self._forget()
        found: dict[ModelKey, list[BinnedBlock]] = {}
        part = _Part()
        for key, events in groups.items():
            known = profiles.get(key, ())
            if len(known) != 1 or len(events) > MAX_EVENTS:
                continue
            profile = known[0]
            if profile.provisional:
                continue
            place = self._places.get(key)
            if place is None or place.profile is not profile:
                place = self._place(key, profile)
            first = events[0]
            if first.scores or first.time < place.since:  # one tells of most: the part looks at all
                continue
            rows = place.decoder.rows([event.features for event in events])
            if place.layout is not place.decoder.layout:
                place = self._place(key, profile)
            if rows is None or place.columns is None:
                continue
            part.add(place, events, rows)
            if len(part.events) >= _PART:
                part.blocks(self._bank, found)
                part = _Part()
        part.blocks(self._bank, found)
        return found

    def _place(self, key: ModelKey, profile: Profile) -> _Place:
        known = self._places.get(key)
        grid = profile.predictions.grid
        if known is not None and known.group.grid == grid.id:
            first, decoder = known.group.first, known.decoder
        else:
            self._stale += 0 if known is None else known.group.width
            first, decoder = self._bank.add(grid), self._decoder_of(*key, grid)
        group = Group(*key, PREDICTIONS, grid.id, grid.pane_ms, first, len(grid.columns), grid.embedding)
        names = [FEATURE_PREFIX + name for name in decoder.layout]
        columns = None
        if len(grid.columns) <= MAX_COLUMNS and not grid.vectors and set(names) == grid.index.keys() - set(_BESIDE):
            beside = [first + grid.index[name] if name in grid.index else -1 for name in _BESIDE]
            columns = np.array([first + grid.index[name] for name in names] + beside, np.intp)
        since = profile.since(PREDICTIONS)
        place = self._places[key] = _Place(profile, since, group, decoder, decoder.layout, columns)
        return place


class _Part:
    """Some of the events, and their cells as they come out of the decoders."""

    def __init__(self) -> None:
        self.events: list[Prediction] = []
        self._places: list[_Place] = []
        self._sizes: list[int] = []
        self._rows: list[tuple[Cell, ...]] = []

    def add(self, place: _Place, events: Sequence[Prediction], rows: Sequence[tuple[Cell, ...]]) -> None:
        self.events += events
        self._places.append(place)
        self._sizes.append(len(rows))
        self._rows += rows

    def blocks(self, bank: GridBank, found: dict[ModelKey, list[BinnedBlock]]) -> None:
        """Adds to `found`."""
        if not self._places:
            return
        owner = np.repeat(np.arange(len(self._places)), self._sizes)
        times = np.array([event.time for event in self.events], np.int64)
        alone = times < np.array([place.since for place in self._places], np.int64)[owner]
        if any(map(_CLASSES, self.events)):
            alone |= np.array([bool(event.scores) for event in self.events])
        if alone.any():
            self._without(set(owner[alone].tolist())).blocks(bank, found)
            return
        groups = [place.group for place in self._places]
        made = blocks_together(bank, groups, owner, times, self._cells(bank, owner))
        found.update(zip([group[:2] for group in groups], made, strict=True))

    def _without(self, those: Set[int]) -> _Part:
        part, end = _Part(), 0
        for i, (place, size) in enumerate(zip(self._places, self._sizes, strict=True)):
            start, end = end, end + size
            if i not in those:
                part.add(place, self.events[start:end], self._rows[start:end])
        return part

    def _cells(self, bank: GridBank, owner: Index) -> Cells:
        """`owner`: the number of each row's place."""
        rows = np.arange(len(owner))
        laid_out = np.concatenate([place.columns for place in self._places if place.columns is not None])
        width = np.array([len(place.layout) for place in self._places], np.intp)
        beside = np.cumsum(width + len(_BESIDE)) - len(_BESIDE)  # where the columns of _BESIDE are in `laid_out`
        width_of_row = width[owner]
        of_row = np.repeat(rows, width_of_row)
        shift = (beside - width)[owner] - (np.cumsum(width_of_row) - width_of_row)
        columns = laid_out.take(np.arange(len(of_row)) + shift.take(of_row))
        pieces = [(of_row, columns, *_settled(bank, list(chain.from_iterable(self._rows)), columns))]
        unknown = {}
        for i, (name, values) in enumerate(zip(_BESIDE, self._beside_values(), strict=True)):
            own = laid_out[beside + i][owner]
            known = own >= 0
            if known.all():
                pieces.append((rows, own, *_settled(bank, values, own)))
                continue
            if values.count(None) < len(values):
                unknown[name] = ~known & np.array([value is not None for value in values])
            if known.any():
                values = [values[i] for i in np.flatnonzero(known).tolist()]
                pieces.append((rows[known], own[known], *_settled(bank, values, own[known])))
        row, column, numbers, told = map(np.concatenate, zip(*pieces, strict=True))
        return Cells(row, column, numbers, told, unknown)

    def _beside_values(self) -> tuple[Sequence[Value], ...]:
        events = self.events
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
