"""From what serving code has at hand to native events: key and value of one record, or Poison.

What passes here passes ingest's door (`contracts/decode.py`). About 4 us an event of 20 features. Scalars of numpy,
and other things with `.item()`, become plain numbers and texts; NaN and the infinities become null: missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from driftline.contracts.accept import check_name
from driftline.contracts.events import MAX_ID, MAX_NAME, Label
from driftline.contracts.limits import MAX_LABEL, MAX_SCORES, MAX_SEGMENTS, Limits
from driftline.contracts.reasons import Reason, poison
from driftline.contracts.times import time_of_datetime, time_of_number

_LIMITS: Final = Limits()
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY
_MISSING: Final = frozenset({"NAType", "NaTType"})
"""How pandas says that there is nothing; known by name, because pandas is not imported for that."""
_INT64: Final = range(-(2**63), 2**63)

Moment = int | float | datetime


def prediction_record(
    *,
    id: str | int,
    model: str,
    version: str | int,
    time: Moment,
    features: Mapping[str, object],
    prediction: Label | None,
    score: float | None,
    scores: Mapping[str, float] | None,
    segments: Mapping[str, str] | None,
    latency_ms: float | None,
) -> tuple[bytes, bytes]:
    """Key and value. Raises Poison, or whatever an object of a strange type raises when it is looked at."""
    event: dict[str, Any] = {
        "type": "prediction",
        "id": _name("id", id, MAX_ID),
        "model": _checked("model", model),
        "version": _checked("version", version),
        "time": _time(time),
        "features": features if type(features) is dict else dict(features),
    }
    if len(event["features"]) > _LIMITS.max_features:
        raise poison(Reason.TOO_MANY, f"features: more than {_LIMITS.max_features}")
    if prediction is not None:
        event["prediction"] = _label("prediction", prediction)
    if score is not None:
        event["score"] = _number("score", score)
    if scores is not None:
        event["scores"] = _scores(scores)
    if segments is not None:
        event["segments"] = _segments(segments)
    if latency_ms is not None:
        event["latency_ms"] = _number("latency_ms", latency_ms)
    return _encoded(event)


def outcome_record(
    *,
    id: str | int,
    model: str,
    time: Moment,
    outcome: Label,
    version: str | int | None,
    prediction: Label | None,
    score: float | None,
    segments: Mapping[str, str] | None,
) -> tuple[bytes, bytes]:
    """Key and value, as `prediction_record`."""
    event: dict[str, Any] = {
        "type": "outcome",
        "id": _name("id", id, MAX_ID),
        "model": _checked("model", model),
        "time": _time(time),
        "outcome": _label("outcome", outcome),
    }
    if event["outcome"] is None:
        raise poison(Reason.SCHEMA, "outcome: missing, or not a finite number")
    if version is not None:
        event["version"] = _checked("version", version)
    if prediction is not None:
        event["prediction"] = _label("prediction", prediction)
        if version is None:
            raise poison(Reason.SCHEMA, "version: an outcome that repeats its prediction names the version too")
    if score is not None:
        event["score"] = _number("score", score)
    if segments is not None:
        event["segments"] = _segments(segments)
    return _encoded(event)


def _encoded(event: dict[str, Any]) -> tuple[bytes, bytes]:
    try:
        value = orjson.dumps(event, _plain, _OPTIONS)
    except orjson.JSONEncodeError:
        value = _slowly(event)
    if len(value) > _LIMITS.max_bytes:
        raise poison(Reason.TOO_LARGE, f"{len(value)} bytes; at most {_LIMITS.max_bytes} are read")
    return event["id"].encode(), value


def _slowly(event: dict[str, Any]) -> bytes:
    """The features once more: names that are no plain str, integers beyond 64 bits."""
    if "features" in event:
        event["features"] = {str(name): _small(value) for name, value in event["features"].items()}
    try:
        return orjson.dumps(event, _plain, _OPTIONS)
    except orjson.JSONEncodeError as error:
        reason = Reason.ENCODING if "UTF-8" in str(error) else Reason.SCHEMA
        raise poison(reason, str(error)) from None


def _small(value: object) -> object:
    if isinstance(value, int) and value not in _INT64:
        try:
            return float(value)
        except OverflowError:
            return None
    return value


def _plain(value: Any) -> object:
    """What `.item()` says of a scalar that orjson does not know: an array of one element, a tensor of one; a vector as
    a list."""
    if type(value).__name__ in _MISSING:
        return None
    if getattr(value, "ndim", 0) == 1 and len(value) > 1:
        return list(map(float, value.tolist()))
    item = value.item() if hasattr(value, "item") else float(value)
    if not isinstance(item, str | bool | int | float):
        raise TypeError
    return item


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _name(field: str, value: object, most: int) -> str:
    """Text of 1 to `most` characters; integers are taken as their decimal text."""
    if type(value) is not str:
        value = _scalar(value)
        if isinstance(value, str | int) and not isinstance(value, bool):
            value = str(value)
        else:
            raise poison(Reason.SCHEMA, f"{field}: a string is wanted")
    if not 0 < len(value) <= most:
        raise poison(Reason.LENGTH, f"{field}: 1 to {most} characters are wanted")
    return value


def _checked(field: str, value: object) -> str:
    name = _name(field, value, MAX_NAME)
    if not name.isprintable():
        check_name(field, name)
    return name


def _time(time: Moment) -> int:
    if type(time) is int:
        return time_of_number(time)
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise poison(Reason.TIME_ZONE, "time: a datetime with a zone is wanted")
        return time_of_datetime(time)
    number = _number("time", time)
    if number is None:
        raise poison(Reason.NUMBER, "time: not a finite number")
    return time_of_number(number)


def _number(field: str, value: Any) -> float | None:
    """A finite number, or None for NaN and the infinities."""
    if type(value) is not float:
        value = _scalar(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise poison(Reason.SCHEMA, f"{field}: a number is wanted")
        try:
            value = float(value)
        except OverflowError:
            return None
    return value if math.isfinite(value) else None


def _label(field: str, value: Any) -> Label | None:
    """A class or a finite number, or None for NaN and the infinities."""
    value = _scalar(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > MAX_LABEL:
            raise poison(Reason.LENGTH, f"{field}: at most {MAX_LABEL} characters are wanted")
        return str(value)
    if isinstance(value, int):
        if value not in _INT64:
            raise poison(Reason.NUMBER, f"{field}: an integer of 64 bits is wanted")
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise poison(Reason.SCHEMA, f"{field}: a string, a boolean or a number is wanted")


def _scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Without those that are not finite."""
    if len(scores) > MAX_SCORES:
        raise poison(Reason.TOO_MANY, f"scores: more than {MAX_SCORES}")
    found = ((_name("scores: a name", name, MAX_NAME), _number("scores: a value", n)) for name, n in scores.items())
    return {name: number for name, number in found if number is not None}


def _segments(segments: Mapping[str, str]) -> dict[str, str]:
    if len(segments) > MAX_SEGMENTS:
        raise poison(Reason.TOO_MANY, f"segments: more than {MAX_SEGMENTS}")
    for value in segments.values():
        if not isinstance(value, str) or len(value) > MAX_LABEL:
            raise poison(Reason.SCHEMA, f"segments: a value: a string of at most {MAX_LABEL} characters is wanted")
    return {_name("segments: a name", name, MAX_NAME): str(value) for name, value in segments.items()}
