"""Joined pairs: what each half remembers of itself, and the error, loss and label delay of the two together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from driftline.contracts.events import Label, Outcome, Prediction
from driftline.ingest.segments import Segments, crossed_column
from driftline.runtime.store import Half, JoinMode
from driftline.stats.graded import COLUMN as GRADED
from driftline.stats.graded import graded
from driftline.stats.grid import MISSING
from driftline.stats.rows import Column, Rows
from driftline.stats.segments import FN, FP, ON, RIGHT, TN, TP, WRONG
from driftline.stats.segments import PREFIX as SEGMENT_PREFIX

MAX_KEY: Final = 64
ORIGIN_SHIFT: Final = 48


class _PredictionMemory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the memory of the join keeps of a prediction: small, because there are millions. `segments` only where a
    limit asks for them: what was written before it did is read as unknown."""

    version: str
    time: int
    prediction: Label | None
    score: float | None
    segments: Segments | None = None


_OutcomePayload = tuple[int, Label]
_encode = msgspec.msgpack.Encoder().encode
_decode_prediction = msgspec.msgpack.Decoder(_PredictionMemory).decode
_decode_outcome = msgspec.msgpack.Decoder(_OutcomePayload).decode


class Pair(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A prediction and its outcome. `origin` is that of the half which completed it, `segments` are those of the
    prediction that limits ask for."""

    model: str
    version: str
    id: str
    origin: int
    predicted_at: int
    known_at: int
    prediction: Label | None
    score: float | None
    outcome: Label
    segments: Segments | None = None


def origin_of(partition: int, offset: int) -> int:
    """(input partition, offset) in one integer."""
    return partition << ORIGIN_SHIFT | offset


def offset_of(origin: int) -> int:
    return origin & ((1 << ORIGIN_SHIFT) - 1)


def join_key(model: str, event_id: str, namespace: str = "") -> bytes:
    """Identifies an event of a model in at most 64 bytes; a longer name is hashed (256 bits of BLAKE2b)."""
    key = f"{namespace}{model}\x1f{event_id}".encode()
    return key if len(key) <= MAX_KEY else hashlib.blake2b(key, digest_size=32).digest()


def prediction_half(event: Prediction, origin: int, mode: JoinMode, segments: Segments | None = None) -> Half:
    kept = event.version, event.time, event.prediction, event.score
    payload = _encode(kept if segments is None else (*kept, segments))
    return Half("P", join_key(event.model, event.id), origin, payload, mode)


def outcome_half(event: Outcome, origin: int, mode: JoinMode) -> Half:
    return Half("O", join_key(event.model, event.id), origin, _encode((event.time, event.outcome)), mode)


def whole_halves(event: Outcome, origin: int, mode: JoinMode) -> tuple[Half, Half]:
    """Both halves of an outcome that repeats its prediction: they meet each other at once, in a namespace of
    their own, so that only a second copy of the same outcome is found there."""
    key = join_key(event.model, event.id, "\x1e")
    first = JoinMode.FRESH if mode is JoinMode.FRESH else JoinMode.SILENT
    return Half("P", key, origin, b"", first), Half("O", key, origin, b"", mode)


def pair_of_prediction(event: Prediction, origin: int, other: bytes, segments: Segments | None = None) -> Pair:
    known_at, outcome = _decode_outcome(other)
    return Pair(
        event.model,
        event.version,
        event.id,
        origin,
        event.time,
        known_at,
        event.prediction,
        event.score,
        outcome,
        segments,
    )


def pair_of_outcome(event: Outcome, origin: int, other: bytes) -> Pair:
    made = _decode_prediction(other)
    return Pair(
        event.model,
        made.version,
        event.id,
        origin,
        made.time,
        event.time,
        made.prediction,
        made.score,
        event.outcome,
        made.segments,
    )


def pair_of_whole(event: Outcome, origin: int, segments: Segments | None = None) -> Pair:
    return Pair(
        event.model,
        event.version or "",
        event.id,
        origin,
        event.time,
        event.time,
        event.prediction,
        event.score,
        event.outcome,
        segments,
    )


def error_of(prediction: Label | None, outcome: Label) -> tuple[float, float]:
    """(0/1 error, absolute error), NaN where it does not apply.

    Strings, booleans and integers are classes; a number with a fraction on either side makes it a regression."""
    if prediction is None:
        return np.nan, np.nan
    if isinstance(prediction, float) and isinstance(outcome, (int, float)) and not isinstance(outcome, bool):
        return np.nan, abs(prediction - outcome)
    if isinstance(outcome, float) and isinstance(prediction, int) and not isinstance(prediction, bool):
        return np.nan, abs(prediction - outcome)
    return float(not (prediction == outcome or str(prediction) == str(outcome))), np.nan


def brier_loss(score: float | None, outcome: Label) -> float:
    """(score - outcome)^2 for a probability and a binary outcome; NaN otherwise."""
    if score is None or not 0.0 <= score <= 1.0 or isinstance(outcome, str) or outcome not in (0, 1):
        return np.nan
    return (score - float(outcome)) ** 2


def is_positive(label: Label | None, positive: str | None) -> bool | None:
    """Whether a label is the positive class: the one named, or else 1 and true against 0 and false; None for a
    label that is neither."""
    if label is None:
        return None
    if positive is not None:
        text = label if isinstance(label, str) else str(label).lower() if isinstance(label, bool) else f"{label:g}"
        return text == positive
    if isinstance(label, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(label.lower())
    return bool(label) if label in (0, 1) else None


def confusion(
    prediction: Label | None, outcome: Label, score: float | None, positive: str | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """(false negative, false positive, false discovery, graded score), the former 0 or 1 where they apply: of positive
    outcomes, of negative ones, of positive predictions."""
    said, is_so = is_positive(prediction, positive), is_positive(outcome, positive)
    if said is None or is_so is None:
        return None, None, None, None
    return (
        float(not said) if is_so else None,
        None if is_so else float(said),
        float(not is_so) if said else None,
        graded(score, said, is_so),
    )


def happened(error: float, wrong: Sequence[float | None]) -> str | None:
    """What a pair is to a ratio between segments, by its 0/1 error and its `confusion`; None where classes are not
    compared."""
    false_negative, false_positive = wrong[0], wrong[1]
    if false_negative is not None:
        return FN if false_negative else TP
    if false_positive is not None:
        return FP if false_positive else ON if error == 1.0 else TN
    return None if np.isnan(error) else WRONG if error else RIGHT


def hash_ids(ids: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """64 bits of BLAKE2b per id: breaks ties in time the same way wherever and whenever an event arrives."""
    digests = b"".join(hashlib.blake2b(i.encode("utf-8", "surrogatepass"), digest_size=8).digest() for i in ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def number_column(values: Sequence[float | None]) -> Column | None:
    """None where no row has a value: an absent column counts as missing all the same."""
    if values.count(None) == len(values):
        return None
    numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    absent = np.isnan(numbers)
    if absent.all():
        return None
    return Column(numbers, None, np.where(absent, MISSING, 0).astype(np.uint8) if absent.any() else None)


def pair_rows(
    pairs: Sequence[Pair], with_ids: bool, positive: str | None = None, segments: Sequence[str] = ()
) -> Rows:
    """The rows of the stream `pairs`, at the outcome's time: `error`, `abs_error`, `loss`, `label_delay_s`, and
    for two classes, of which `positive` is one, `false_negative`, `false_positive`, `false_discovery` and, where the
    score is a probability, `graded` (`stats.graded`); of the `segments` that are asked for, who was judged rightly."""
    errors = [error_of(p.prediction, p.outcome) for p in pairs]
    wrong = [confusion(p.prediction, p.outcome, p.score, positive) for p in pairs]
    columns = {
        "error": number_column([e for e, _ in errors]),
        "abs_error": number_column([a for _, a in errors]),
        "loss": number_column([brier_loss(p.score, p.outcome) for p in pairs]),
        "label_delay_s": number_column([(p.known_at - p.predicted_at) / 1000 for p in pairs]),
        "false_negative": number_column([w[0] for w in wrong]),
        "false_positive": number_column([w[1] for w in wrong]),
        "false_discovery": number_column([w[2] for w in wrong]),
        GRADED: number_column([w[3] for w in wrong]),
    }
    if segments:
        what = [happened(error, of_two) for (error, _), of_two in zip(errors, wrong, strict=True)]
        for segment in segments:
            values = [p.segments.get(segment) if p.segments else None for p in pairs]
            columns[SEGMENT_PREFIX + segment] = crossed_column(values, what)
    n = len(pairs)
    return Rows(
        times=np.fromiter((p.known_at for p in pairs), np.int64, n),
        ids=hash_ids([p.id for p in pairs]) if with_ids else np.zeros(n, np.uint64),
        columns={name: column for name, column in columns.items() if column is not None},
    )
