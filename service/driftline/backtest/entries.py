"""Rows become events: our own JSON, as a serving system would have published it.

A row is a prediction at its time and, where it has an outcome, an outcome at the outcome's time, else at the
prediction's. What is wrong in a row is left as it is: the door refuses it, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from driftline.contracts.limits import MAX_TIME

PREDICTION: Final = 0
OUTCOME: Final = 1
LINE_BITS: Final = 40
"""A sequence number holds file, line and kind, so that entries of one time have one order."""


class Entry(NamedTuple):
    """One record to be. `time` (ms) is what it is ordered by; `sequence` says where it comes from."""

    time: int
    sequence: int
    value: bytes


def sequence_of(file: int, line: int, kind: int) -> int:
    return file << (LINE_BITS + 1) | line << 1 | kind


def origin_of(sequence: int) -> tuple[int, int, int]:
    """(file, line, kind)."""
    line = sequence >> 1 & ((1 << LINE_BITS) - 1)
    return sequence >> (LINE_BITS + 1), line, sequence & 1


@dataclass(slots=True)
class RowBatch:
    """Some rows of a file, column by column. `times` and `outcome_times` are ms, or the cell itself where it is no
    time; None stands for an absent column, and for an absent cell. `features` are iterated once: made as they are
    needed, they cost the garbage collector nothing."""

    lines: Sequence[int]
    times: Sequence[Any]
    ids: Sequence[Any]
    models: Sequence[Any]
    versions: Sequence[Any]
    features: Iterable[dict[str, Any]]
    predictions: Sequence[Any] | None = None
    scores: Sequence[Any] | None = None
    outcomes: Sequence[Any] | None = None
    outcome_times: Sequence[Any] | None = None
    latencies: Sequence[Any] | None = None
    segments: Sequence[dict[str, Any]] | None = None


def entries_of(batch: RowBatch, file: int, former: int) -> list[Entry]:
    """Entries in the order of the rows. A row whose time is none takes the time of the row before it, first
    `former`: there the door refuses it."""
    made: list[Entry] = []
    n = len(batch.lines)
    nothing: Sequence[Any] = [None] * n
    optional = [
        (name, column)
        for name, column in (
            ("prediction", batch.predictions),
            ("score", batch.scores),
            ("latency_ms", batch.latencies),
            ("segments", batch.segments),
        )
        if column is not None
    ]
    names = [name for name, _ in optional]
    rest = zip(*(column for _, column in optional), strict=True) if optional else [()] * n
    at = former
    rows = zip(
        batch.lines,
        batch.times,
        batch.ids,
        batch.models,
        batch.versions,
        batch.features,
        batch.outcomes or nothing,
        batch.outcome_times or nothing,
        rest,
        strict=True,
    )
    for line, time, id_, model, version, features, outcome, known_at, others in rows:
        if type(time) is int and 0 <= time <= MAX_TIME:
            at = time
        base = file << (LINE_BITS + 1) | line << 1
        event = {
            "type": "prediction",
            "id": id_,
            "model": model,
            "version": version,
            "time": time,
            "features": features,
        }
        event.update(zip(names, others, strict=True))
        made.append(Entry(at, base, _encode(event)))
        if outcome is None or outcome != outcome:
            continue
        if known_at is None:
            known_at = time
        then = known_at if type(known_at) is int and 0 <= known_at <= MAX_TIME else at
        truth = {"type": "outcome", "id": id_, "model": model, "time": known_at, "outcome": outcome}
        made.append(Entry(then, base | OUTCOME, _encode(truth)))
    return made


def _encode(event: dict[str, Any]) -> bytes:
    """JSON; NaN becomes null. What JSON cannot say becomes text, and is then of the wrong type."""
    try:
        return orjson.dumps(event)
    except TypeError:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS)
