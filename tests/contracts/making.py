"""Records for the contract tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from driftline.contracts.decode import Decoder
from driftline.contracts.events import Event, Outcome, Prediction
from driftline.errors import Poison

T = 1_711_972_800_250
"""2024-04-01T12:00:00.250Z"""

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Read:
    """A record as a log reads it."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = "driftline.events"
    partition: int = 3
    offset: int = 118
    timestamp: int = T


def fields(**changes: Any) -> dict[str, Any]:
    """A native prediction, fields changed; None takes a field away."""
    record = {
        "type": "prediction",
        "id": "p-1",
        "model": "fraud",
        "version": "7",
        "time": T,
        "features": {"amount": 129.5, "country": "DE"},
        "prediction": True,
        "score": 0.93,
    }
    return {name: value for name, value in (record | changes).items() if value is not None}


def outcome_fields(**changes: Any) -> dict[str, Any]:
    """A native outcome, fields changed; None takes a field away."""
    record = {"type": "outcome", "id": "p-1", "model": "fraud", "time": T, "outcome": False}
    return {name: value for name, value in (record | changes).items() if value is not None}


def text(**changes: Any) -> bytes:
    """JSON text of a native prediction, as Python's json writes it: NaN and Infinity included."""
    return json.dumps(fields(**changes)).encode()


def with_features(features: bytes) -> bytes:
    """A native prediction whose features are this very text."""
    return text(features="@").replace(b'"@"', features)


def prediction(value: bytes, headers: Headers = (), decoder: Decoder | None = None) -> Prediction:
    event = (decoder or Decoder()).decode(value, headers)
    assert isinstance(event, Prediction)
    return event


def outcome(value: bytes, headers: Headers = (), decoder: Decoder | None = None) -> Outcome:
    event = (decoder or Decoder()).decode(value, headers)
    assert isinstance(event, Outcome)
    return event


def reason(value: bytes | None, headers: Headers = (), decoder: Decoder | None = None) -> str:
    """Why a record is refused; fails if it is taken, or if anything but Poison is raised."""
    with pytest.raises(Poison) as caught:
        (decoder or Decoder()).decode(value, headers)
    return caught.value.reason


def event_or_reason(value: bytes | None, headers: Headers = (), decoder: Decoder | None = None) -> Event | str:
    try:
        return (decoder or Decoder()).decode(value, headers)
    except Poison as poison:
        return poison.reason
