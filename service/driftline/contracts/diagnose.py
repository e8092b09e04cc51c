"""The slow way from a record to an event: field by field, to say exactly what is wrong with it.

It takes every record that the fast way takes, with the same result, and those the fast way cannot take only
because a feature's number is non-finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from driftline.contracts.accept import check_name, check_record_version
from driftline.contracts.events import MAX_ID, MAX_NAME, Event, Label, Outcome, Prediction
from driftline.contracts.limits import MAX_LABEL, MAX_SCORES, MAX_SEGMENTS, Limits
from driftline.contracts.loose import NonFinite, features_text
from driftline.contracts.reasons import Reason, poison
from driftline.contracts.times import time_of_number, time_of_text

KINDS: Final = ("prediction", "outcome")


def event_of(record: Mapping[str, Any], kind: str, limits: Limits) -> Event:
    """The event of a native record read by `loose.read_object`, or Poison. `kind` is one of KINDS."""
    version = record.get("v")
    if version is not None:
        if isinstance(version, bool | NonFinite) or not isinstance(version, str | int | float):
            raise poison(Reason.SCHEMA_VERSION, "v: a version such as 1 or 1.2 is wanted")
        check_record_version(version)
    return _prediction(record, limits) if kind == "prediction" else _outcome(record)


def _prediction(record: Mapping[str, Any], limits: Limits) -> Prediction:
    features = record.get("features")
    if features is not None and not isinstance(features, dict):
        raise poison(Reason.SCHEMA, "features: an object is wanted")
    return Prediction(
        id=_id(record),
        model=_name(record, "model"),
        version=_name(record, "version"),
        time=_time(record),
        features=features_text(features or {}, limits),
        prediction=_label(record, "prediction"),
        score=_number(record.get("score"), "score"),
        scores=_scores(record),
        segments=_segments(record),
        latency_ms=_number(record.get("latency_ms"), "latency_ms"),
    )


def _outcome(record: Mapping[str, Any]) -> Outcome:
    outcome = _label(record, "outcome")
    if outcome is None:
        raise _missing("outcome")
    prediction = _label(record, "prediction")
    version = None if record.get("version") is None else _name(record, "version")
    if prediction is not None and version is None:
        raise poison(Reason.SCHEMA, "version: an outcome that repeats its prediction names the version too")
    return Outcome(
        id=_id(record),
        model=_name(record, "model"),
        time=_time(record),
        outcome=outcome,
        version=version,
        prediction=prediction,
        score=_number(record.get("score"), "score"),
        segments=_segments(record),
    )


def _missing(field: str) -> Exception:
    return poison(Reason.SCHEMA, f"{field}: missing")


def _text(value: Any, field: str, least: int, most: int) -> str:
    if not isinstance(value, str) or isinstance(value, NonFinite):
        raise poison(Reason.SCHEMA, f"{field}: a string is wanted")
    if not least <= len(value) <= most:
        raise poison(Reason.LENGTH, f"{field}: {least} to {most} characters are wanted")
    return value


def _id(record: Mapping[str, Any]) -> str:
    value = record.get("id")
    if value is None:
        raise _missing("id")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return _text(value, "id", 1, MAX_ID)


def _name(record: Mapping[str, Any], field: str) -> str:
    value = record.get(field)
    if value is None:
        raise _missing(field)
    name = _text(value, field, 1, MAX_NAME)
    check_name(field, name)
    return name


def _time(record: Mapping[str, Any]) -> int:
    value = record.get("time")
    if value is None:
        raise _missing("time")
    if isinstance(value, NonFinite):
        raise poison(Reason.NUMBER, "time: not a finite number")
    if isinstance(value, str):
        return time_of_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise poison(Reason.SCHEMA, "time: an RFC 3339 string or a number of milliseconds is wanted")
    return time_of_number(value)


def _number(value: Any, field: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, NonFinite):
        raise poison(Reason.NUMBER, f"{field}: not a finite number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise poison(Reason.SCHEMA, f"{field}: a number is wanted")
    try:
        return float(value)
    except OverflowError:
        raise poison(Reason.NUMBER, f"{field}: beyond the range of a number") from None


def _label(record: Mapping[str, Any], field: str) -> Label | None:
    value = record.get(field)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, NonFinite):
        raise poison(Reason.NUMBER, f"{field}: not a finite number")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise poison(Reason.NUMBER, f"{field}: an integer of 64 bits is wanted")
        return value
    if isinstance(value, str):
        return _text(value, field, 0, MAX_LABEL)
    raise poison(Reason.SCHEMA, f"{field}: a string, a boolean or a number is wanted")


def _entries(record: Mapping[str, Any], field: str, most: int) -> dict[str, Any] | None:
    value = record.get(field)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise poison(Reason.SCHEMA, f"{field}: an object is wanted")
    if len(value) > most:
        raise poison(Reason.TOO_MANY, f"{field}: more than {most}")
    for name in value:
        _text(name, f"{field}: a name", 1, MAX_NAME)
    return value


def _scores(record: Mapping[str, Any]) -> dict[str, float] | None:
    entries = _entries(record, "scores", MAX_SCORES)
    if entries is None:
        return None
    scores = {}
    for name, value in entries.items():
        number = _number(value, "scores: a value")
        if number is None:
            raise poison(Reason.SCHEMA, "scores: a value is null")
        scores[name] = number
    return scores


def _segments(record: Mapping[str, Any]) -> dict[str, str] | None:
    entries = _entries(record, "segments", MAX_SEGMENTS)
    if entries is None:
        return None
    return {name: _text(value, "segments: a value", 0, MAX_LABEL) for name, value in entries.items()}
