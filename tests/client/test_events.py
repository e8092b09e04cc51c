"""What the logger makes of what serving code has at hand: ingest takes all of it, and nothing else is made."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.client.events import outcome_record, prediction_record
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Outcome, Prediction
from driftline.errors import Poison

NOW = 1_760_000_000_000
OF_A_PREDICTION: dict[str, Any] = {
    "id": "e1",
    "model": "flights",
    "version": "7",
    "time": NOW,
    "features": {"age": 3.5, "colour": "blue", "member": True, "visits": 3, "unknown": None},
    "prediction": None,
    "score": None,
    "scores": None,
    "segments": None,
    "latency_ms": None,
}
OF_AN_OUTCOME: dict[str, Any] = {
    "id": "e1",
    "model": "flights",
    "time": NOW,
    "outcome": "late",
    "version": None,
    "prediction": None,
    "score": None,
    "segments": None,
}


def prediction(**changes: Any) -> Prediction:
    _, value = prediction_record(**(OF_A_PREDICTION | changes))
    event = Decoder().decode(value)
    assert isinstance(event, Prediction)
    return event


def outcome(**changes: Any) -> Outcome:
    _, value = outcome_record(**(OF_AN_OUTCOME | changes))
    event = Decoder().decode(value)
    assert isinstance(event, Outcome)
    return event


def features(**given: Any) -> dict[str, Any]:
    return dict(msgspec.json.decode(prediction(features=given).features))


def test_a_prediction_arrives_as_it_was_given() -> None:
    event = prediction(
        prediction="late", score=0.25, scores={"late": 0.25}, segments={"region": "north"}, latency_ms=12
    )
    assert (event.id, event.model, event.version, event.time) == ("e1", "flights", "7", NOW)
    assert msgspec.json.decode(event.features) == OF_A_PREDICTION["features"]
    assert (event.prediction, event.score, event.scores) == ("late", 0.25, {"late": 0.25})
    assert (event.segments, event.latency_ms) == ({"region": "north"}, 12.0)


def test_an_outcome_arrives_as_it_was_given() -> None:
    event = outcome(version="7", prediction="early", score=0.5)
    assert (event.id, event.outcome, event.version) == ("e1", "late", "7")
    assert (event.prediction, event.score, event.time) == ("early", 0.5, NOW)


def test_the_key_is_the_id() -> None:
    assert prediction_record(**(OF_A_PREDICTION | {"id": 17}))[0] == b"17"
    assert outcome_record(**(OF_AN_OUTCOME | {"id": np.int64(17)}))[0] == b"17"


def test_scalars_of_numpy_become_plain() -> None:
    found = features(
        a=np.float64(1.5), b=np.float32(0.5), c=np.int64(3), d=np.bool_(True), e=np.str_("x"), f=np.array(2.0)
    )
    assert found == {"a": 1.5, "b": 0.5, "c": 3, "d": True, "e": "x", "f": 2.0}
    event = prediction(prediction=np.array([1]), score=np.float32(0.5), scores={np.str_("a"): np.float64(1)})
    assert (event.prediction, event.score, event.scores) == (1, 0.5, {"a": 1.0})
    assert outcome(outcome=np.bool_(True)).outcome is True


def test_what_is_not_finite_is_missing() -> None:
    nan = float("nan")
    assert features(a=nan, b=np.float32("nan"), c=math.inf, d=np.float64("-inf")) == dict.fromkeys("abcd")
    event = prediction(prediction=nan, score=nan, scores={"a": nan, "b": 1.0}, latency_ms=math.inf)
    assert (event.prediction, event.score, event.scores, event.latency_ms) == (None, None, {"b": 1.0}, None)


def test_odd_names_and_numbers_of_features() -> None:
    assert features(a=2**70, b=10**400, c=Decimal("1.5")) == {"a": float(2**70), "b": None, "c": 1.5}
    event = prediction(features={0: 1.0, np.str_("x"): 2.0})
    assert msgspec.json.decode(event.features) == {"0": 1.0, "x": 2.0}


class NAType:
    """As pandas' NA: it can be compared with nothing."""

    def __bool__(self) -> bool:
        raise TypeError


