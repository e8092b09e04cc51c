"""The native JSON form as producers write it: what the JSON Schemas describe and one C call decodes.

The constraints in these types are the constraints of the schemas. What they cannot say (units of time, control
characters, the number of features) is in `accept.py` for records that pass here, in `diagnose.py` for the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw

from driftline.contracts.events import MAX_ID, MAX_NAME
from driftline.contracts.limits import MAX_LABEL, MAX_SCORES, MAX_SEGMENTS, MAX_TIME, SECONDS_TO

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | int
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Time = Annotated[int, Meta(ge=SECONDS_TO, le=MAX_TIME)] | float | Annotated[datetime, Meta(tz=True)]
"""Integers below SECONDS_TO are rare (times of 1970 to 1973, or seconds): they are left to the slow way."""
Text = Annotated[str, Meta(max_length=MAX_LABEL)]
WireLabel = Text | bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float
Version = str | int | float

NO_FEATURES: Final = Raw(b"{}")


class _PredictionBody(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    model: Name
    version: Name
    features: Raw = NO_FEATURES
    prediction: WireLabel | None = None
    score: float | None = None
    scores: Annotated[dict[Name, float], Meta(max_length=MAX_SCORES)] | None = None
    segments: Annotated[dict[Name, Text], Meta(max_length=MAX_SEGMENTS)] | None = None
    latency_ms: float | None = None
    v: Version | None = None


class _OutcomeBody(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    model: Name
    outcome: WireLabel
    version: Name | None = None
    prediction: WireLabel | None = None
    score: float | None = None
    segments: Annotated[dict[Name, Text], Meta(max_length=MAX_SEGMENTS)] | None = None
    v: Version | None = None


class PredictionRecord(_PredictionBody, frozen=True, kw_only=True, gc=False, tag_field="type", tag="prediction"):
    """A native prediction record."""

    id: Id
    time: Time


class OutcomeRecord(_OutcomeBody, frozen=True, kw_only=True, gc=False, tag_field="type", tag="outcome"):
    """A native outcome record."""

    id: Id
    time: Time


class PredictionData(_PredictionBody, frozen=True, kw_only=True, gc=False):
    """The data of a CloudEvent that says it is a prediction: the envelope can stand in for id, time and type."""

    type: Literal["prediction"] | None = None
    id: Id | None = None
    time: Time | None = None


class OutcomeData(_OutcomeBody, frozen=True, kw_only=True, gc=False):
    """The data of a CloudEvent that says it is an outcome."""

    type: Literal["outcome"] | None = None
    id: Id | None = None
    time: Time | None = None


NativeRecord = PredictionRecord | OutcomeRecord
PredictionWire = PredictionRecord | PredictionData
OutcomeWire = OutcomeRecord | OutcomeData
