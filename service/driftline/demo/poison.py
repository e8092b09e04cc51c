"""Records that no reader should take, each with the reason it has to be refused for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

Event = dict[str, Any]
_YEAR_2100: Final = 4_102_444_800_000


class Kind(NamedTuple):
    """One way of spoiling a prediction. `reason` is the token its dead letter has to carry."""

    name: str
    reason: str
    make: Callable[[Event], bytes | None]


def _without(event: Event, name: str) -> bytes:
    return orjson.dumps({key: value for key, value in event.items() if key != name})


def _cut(event: Event) -> bytes:
    text = orjson.dumps(event)
    return text[: len(text) // 2]


def _nan_score(event: Event) -> bytes:
    return orjson.dumps(event | {"score": "NaN"}).replace(b'"score":"NaN"', b'"score":NaN')


KINDS: Final = (
    Kind("cut in half", "json", _cut),
    Kind("not a number for a score", "number", _nan_score),
    Kind("no id", "schema", lambda event: _without(event, "id")),
    Kind("from the year 2100", "future", lambda event: orjson.dumps(event | {"time": _YEAR_2100})),
    Kind("of a later version", "schema_version", lambda event: orjson.dumps(event | {"v": 2})),
    Kind("no text", "encoding", lambda event: b"\xff\xfe" + orjson.dumps(event)),
    Kind("time in seconds", "time_unit", lambda event: orjson.dumps(event | {"time": event["time"] // 1000})),
    Kind("time without a zone", "time_zone", lambda event: orjson.dumps(event | {"time": "2013-04-01T12:00:00"})),
    Kind("a list", "not_an_object", lambda event: orjson.dumps([event])),
    Kind("nothing", "empty", lambda event: None),
)


def spoil(kind: int, event: Event) -> bytes | None:
    """The value to publish instead of `event`: the poison KINDS[kind]."""
    return KINDS[kind].make(event)
