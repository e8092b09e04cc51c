"""The door: records become events or refusals, and events ask for their other halves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from driftline.contracts.blocks import PAIRS, blocks_partition
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Event, Outcome, Prediction
from driftline.errors import Poison
from driftline.ingest.pairs import (
    Pair,
    origin_of,
    outcome_half,
    pair_of_outcome,
    pair_of_prediction,
    pair_of_whole,
    prediction_half,
    whole_halves,
)
from driftline.ingest.segments import Asked, Segments
from driftline.registry import ModelKey
from driftline.runtime.log import Record
from driftline.runtime.stage import Batch
from driftline.runtime.store import Half, JoinMode, Meeting, Met

LOG_APPEND_TIME: Final = 1
_NONE: Final[frozenset[int]] = frozenset()
_Event = TypeVar("_Event", Prediction, Pair)
_NEW: Final = Meeting(Met.NEW)
_PAIRED: Final = Meeting(Met.PAIRED)
_DUPLICATE: Final = Meeting(Met.DUPLICATE)
NOTHING: Final = Asked((), PAIRS)


@dataclass(slots=True)
class Gathered:
    """A batch behind the door: events, each one's offset, and what was refused with why."""

    events: list[Event] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    refused: list[tuple[Record, Poison]] = field(default_factory=list)


@dataclass(slots=True)
class Sorted:
    """Events after the join: duplicates apart, pairs complete. A range that is folded again has only those pairs
    that are not published yet."""

    predictions: list[Prediction] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    duplicates: list[tuple[int, Event]] = field(default_factory=list)
    waiting: list[Outcome] = field(default_factory=list)


def gather(decoder: Decoder, batch: Batch, future_ms: int) -> Gathered:
    """Decode every record. A time ahead of the broker's append time (else of the batch's clock) by more than
    `future_ms` is refused; an old time never is: history and demos are replayed."""
    gathered = Gathered()
    events, offsets, refused = gathered.events, gathered.offsets, gathered.refused
    decode, refuse = decoder.decode, batch.refuse
    latest_here = batch.clock + future_ms
    for record in batch.records:
        offset = record.offset
        try:
            if refuse and offset in refuse:
                raise refuse[offset]
            event = decode(record.value, record.headers)
            latest = record.timestamp + future_ms if record.timestamp_type == LOG_APPEND_TIME else latest_here
            if event.time > latest:
                ahead = (event.time - latest + future_ms) / 1000
                raise Poison("future", f"time is {ahead:.0f} s ahead of the broker's clock")
        except Poison as why:
            refused.append((record, why))
        else:
            events.append(event)
            offsets.append(offset)
    return gathered


def is_whole(event: Event) -> bool:
    """An outcome that repeats its prediction needs no join."""
    return isinstance(event, Outcome) and event.prediction is not None and event.version is not None


def halves(batch: Batch, gathered: Gathered, partitions: int, asked_of: Asked = NOTHING) -> list[Half]:
    """What to ask the memory of the join, in the order of the records. A published range that is folded again
    does not ask for what it knows to be a duplicate; models whose bundle of it is not published (of `partitions`
    bundles) are read for the first time. A prediction is remembered with its segments that are asked for."""
    asked: list[Half] = []
    again = batch.again
    base = origin_of(batch.partition, 0)
    mode = JoinMode.FRESH
    remembering = bool(asked_of)
    for offset, event in zip(gathered.offsets, gathered.events, strict=True):
        if again is not None:
            if offset in again.duplicates:
                continue
            mode = JoinMode.FRESH
            if offset in again.emitted:
                mode = JoinMode.EMITTED
            elif blocks_partition(event.model, partitions) in again.held:
                mode = JoinMode.SILENT
        if isinstance(event, Prediction):
            segments = asked_of.kept(event) if remembering else None
            asked.append(prediction_half(event, base | offset, mode, segments))
        elif is_whole(event):
            asked.extend(whole_halves(event, base | offset, mode))
        else:
            asked.append(outcome_half(event, base | offset, mode))
    return asked


def sort_out(
    batch: Batch, gathered: Gathered, meetings: Iterable[Meeting] | None, asked_of: Asked = NOTHING
) -> Sorted:
    """Events and the answers to `halves`, in the same order, to what is counted.

    None where the join is switched off: then only outcomes that repeat their prediction make pairs, and nothing is
    known to be a duplicate but what a published range says."""
    out = Sorted()
    predictions, again = out.predictions, batch.again
    duplicates = _NONE if again is None else again.duplicates
    emitted = _NONE if again is None else again.emitted
    answers = None if meetings is None else iter(meetings)
    duplicate, paired, remembering = Met.DUPLICATE, Met.PAIRED, bool(asked_of)
    for offset, event in zip(gathered.offsets, gathered.events, strict=True):
        whole = type(event) is not Prediction and is_whole(event)
        if offset in duplicates:
            answer = _DUPLICATE
        elif answers is None:
            answer = _PAIRED if whole else _NEW
        else:
            answer = next(answers)
            if whole:
                answer = next(answers)
        met = answer.met
        if met is duplicate:
            out.duplicates.append((offset, event))
            continue
        if isinstance(event, Prediction):
            predictions.append(event)
        elif met is not paired:
            out.waiting.append(event)
        if met is paired and offset not in emitted:
            segments = asked_of.kept(event) if remembering else None
            out.pairs.append(_pair(event, origin_of(batch.partition, offset), whole, answer.other, segments))
    return out


def by_model(events: Iterable[_Event]) -> dict[ModelKey, list[_Event]]:
    """Each model version's, in their order."""
    groups: defaultdict[ModelKey, list[_Event]] = defaultdict(list)
    for event in events:
        groups[event.model, event.version].append(event)
    return groups


def _pair(event: Event, origin: int, whole: bool, other: bytes, segments: Segments | None) -> Pair:
    if isinstance(event, Prediction):
        return pair_of_prediction(event, origin, other, segments)
    return pair_of_whole(event, origin, segments) if whole else pair_of_outcome(event, origin, other)
