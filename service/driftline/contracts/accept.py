"""From the wire to the event: the checks that types alone cannot make. Hot path, about 0.4 us an event.

Poison raised here is final: it says what `diagnose.py` would say.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from driftline.contracts.events import MAX_ID, Outcome, Prediction
from driftline.contracts.reasons import Reason, poison
from driftline.contracts.times import time_of_datetime, time_of_number
from driftline.contracts.wire import OutcomeWire, PredictionWire

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SMALLEST_FEATURE: Final = len('"":0,')
"""Bytes: an object of up to n times this many cannot hold more than n features."""
_OPEN: Final = ord("{")
_names: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check_name(field: str, name: str) -> None:
    """Poison `characters` if a model or version name holds a control character."""
    if _CONTROL.search(name) is not None:
        raise poison(Reason.CHARACTERS, f"{field} contains control characters")


def check_record_version(v: str | int | float) -> None:
    """Poison `schema_version` unless the record's `v` is of major version 1."""
    known = v.partition(".")[0] == "1" if isinstance(v, str) else 1 <= v < 2
    if not known:
        raise poison(Reason.SCHEMA_VERSION, "v: only version 1 of the record is known here")


def _time(time: int | float | datetime) -> int:
    return time_of_datetime(time) if isinstance(time, datetime) else time_of_number(time)


def _id(number: int) -> str:
    text = str(number)
    if len(text) > MAX_ID:
        raise poison(Reason.LENGTH, f"id has more than {MAX_ID} digits")
    return text


def _features(text: bytes, max_features: int) -> bytes:
    """Settle what is no small object: absent by null, too many, or no object at all."""
    if text == b"null":
        return b"{}"
    if text[0] != _OPEN:
        raise poison(Reason.SCHEMA, "features: an object is wanted")
    if len(_names.decode(text)) > max_features:
        raise poison(Reason.TOO_MANY, f"features: more than {max_features}")
    return text


def accept_prediction(
    wire: PredictionWire,
    id_: str | int,
    time: int | float | datetime,
    max_features: int,
    few_features: int,
) -> Prediction:
    """The prediction of a decoded record whose bytes are valid UTF-8. Features are counted only where their
    text is longer than `few_features` bytes."""
    model = wire.model
    version = wire.version
    if wire.v is not None:
        check_record_version(wire.v)
    if not (model.isprintable() and version.isprintable()):
        check_name("model", model)
        check_name("version", version)
    if type(time) is not int:
        time = _time(time)
    features = bytes(wire.features)
    if features[0] != _OPEN or len(features) > few_features:
        features = _features(features, max_features)
    return Prediction(
        id=id_ if type(id_) is str else _id(id_),  # type: ignore[arg-type]
        model=model,
        version=version,
        time=time,
        features=features,
        prediction=wire.prediction,
        score=wire.score,
        scores=wire.scores,
        segments=wire.segments,
        latency_ms=wire.latency_ms,
    )


def accept_outcome(wire: OutcomeWire, id_: str | int, time: int | float | datetime) -> Outcome:
    """The outcome of a decoded record whose bytes are valid UTF-8."""
    if wire.v is not None:
        check_record_version(wire.v)
    if wire.version is not None:
        check_name("version", wire.version)
    elif wire.prediction is not None:
        raise poison(Reason.SCHEMA, "version: an outcome that repeats its prediction names the version too")
    check_name("model", wire.model)
    return Outcome(
        id=id_ if isinstance(id_, str) else _id(id_),
        model=wire.model,
        time=_time(time),
        outcome=wire.outcome,
        version=wire.version,
        prediction=wire.prediction,
        score=wire.score,
        segments=wire.segments,
    )
