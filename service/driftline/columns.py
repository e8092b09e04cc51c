"""Our own names of the columns that a file of predictions and outcomes may have."""

from __future__ import annotations

import msgspec


class EventColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The column of each field of an event that is no feature and does not name a model."""

    time: str = "time"
    id: str = "id"
    prediction: str = "prediction"
    score: str = "score"
    outcome: str = "outcome"
    outcome_time: str = "outcome_time"
    latency_ms: str = "latency_ms"


EVENT_FIELDS = EventColumns.__struct_fields__