def test_nothing_as_pandas_says_it_is_missing() -> None:
    assert features(a=NAType()) == {"a": None}


@pytest.mark.parametrize("time", [datetime.fromtimestamp(NOW / 1000, UTC), float(NOW), np.int64(NOW)])
def test_time_in_its_forms(time: Any) -> None:
    assert prediction(time=time).time == NOW


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": ""}, "length"),
        ({"id": "x" * 257}, "length"),
        ({"id": 10**300}, "length"),
        ({"id": None}, "schema"),
        ({"id": True}, "schema"),
        ({"id": 1.5}, "schema"),
        ({"id": "\ud800"}, "encoding"),
        ({"model": "a\nb"}, "characters"),
        ({"version": 7.0}, "schema"),
        ({"time": NOW // 1000}, "time_unit"),
        ({"time": datetime(2025, 1, 1)}, "time_zone"),
        ({"time": math.nan}, "number"),
        ({"time": "2025-01-01T00:00:00Z"}, "schema"),
        ({"features": {f"f{i}": 1 for i in range(2_001)}}, "too_many"),
        ({"features": {"a": object()}}, "schema"),
        ({"features": {"a": "\ud800"}}, "encoding"),
        ({"features": {"a": "x" * 300_000}}, "too_large"),
        ({"prediction": "x" * 257}, "length"),
        ({"prediction": 2**64}, "number"),
        ({"prediction": b"late"}, "schema"),
        ({"score": "0.5"}, "schema"),
        ({"score": True}, "schema"),
        ({"scores": {str(i): 0.1 for i in range(65)}}, "too_many"),
        ({"segments": {"region": 3}}, "schema"),
        ({"segments": {str(i): "x" for i in range(17)}}, "too_many"),
    ],
)
def test_a_wrong_prediction_is_refused_with_the_reason_ingest_would_give(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Poison) as caught:
        prediction_record(**(OF_A_PREDICTION | changes))
    assert caught.value.reason == reason


@pytest.mark.parametrize("changes", [{"outcome": None}, {"outcome": math.nan}, {"prediction": "early"}])
def test_a_wrong_outcome_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Poison):
        outcome_record(**(OF_AN_OUTCOME | changes))


_TEXT = st.text(max_size=300)
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT | st.binary(max_size=3)
_NUMPY = st.floats(width=32).map(np.float32) | st.integers(0, 9).map(np.int16) | st.floats().map(np.array)
_VALUE = _SCALAR | _NUMPY | st.lists(_SCALAR, max_size=2) | st.datetimes()
_ANYTHING = st.fixed_dictionaries(
    {
        "id": st.just("e1") | _VALUE,
        "model": st.just("m") | _VALUE,
        "version": st.just("7") | _VALUE,
        "time": st.just(NOW) | _VALUE | st.integers(0, 10**16),
        "prediction": _VALUE,
        "score": _VALUE,
    }
)


@given(_ANYTHING, st.dictionaries(_TEXT, _VALUE, max_size=4), st.dictionaries(_TEXT, _VALUE, max_size=3))
def test_what_is_made_is_taken(event: dict[str, Any], named: dict[str, Any], more: dict[str, Any]) -> None:
    """Whatever it is given, the result is an event that ingest accepts, or a refusal."""
    rest = {"latency_ms": None, "segments": None, "scores": None}
    for changes in ({"features": named}, {"features": {}, "scores": more}, {"features": {}, "segments": more}):
        try:
            _, value = prediction_record(**(event | rest | changes))
        except (Poison, TypeError, ValueError):
            continue
        Decoder().decode(value)
    try:
        _, value = outcome_record(
            id=event["id"],
            model=event["model"],
            time=event["time"],
            outcome=event["prediction"],
            version=event["version"],
            prediction=event["prediction"],
            score=event["score"],
            segments=more,
        )
    except (Poison, TypeError, ValueError):
        return
    Decoder().decode(value)
