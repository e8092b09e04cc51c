"""Events of one model version as columns, and columns as blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np

from driftline.contracts.blocks import PAIRS, PREDICTIONS, Block
from driftline.contracts.events import Label, Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.ingest.pairs import Pair, hash_ids, is_positive, number_column, pair_rows
from driftline.ingest.segments import Asked, crossed_column
from driftline.ingest.together import FEATURE_PREFIX, Together
from driftline.registry import ModelKey
from driftline.stats.block import OTHERS, rows_to_blocks
from driftline.stats.grid import MISSING, Grid
from driftline.stats.limit_rules import LimitRule
from driftline.stats.profile import Profile
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Section
from driftline.stats.segments import NEGATIVE, POSITIVE
from driftline.stats.segments import PREFIX as SEGMENT_PREFIX
from driftline.stats.settings import positive_of
from driftline.stats.succession import epoch_of

T = TypeVar("T")

_predicted_at: Callable[[Prediction], int] = attrgetter("time")
_known_at: Callable[[Pair], int] = attrgetter("known_at")
_SEVERAL: Final = 4
"""Model versions in a range from which on it pays to take them together."""
_NUMBERS: Final = {int, float}
_NOTHING: Final = {type(None)}


class FeatureColumns:
    """Second decode step for one model version: feature objects to columns named `features.<name>`."""

    def __init__(self, grid: Grid | None) -> None:
        names = [
            c.name.removeprefix(FEATURE_PREFIX)
            for c in (grid.columns if grid else ())
            if c.name.startswith(FEATURE_PREFIX)
        ]
        self.decoder = FeatureDecoder(names)

    def columns(self, texts: Sequence[bytes]) -> tuple[dict[str, Column], dict[int, dict[str, int]]]:
        """The columns, and `Rows.beyond`."""
        found = self.decoder.columns(texts)
        beyond = {
            row: {FEATURE_PREFIX + name: 1 for name in held.names} | ({OTHERS: held.more} if held.more else {})
            for row, held in found.beyond.items()
        }
        return {FEATURE_PREFIX + name: column for name, column in found.columns.items()}, beyond


def label_column(values: Sequence[Label | None]) -> Column | None:
    """Numbers stay numbers; strings and booleans become texts. None where no row has a value."""
    kinds = set(map(type, values))
    if kinds == _NOTHING:
        return None
    if kinds <= _NUMBERS:
        return Column(np.array(values, dtype=np.float64), None, None)
    numbers = np.array([np.nan if v is None or isinstance(v, (str, bool)) else float(v) for v in values])
    texts = [str(v).lower() if isinstance(v, bool) else v if isinstance(v, str) else None for v in values]
    absent = np.array([v is None for v in values])
    return Column(numbers, texts, np.where(absent, MISSING, 0).astype(np.uint8) if absent.any() else None)


def prediction_rows(
    events: Sequence[Prediction],
    features: FeatureColumns,
    with_ids: bool,
    segments: Sequence[str] = (),
    positive: str | None = None,
) -> Rows:
    """The rows of the stream `predictions`: features, `prediction`, `score`, `scores.<class>`, `latency_ms`, and of
    the `segments` that are asked for, who got a `positive` decision."""
    n = len(events)
    known, beyond = features.columns([e.features for e in events])
    columns: dict[str, Column | None] = dict(known)
    columns["prediction"] = label_column([e.prediction for e in events])
    columns["score"] = number_column([e.score for e in events])
    columns["latency_ms"] = number_column([e.latency_ms for e in events])
    for name in sorted({name for e in events if e.scores for name in e.scores}):
        columns[f"scores.{name}"] = number_column([e.scores.get(name) if e.scores else None for e in events])
    if segments:
        decided = decisions([event.prediction for event in events], positive)
        for segment in segments:
            values = [event.segments.get(segment) if event.segments else None for event in events]
            columns[SEGMENT_PREFIX + segment] = crossed_column(values, decided)
    return Rows(
        times=np.fromiter((e.time for e in events), np.int64, n),
        ids=hash_ids([e.id for e in events]) if with_ids else np.zeros(n, np.uint64),
        columns={name: column for name, column in columns.items() if column is not None},
        beyond=beyond,
    )


def decisions(predictions: Sequence[Label | None], positive: str | None) -> list[str | None]:
    """What predictions are to a ratio between segments; None for those that are neither."""
    said = (is_positive(prediction, positive) for prediction in predictions)
    return [None if one is None else POSITIVE if one else NEGATIVE for one in said]


class BlockMaker:
    """Turns one batch's rows into blocks by the profiles of that moment. Decoders are kept between batches."""

    def __init__(
        self, positive_class: Mapping[str, str] = MappingProxyType({}), limits: Sequence[LimitRule] = ()
    ) -> None:
        """`limits`: those on segments say of which decisions and errors are counted."""
        self._positive_class = positive_class
        self._decisions = Asked(limits, PREDICTIONS)
        self._errors = Asked(limits, PAIRS)
        self._features: dict[ModelKey, tuple[str, FeatureColumns]] = {}
        self._together = Together(lambda *of: self._decoder(*of).decoder)

    def predictions(
        self, groups: Mapping[ModelKey, Sequence[Prediction]], profiles: Mapping[ModelKey, Sequence[Profile]]
    ) -> Iterator[tuple[ModelKey, Sequence[Block], int]]:
        """Of every model version the blocks, and how many events belong to the reference by their time: those are in
        no block."""
        together: Mapping[ModelKey, Sequence[Block]] = {}
        if len(groups) >= _SEVERAL:
            together = self._together.blocks(groups, profiles)
        for key, events in groups.items():
            blocks = together.get(key)
            if blocks is not None:
                yield key, blocks, 0
            else:
                yield key, *self._alone(*key, events, profiles.get(key, ()))

    def _alone(
        self, model: str, version: str, events: Sequence[Prediction], profiles: Sequence[Profile]
    ) -> tuple[list[Block], int]:
        blocks: list[Block] = []
        early = 0
        segments = self._decisions.of(model)
        positive = positive_of(self._positive_class, model) if segments else None
        for profile, part in _by_epoch(profiles, events, _predicted_at):
            section = _binning(profile, PREDICTIONS)
            features = self._decoder(model, version, section.grid if section else None)
            rows = prediction_rows(part, features, section is None, segments, positive)
            made, before = _blocks(rows, profile, model, version, PREDICTIONS)
            blocks += made
            early += before
        return blocks, early

    def pairs(
        self, model: str, version: str, pairs: Sequence[Pair], profiles: Sequence[Profile]
    ) -> tuple[list[Block], int]:
        blocks: list[Block] = []
        early = 0
        positive = positive_of(self._positive_class, model)
        for profile, part in _by_epoch(profiles, pairs, _known_at):
            rows = pair_rows(part, _binning(profile, PAIRS) is None, positive, self._errors.of(model))
            made, before = _blocks(rows, profile, model, version, PAIRS)
            blocks += made
            early += before
        return blocks, early

    def _decoder(self, model: str, version: str, grid: Grid | None) -> FeatureColumns:
        grid_id = grid.id if grid else ""
        known = self._features.get((model, version))
        if known is None or known[0] != grid_id:
            if len(self._features) > 10_000:
                self._features.clear()
            known = self._features[model, version] = (grid_id, FeatureColumns(grid))
        return known[1]


