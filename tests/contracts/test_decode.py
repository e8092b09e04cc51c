"""Native records: what is taken, and what of a header is refused with which reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.making import T, fields, outcome, outcome_fields, prediction, reason, text, with_features
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Outcome, Prediction
from driftline.contracts.limits import Limits


def test_a_prediction_is_taken_whole() -> None:
    value = text(scores={"a": 1, "b": 0.5}, segments={"region": "emea"}, latency_ms=12)
    event = prediction(value)
    assert json.loads(event.features) == {"amount": 129.5, "country": "DE"}
    assert type(event.features) is bytes
    assert event == Prediction(
        id="p-1",
        model="fraud",
        version="7",
        time=T,
        features=event.features,
        prediction=True,
        score=0.93,
        scores={"a": 1.0, "b": 0.5},
        segments={"region": "emea"},
        latency_ms=12.0,
    )


def test_an_outcome_is_taken_whole() -> None:
    value = json.dumps(outcome_fields(version="7", prediction="yes", score=1, outcome="no")).encode()
    assert outcome(value) == Outcome(
        id="p-1", model="fraud", time=T, outcome="no", version="7", prediction="yes", score=1.0
    )


def test_what_is_optional_may_be_absent_or_null() -> None:
    bare = prediction(b'{"time":%d,"version":"7","model":"m","id":"x","type":"prediction"}' % T)
    assert bare == Prediction(id="x", model="m", version="7", time=T)
    nulls = text(prediction=None).replace(b'"score": 0.93', b'"score":null,"scores":null,"segments":null,"v":null')
    assert prediction(nulls).score is None
    assert prediction(with_features(b"null")).features == b"{}"


@pytest.mark.parametrize("label", ["", "é" * 256, True, False, 0, -(2**63), 2**63 - 1, -0.0, 1e308, 5e-324])
def test_labels_keep_their_type(label: Any) -> None:
    event = prediction(text(prediction=label))
    assert event.prediction == label
    assert type(event.prediction) is type(label)


@pytest.mark.parametrize(
    ("given", "taken"), [(0, "0"), (-3, "-3"), (2**64, str(2**64)), ("7", "7"), ("a b\n", "a b\n")]
)
def test_ids_are_text_and_numbers_their_decimal_text(given: Any, taken: str) -> None:
    assert prediction(text(id=given)).id == taken
    assert outcome(json.dumps(outcome_fields(id=given)).encode()).id == taken


@pytest.mark.parametrize("bad", [1.5, True, {"a": 1}, ["x"], float("nan")])
def test_other_ids_are_refused(bad: Any) -> None:
    assert reason(text(id=bad)) == "schema"


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        (0, 0),
        (99_999_999, 99_999_999),
        (1e11, 10**11),
        (T + 0.9, T),
        (253_402_300_799_999, 253_402_300_799_999),
        ("2024-04-01T12:00:00.250Z", T),
        ("2024-04-01T12:00:00.2509Z", T),
        ("2024-04-01t14:00:00.250+02:00", T),
        ("2024-04-01 12:00:00.250z", T),
        ("1971-01-01T00:00:00Z", 31_536_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_times_become_milliseconds(given: Any, ms: int) -> None:
    assert prediction(text(time=given)).time == ms
    assert outcome(json.dumps(outcome_fields(time=given)).encode()).time == ms


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (1_711_972_800, "time_unit"),
        (1_711_972_800.25, "time_unit"),
        (10**8, "time_unit"),
        (10**11 - 1, "time_unit"),
        (-1_711_972_800, "time_unit"),
        (-1, "time_range"),
        (-1e300, "time_range"),
        (253_402_300_800_000, "time_range"),
        (T * 1000, "time_range"),
        (1e300, "time_range"),
        (10**40, "time_range"),
        ("1969-12-31T23:59:59Z", "time_range"),
        ("9999-12-31T23:59:59-10:00", "time_range"),
        ("9999-12-31T23:59:60Z", "time_range"),
        ("2024-04-01T12:00:00", "time_zone"),
        ("2024-04-01 12:00:00.5", "time_zone"),
        ("2024-04-01", "time_format"),
        ("2024-02-30T00:00:00Z", "time_format"),
        ("yesterday", "time_format"),
        ("", "time_format"),
        (str(T), "time_format"),
        (float("nan"), "number"),
        (float("-inf"), "number"),
        (True, "schema"),
        ([T], "schema"),
    ],
)
def test_d39_impossible_times_are_refused(given: Any, why: str) -> None:
    """faults.md D39: year 9999, 1970, negative, missing, seconds for milliseconds (skew is ingest's to judge).

    Mutation: in times.time_of_number, drop the first `if` (seconds are then taken as 1970).
    """
    assert reason(text(time=given)) == why
    assert reason(json.dumps(outcome_fields(time=given)).encode()) == why


def test_d39_a_missing_time_is_refused() -> None:
    """faults.md D39. Mutation: in diagnose._time, return 0 where the value is None."""
    assert reason(text(time=None)) == "schema"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": None}, "schema"),
        ({"model": None}, "schema"),
        ({"version": None}, "schema"),
        ({"version": 7}, "schema"),
        ({"model": ["m"]}, "schema"),
        ({"features": [1]}, "schema"),
        ({"features": "{}"}, "schema"),
        ({"prediction": {"a": 1}}, "schema"),
        ({"score": "1"}, "schema"),
        ({"score": True}, "schema"),
        ({"scores": {"a": None}}, "schema"),
        ({"scores": [0.5]}, "schema"),
        ({"segments": {"region": 1}}, "schema"),
        ({"latency_ms": "12"}, "schema"),
        ({"id": ""}, "length"),
        ({"id": "x" * 257}, "length"),
        ({"id": 10**299}, "length"),
        ({"model": ""}, "length"),
        ({"version": "v" * 257}, "length"),
        ({"prediction": "x" * 257}, "length"),
        ({"scores": {"": 1.0}}, "length"),
        ({"segments": {"region": "x" * 257}}, "length"),
        ({"model": "a\nb"}, "characters"),
        ({"model": "a\u0085b"}, "characters"),
        ({"version": "\x7f"}, "characters"),
        ({"prediction": 2**63}, "number"),
        ({"prediction": float("nan")}, "number"),
        ({"score": float("inf")}, "number"),
        ({"score": 10**400}, "number"),
        ({"latency_ms": -(10**4000)}, "number"),
        ({"scores": {"a": float("nan")}}, "number"),
        ({"latency_ms": float("nan")}, "number"),
        ({"scores": {f"c{i}": 0.5 for i in range(65)}}, "too_many"),
        ({"segments": {f"s{i}": "" for i in range(17)}}, "too_many"),
        ({"features": {f"f{i}": 0 for i in range(2_001)}}, "too_many"),
        ({"type": None}, "type"),
        ({"type": "explanation"}, "type"),
        ({"type": 3}, "type"),
        ({"type": ["prediction"]}, "type"),
    ],
)
def test_what_is_wrong_with_a_field_is_named(change: dict[str, Any], why: str) -> None:
    changed = fields() | change
    value = json.dumps({name: v for name, v in changed.items() if v is not None}).encode()
    assert reason(value) == why


def test_an_outcome_that_repeats_its_prediction_names_the_version() -> None:
    assert reason(json.dumps(outcome_fields(prediction=1)).encode()) == "schema"
    assert reason(json.dumps(outcome_fields(outcome=None)).encode()) == "schema"


def test_names_may_hold_anything_printable() -> None:
    """faults.md D37: names with braces, *, newline, <!channel>, ../ (a newline is refused in a model's name).

    Mutation: in accept.check_name, refuse what is not `isprintable()` (no-break and zero-width spaces are lost).
    """
    for name in ("{fraud}", "*", "<!channel>", "../../etc/passwd", "a\u00a0b", "zero\u200bwidth", "模型", "🦆"):
        assert prediction(text(model=name, version=name)).model == name


def test_the_limits_are_configurable() -> None:
    small = Decoder(Limits(max_bytes=1_000, max_features=2))
    assert prediction(text(), decoder=small).id == "p-1"
    assert reason(text(features={"a": 1, "b": 2, "c": 3}), decoder=small) == "too_many"
    assert reason(text(note="x" * 1_000), decoder=small) == "too_large"
    nan = text(features={"a": 1, "b": 2, "c": float("nan")})
    assert reason(nan, decoder=small) == "too_many"


def test_non_ascii_is_taken() -> None:
    value = json.dumps(fields(model="modèle", features={"städte": "Zürich"}), ensure_ascii=False).encode()
    event = prediction(value)
    assert event.model == "modèle"
    assert json.loads(event.features) == {"städte": "Zürich"}
