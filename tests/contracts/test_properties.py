"""What holds for every input: an event or Poison, and both ways of reading agree."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from contracts.making import T, event_or_reason, fields, outcome_fields
from driftline.contracts.decode import Decoder
from driftline.contracts.diagnose import event_of
from driftline.contracts.events import Event, Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.contracts.limits import Limits
from driftline.contracts.loose import read_object
from driftline.contracts.mapping import FieldMapping, KindAt
from driftline.contracts.reasons import Reason
from driftline.errors import Poison

TEXT = st.text(max_size=8) | st.sampled_from(["", "x" * 257, "\n", "2024-01-01T00:00:00Z", "1", "2", "prediction"])
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, T, T // 1000, 1e11, 2**63, 2**64, 10**30, float("nan"), float("inf"), True, None])
)
SCALARS = TEXT | NUMBERS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
FIELDS = (
    *("id", "model", "version", "time", "features", "prediction", "score", "scores", "segments"),
    *("latency_ms", "v", "type", "outcome", "note"),
)
RECORDS = st.builds(
    lambda kind, changes: (fields() if kind else outcome_fields()) | changes,
    st.booleans(),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "x"]),
        st.binary(max_size=6)
        | st.sampled_from(
            [
                b"1.0",
                b"p",
                b"io.driftline.prediction.v1",
                b"io.driftline.outcome.v2",
                b"application/cloudevents+json",
                b"application/json",
                b"2024-01-01T00:00:00Z",
            ]
        ),
    ),
    max_size=6,
)
MAPPING = FieldMapping(
    kind=KindAt(path="type", values={"1": "prediction", "prediction": "outcome", "2": "outcome"}),
    id="id",
    time="time",
    model="model",
    version="version",
    features="*",
    outcome="outcome",
    score="note.1",
    constants={"model": "m", "version": "1", "outcome": 0},
    time_unit="s",
)
REASONS = {reason.value for reason in Reason}


def _sound(answer: Event | str) -> None:
    if isinstance(answer, str):
        assert answer in REASONS
        return
    assert 1 <= len(answer.id) <= 256
    assert 0 <= answer.time <= 253_402_300_799_999
    assert type(answer.time) is int
    answer.id.encode()
    if isinstance(answer, Prediction):
        FeatureDecoder().columns([answer.features])


@given(st.binary(max_size=200), HEADERS)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_an_event_or_poison(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    _sound(event_or_reason(value, headers))
    _sound(event_or_reason(value, headers, Decoder(mapping=MAPPING)))


@given(VALUES | RECORDS, HEADERS)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_any_json_is_an_event_or_poison(value: Any, headers: list[tuple[str, bytes]]) -> None:
    text = json.dumps(value).encode()
    _sound(event_or_reason(text, headers))
    _sound(event_or_reason(text, headers, Decoder(mapping=MAPPING)))
    data = {"specversion": "1.0", "id": "e", "source": "s", "type": "io.driftline.prediction.v1", "data": value}
    _sound(event_or_reason(json.dumps(data).encode(), [("content-type", b"application/cloudevents+json")]))


@given(RECORDS, st.integers(0, 400), st.binary(max_size=3))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_damaged_record_is_an_event_or_poison(record: dict[str, Any], at: int, damage: bytes) -> None:
    text = json.dumps(record).encode()
    _sound(event_or_reason(text[:at] + damage + text[at + len(damage) :]))
    _sound(event_or_reason(text[:at]))


def _slowly(value: bytes) -> Event | str:
    try:
        record = read_object(value)
        kind = record.get("type")
        return event_of(record, str(kind), Limits()) if kind in ("prediction", "outcome") else "type"
    except Poison as poison:
        return poison.reason


def _comparable(answer: Event | str) -> Any:
    if isinstance(answer, Prediction):
        plain = {name: getattr(answer, name) for name in answer.__struct_fields__ if name != "features"}
        found = FeatureDecoder().columns([answer.features]).columns
        features = {
            name: (repr(c.numbers[0]), c.texts, None if c.status is None else c.status.tolist())
            for name, c in found.items()
        }
        return repr(plain), features
    return repr(answer)


@given(RECORDS)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_both_ways_of_reading_agree(record: dict[str, Any]) -> None:
    """The slow way is a second implementation of the fast one: any difference is a mistake in one of them. Only of
    several faults in one record each may name another first."""
    value = json.dumps(record).encode()
    fast, slow = event_or_reason(value), _slowly(value)
    if isinstance(fast, str) and isinstance(slow, str):
        return
    assert _comparable(fast) == _comparable(slow)


@given(st.lists(st.dictionaries(st.sampled_from("abcdefg\n"), VALUES, max_size=6), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_columns_are_whole_and_finite(rows: list[dict[str, Any]]) -> None:
    decoder = Decoder()
    texts = []
    for row in rows:
        event = event_or_reason(json.dumps(fields(features=row)).encode(), decoder=decoder)
        if isinstance(event, Prediction):
            texts.append(event.features)
    for names in ((), ("a", "b"), ("a", "zz")):
        found = FeatureDecoder(names).columns(texts)
        assert found.dropped == 0
        for column in found.columns.values():
            assert len(column.numbers) == len(texts)
            assert column.texts is None or len(column.texts) == len(texts)
            assert column.status is None or (len(column.status) == len(texts) and column.status.any())
