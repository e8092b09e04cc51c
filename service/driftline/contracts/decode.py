"""The door: bytes become one typed, bounded, finite event, or Poison. Step one of two; features are step two.

About 1.5 us for a native prediction of 600 bytes with 20 features, whose values are not looked at here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from driftline.contracts.accept import SMALLEST_FEATURE, accept_outcome, accept_prediction
from driftline.contracts.diagnose import KINDS, event_of
from driftline.contracts.envelope import Envelope, open_envelope, open_structured
from driftline.contracts.events import MAX_ID, Event
from driftline.contracts.limits import Limits
from driftline.contracts.loose import read_object
from driftline.contracts.mapping import FieldMapping, map_record
from driftline.contracts.reasons import Reason, poison
from driftline.contracts.times import moment_of_text
from driftline.contracts.wire import NativeRecord, OutcomeData, PredictionData, PredictionRecord

_REFUSED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError)
"""What the fast decoder raises for bad input. None of these is final: `diagnose` has the last word."""

_prediction_data: Final = msgspec.json.Decoder(PredictionData)
_outcome_data: Final = msgspec.json.Decoder(OutcomeData)


class Decoder:
    """Native JSON, CloudEvents in both modes and, by `mapping`, foreign JSON. Stateless after construction."""

    def __init__(self, limits: Limits | None = None, mapping: FieldMapping | None = None) -> None:
        self._limits = limits or Limits()
        self._max_bytes = self._limits.max_bytes
        self._max_features = self._limits.max_features
        self._few_features = self._max_features * SMALLEST_FEATURE
        self._mapping = mapping
        self._native = msgspec.json.Decoder(NativeRecord).decode

    def decode(self, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> Event:
        """The event of a record. Raises Poison, and nothing else, for every record that is none.

        The size is checked before anything is read, so a record over the limit costs nothing."""
        if not value:
            raise poison(Reason.EMPTY, "the record has no value")
        if len(value) > self._max_bytes:
            raise poison(Reason.TOO_LARGE, f"{len(value)} bytes; at most {self._max_bytes} are read")
        if headers:
            envelope = open_envelope(value, headers)
            if envelope is not None:
                return self._enveloped(envelope)
        try:
            wire = self._native(value)
            if not value.isascii():
                str(value, "utf-8")
        except _REFUSED:
            return self._slowly(value)
        if type(wire) is PredictionRecord:
            return accept_prediction(wire, wire.id, wire.time, self._max_features, self._few_features)
        return accept_outcome(wire, wire.id, wire.time)

    def _slowly(self, value: bytes) -> Event:
        record = read_object(value)
        kind = record.get("type")
        if kind in KINDS and type(kind) is str:
            return event_of(record, kind, self._limits)
        if self._mapping is not None:
            kind, record = map_record(self._mapping, record)
            return event_of(record, kind, self._limits)
        if "specversion" in record:
            return self._enveloped(open_structured(value))
        if kind is None:
            raise poison(Reason.TYPE, "type: missing")
        raise poison(Reason.TYPE, "type: prediction or outcome is wanted")

    def _enveloped(self, envelope: Envelope) -> Event:
        if envelope.what not in KINDS:
            raise poison(Reason.CLOUDEVENTS_TYPE, "type: not io.driftline.prediction.v1 or .outcome.v1")
        data = envelope.data
        if isinstance(data, dict):
            return self._data_slowly(envelope, data)
        if not data:
            raise poison(Reason.EMPTY, "the event has no data")
        if len(data) > self._max_bytes:
            raise poison(Reason.TOO_LARGE, f"{len(data)} bytes; at most {self._max_bytes} are read")
        decoder: msgspec.json.Decoder[PredictionData] | msgspec.json.Decoder[OutcomeData]
        try:
            decoder = _prediction_data if envelope.what == "prediction" else _outcome_data
            wire = decoder.decode(data)
            if not data.isascii():
                str(data, "utf-8")
        except _REFUSED:
            return self._data_slowly(envelope, read_object(data))
        id_ = _event_id(envelope) if wire.id is None else wire.id
        time = _event_time(envelope) if wire.time is None else wire.time
        if isinstance(wire, PredictionData):
            return accept_prediction(wire, id_, time, self._max_features, self._few_features)
        return accept_outcome(wire, id_, time)

    def _data_slowly(self, envelope: Envelope, data: dict[str, Any]) -> Event:
        if data.get("type") not in (None, envelope.what):
            raise poison(Reason.TYPE, "type: the envelope and its data disagree")
        stand_ins = {"id": envelope.id, "time": envelope.time}
        present = {name: value for name, value in data.items() if value is not None}
        return event_of({**stand_ins, **present}, envelope.what, self._limits)


def _event_id(envelope: Envelope) -> str:
    if len(envelope.id) > MAX_ID:
        raise poison(Reason.LENGTH, f"id: 1 to {MAX_ID} characters are wanted")
    return envelope.id


def _event_time(envelope: Envelope) -> datetime:
    if envelope.time is None:
        raise poison(Reason.SCHEMA, "time: missing")
    return moment_of_text(envelope.time)