def _by_epoch(
    profiles: Sequence[Profile], items: Sequence[T], time_of: Callable[[T], int]
) -> list[tuple[Profile | None, Sequence[T]]]:
    """The items of each profile's time; mostly all are of the last one's."""
    if not profiles or not items:
        return [(None, items)]
    if len(profiles) == 1:
        return [(profiles[0], items)]
    times = np.fromiter(map(time_of, items), np.int64, len(items))
    if times.min() >= profiles[-1].judged_from:
        return [(profiles[-1], items)]
    at = epoch_of(profiles, times)
    return [(profiles[i], [items[j] for j in np.flatnonzero(at == i).tolist()]) for i in np.unique(at).tolist()]


def _binning(profile: Profile | None, stream: str) -> Section | None:
    """The section rows are binned on; None where they travel raw, to be learnt from."""
    return None if profile is None or profile.provisional else profile.section(stream)


def _blocks(rows: Rows, profile: Profile | None, model: str, version: str, stream: str) -> tuple[list[Block], int]:
    section = _binning(profile, stream)
    if profile is None or section is None:
        return [rows.to_raw_block(model, version, stream)], 0
    fresh = rows.times >= profile.since(stream)
    early = rows.n - int(np.count_nonzero(fresh))
    if early:
        rows = rows.take(np.flatnonzero(fresh))
    return list(rows_to_blocks(section.grid, rows, model, version, stream)), early
