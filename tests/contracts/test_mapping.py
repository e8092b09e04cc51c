"""Foreign JSON by a field mapping."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from contracts.making import T, outcome, prediction, reason, text
from driftline.contracts.decode import Decoder
from driftline.contracts.mapping import FieldMapping, KindAt, find

SCORED: dict[str, Any] = {
    "event": {"kind": "scored", "at": T / 1000, "user.id": "u-1"},
    "model": {"name": "fraud", "release": "7"},
    "inputs": {"amount": 1.5, "country": "DE"},
    "answer": {"label": "yes", "p": 0.9, "took": 12},
}
TRUTH: dict[str, Any] = {
    "event": {"kind": "truth", "at": T / 1000, "user.id": "u-1"},
    "model": {"name": "fraud"},
    "label": "no",
}
MAPPING = FieldMapping(
    kind=KindAt(path="event.kind", values={"scored": "prediction", "truth": "outcome"}),
    id="event.user.id",
    time="event.at",
    time_unit="s",
    model="model.name",
    version="model.release",
    features="inputs",
    prediction="answer.label",
    score="answer.p",
    latency_ms="answer.took",
    outcome="label",
)


def mapped(record: dict[str, Any], mapping: FieldMapping = MAPPING) -> Any:
    return Decoder(mapping=mapping).decode(json.dumps(record).encode())


def flat(**changes: Any) -> FieldMapping:
    plain: dict[str, Any] = {
        "kind": "prediction",
        "id": "id",
        "time": "t",
        "constants": {"model": "m", "version": "1"},
    }
    return FieldMapping(**(plain | changes))


def test_nested_paths_lead_to_the_fields() -> None:
    event = prediction(json.dumps(SCORED).encode(), decoder=Decoder(mapping=MAPPING))
    assert json.loads(event.features) == SCORED["inputs"]
    assert msgspec.structs.replace(event, features=b"{}") == prediction(
        text(id="u-1", features={}, prediction="yes", score=0.9, time=T, latency_ms=12)
    )
    truth = outcome(json.dumps(TRUTH).encode(), decoder=Decoder(mapping=MAPPING))
    assert (truth.id, truth.model, truth.time, truth.outcome, truth.version) == ("u-1", "fraud", T, "no", None)


def test_native_records_go_before_the_mapping() -> None:
    assert prediction(text(), decoder=Decoder(mapping=MAPPING)) == prediction(text())
    assert reason(text(model=None), decoder=Decoder(mapping=MAPPING)) == "schema"
    assert mapped({"type": "click", "id": 1, "t": T}, flat()).id == "1"


def test_a_record_the_mapping_does_not_fit_is_poison() -> None:
    decoder = Decoder(mapping=MAPPING)
    timeless, unknown = ({"event": {"kind": kind}} for kind in ("scored", "other"))
    unfit: list[dict[str, Any]] = [{}, SCORED | timeless, SCORED | unknown, {"event": []}]
    for record in unfit:
        assert reason(json.dumps(record).encode(), decoder=decoder) == "mapping"
    assert reason(json.dumps(SCORED | {"model": {}}).encode(), decoder=decoder) == "schema"
    assert reason(json.dumps(SCORED | {"answer": {"p": "high"}}).encode(), decoder=decoder) == "schema"
    assert reason(json.dumps(SCORED | {"answer": {"p": float("nan")}}).encode(), decoder=decoder) == "number"
    assert reason(b"[1]", decoder=decoder) == "not_an_object"


def test_a_foreign_nan_is_a_feature_value_too() -> None:
    event = mapped(SCORED | {"inputs": {"a": float("nan")}})
    assert event.features == b'{"a":{"$nonfinite":"NaN"}}'


def test_features_by_list_and_by_star() -> None:
    record = {"id": 1, "t": T, "a": {"b": 2}, "c": "x", "d.e": True}
    listed = mapped(record, flat(features=("a.b", "c", "d.e", "none")))
    assert json.loads(listed.features) == {"a.b": 2, "c": "x", "d.e": True, "none": None}
    rest = mapped(record, flat(features="*", prediction="a.b"))
    assert json.loads(rest.features) == {"c": "x", "d.e": True}
    assert rest.prediction == 2


@pytest.mark.parametrize(
    ("unit", "time", "ms"),
    [("s", T / 1000, T), ("s", 1, 1_000), ("ms", T, T), ("us", T * 1000 + 999, T), ("ns", T * 10**6, T)],
)
def test_time_units(unit: str, time: float, ms: int) -> None:
    assert mapped({"id": 1, "t": time}, flat(time_unit=unit)).time == ms
    assert mapped({"id": 1, "t": "2024-04-01T12:00:00.250Z"}, flat(time_unit=unit)).time == T


def test_kinds_may_be_numbers_and_booleans() -> None:
    mapping = flat(kind=KindAt(path="done", values={"true": "outcome", "0": "prediction"}), outcome="y")
    assert mapped({"id": 1, "t": T, "done": 0}, mapping).version == "1"
    assert mapped({"id": 1, "t": T, "done": True, "y": 3.5}, mapping).outcome == 3.5


def test_a_path_goes_before_its_constant() -> None:
    mapping = flat(model="m")
    assert mapped({"id": 1, "t": T, "m": "other"}, mapping).model == "other"
    assert mapped({"id": 1, "t": T}, mapping).model == "m"


@pytest.mark.parametrize(
    "changes",
    [
        {"constants": {"version": "1"}},
        {"constants": {"model": "m"}},
        {"kind": "outcome"},
        {"constants": {"model": "m", "version": "1", "colour": "red"}},
    ],
)
def test_a_mapping_that_cannot_work_is_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"neither a path nor a constant|no field"):
        flat(**changes)


def test_find() -> None:
    record = {"a": {"b.c": 1, "b": {"c": 2, "d": None}}, "a.b": {"d": 3}, "e": [1]}
    assert find(record, "a.b.c") == 1
    assert find(record, "a.b") == {"d": 3}
    assert find(record, "a.b.d") is None
    assert find(record, "e.0") is None
    assert find(record, "x.y") is None
    assert find(record, "") is None
