"""What serving systems tell us: predictions and outcomes, as they stand behind the door.

Behind `decode`, every string here is bounded and valid UTF-8, every number finite, every time an integer of
milliseconds since the epoch. Feature values are decoded in a second step (`features.py`): `Prediction.features`
is the object's JSON text, syntactically valid and within the size limits.
"""

from __future__ import annotations

from typing import Final

import msgspec

Label = str | bool | int | float
"""A prediction or an outcome: a class (string, boolean, integer) or a number."""

MAX_ID: Final = 256
MAX_NAME: Final = 256


class Prediction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One prediction a model made. `features` is JSON text of an object (b"{}" where there are none)."""

    id: str
    model: str
    version: str
    time: int
    features: bytes = b"{}"
    prediction: Label | None = None
    score: float | None = None
    scores: dict[str, float] | None = None
    segments: dict[str, str] | None = None
    latency_ms: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What turned out to be true of the prediction `id`. With `prediction` repeated it needs no join
    (then `version` is needed, and `score` and `segments` may be given)."""

    id: str
    model: str
    time: int
    outcome: Label
    version: str | None = None
    prediction: Label | None = None
    score: float | None = None
    segments: dict[str, str] | None = None


Event = Prediction | Outcome
