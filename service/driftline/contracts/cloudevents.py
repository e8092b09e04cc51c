"""CloudEvents 1.0 in binary mode, writing side, and what readers of our own topics need.

The value is the record's JSON; the attributes are headers `ce_*`. `ce_id` is a function of the record, so a
re-delivery carries the same one; `ce_time` is event time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from driftline.contracts.envelope import MAJOR, TYPE_PREFIX, open_envelope
from driftline.contracts.limits import Limits
from driftline.contracts.loose import read_object
from driftline.contracts.reactions import Alert, Command, Match, RetrainingRequested
from driftline.contracts.reasons import Reason, poison
from driftline.contracts.records import DeadLetter, Lifecycle, Signal
from driftline.contracts.times import rfc3339

Headers = tuple[tuple[str, bytes], ...]
Announced = Signal | DeadLetter | Lifecycle | Alert | RetrainingRequested | Command

SOURCE: Final = "driftline"
WHATS: Final[dict[type[Any], str]] = {
    Signal: "signal",
    DeadLetter: "deadletter",
    Lifecycle: "lifecycle",
    Alert: "alert",
    RetrainingRequested: "retraining.requested",
    Command: "command",
}
"""The middle of io.driftline.<what>.v1, by record."""

MAX_REMEMBERED: Final = 1_024
"""Characters of an id or a name that react keeps: a monitor's, the longest, is that of a column and a kind."""
_MAX_BYTES: Final = Limits().max_bytes
_T = TypeVar("_T", Signal, DeadLetter, Lifecycle, Alert, RetrainingRequested, Command)
_encode: Final = msgspec.json.Encoder().encode


def type_of(what: str) -> str:
    return f"{TYPE_PREFIX}{what}.v{MAJOR}"


def encode(record: Announced, source: str = SOURCE) -> tuple[Headers, bytes]:
    """Headers and value of a record to be published."""
    attributes = (
        ("ce_specversion", "1.0"),
        ("ce_id", _id(record)),
        ("ce_source", source),
        ("ce_type", type_of(WHATS[type(record)])),
        ("ce_time", rfc3339(record.timestamp if isinstance(record, DeadLetter) else record.time)),
        ("content-type", "application/json"),
    )
    headers = tuple((name, text.encode("utf-8", "backslashreplace")) for name, text in attributes)
    return headers, _encode(record)


def _id(record: Announced) -> str:
    if isinstance(record, DeadLetter):
        return f"{record.origin.topic}/{record.origin.partition}/{record.origin.offset}"
    return record.id


def decode_signal(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Signal:
    """The signal of a record of the `signals` topic. Raises Poison."""
    return _decode(Signal, value, headers)


def decode_dead_letter(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> DeadLetter:
    """The dead letter of a record of the `deadletter` topic. Raises Poison."""
    return _decode(DeadLetter, value, headers)


def decode_lifecycle(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Lifecycle:
    """The lifecycle event of a record of the `lifecycle` topic. Raises Poison.

    Whoever trains and deploys writes it: plain JSON and both modes of CloudEvents are read."""
    event = _decode(Lifecycle, value, headers)
    _short(id=event.id, model=event.model, version=event.version, request=event.request)
    if not event.model:
        raise poison(Reason.LENGTH, "model: it is empty, which is what Driftline calls itself")
    return event


def decode_alert(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Alert:
    """The alert of a record of the `alerts` topic. Raises Poison."""
    return _decode(Alert, value, headers)


def decode_retraining(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> RetrainingRequested:
    """The request of a record of the `retraining` topic. Raises Poison."""
    return _decode(RetrainingRequested, value, headers)


def decode_command(value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Command:
    """The command of a record of the `commands` topic. Raises Poison."""
    command = _decode(Command, value, headers)
    match = command.match or Match()
    _short(id=command.id, model=command.model, version=command.version)
    _short(incident=command.incident, silence=command.silence)
    _short(model=match.model, version=match.version, team=match.team, monitor=match.monitor)
    return command


def _short(**names: str | None) -> None:
    """What react remembers by name is of bounded length."""
    for field, name in names.items():
        if name is not None and len(name) > MAX_REMEMBERED:
            raise poison(Reason.LENGTH, f"{field}: at most {MAX_REMEMBERED} characters are wanted")


def _decode(kind: type[_T], value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> _T:
    if not value:
        raise poison(Reason.EMPTY, "the record has no value")
    if len(value) > _MAX_BYTES:
        raise poison(Reason.TOO_LARGE, f"{len(value)} bytes; at most {_MAX_BYTES} are read")
    envelope = open_envelope(value, headers)
    data: bytes | dict[str, Any] = value
    if envelope is not None:
        if envelope.what != WHATS[kind]:
            raise poison(Reason.CLOUDEVENTS_TYPE, f"type: not {type_of(WHATS[kind])}")
        data = envelope.data
    try:
        if isinstance(data, bytes):
            str(data, "utf-8")
            return msgspec.json.decode(data, type=kind)
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise poison(Reason.SCHEMA, _where(error)) from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        if isinstance(data, bytes):
            read_object(data)
        raise poison(Reason.NUMBER, "a number is not finite") from None


def _where(error: msgspec.ValidationError) -> str:
    """The field an error is about: its text may hold values, which a detail never does."""
    text = str(error)
    path = text.partition(" - at `$.")[2].rstrip("`")
    missing = text.partition("missing required field `")[2].partition("`")[0]
    if missing:
        return f"{f'{path}.' if path else ''}{missing}: missing"
    return f"{path or 'the record'}: of the wrong type or out of range"
