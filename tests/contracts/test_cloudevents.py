"""CloudEvents 1.0 on Kafka: structured and binary, read and written. faults.md D34 for their types."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from contracts.making import Read, T, event_or_reason, fields, outcome, outcome_fields, prediction, reason, text
from driftline.contracts import cloudevents
from driftline.contracts.deadletter import dead_letter
from driftline.contracts.records import DeadLetter, Effect, Estimate, Evidence, Lifecycle, Origin, Signal
from driftline.errors import Poison

BINARY = {
    "ce_specversion": b"1.0",
    "ce_id": b"c-9",
    "ce_source": b"/serving",
    "ce_type": b"io.driftline.prediction.v1",
    "ce_time": b"2024-04-01T12:00:00.250Z",
    "content-type": b"application/json",
}
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
TRUTH = {"ce_type": b"io.driftline.outcome.v1"}


def binary(**changes: bytes | None) -> list[tuple[str, bytes]]:
    names = {name: name.replace("content_type", "content-type") for name in changes}
    changed = BINARY | {names[name]: value for name, value in changes.items()}
    return [(name, value) for name, value in changed.items() if value is not None]


def structured(**changes: Any) -> bytes:
    envelope = {
        "specversion": "1.0",
        "id": "c-9",
        "source": "/serving",
        "type": "io.driftline.prediction.v1",
        "time": "2024-04-01T12:00:00.250Z",
        "data": fields(),
    } | changes
    return json.dumps({name: value for name, value in envelope.items() if value is not None}).encode()


def data(**changes: Any) -> dict[str, Any]:
    return fields(type=None, **changes)


def test_both_modes_carry_the_native_record() -> None:
    assert prediction(text(), binary()) == prediction(text())
    assert prediction(structured(), STRUCTURED) == prediction(text())
    truth = json.dumps(outcome_fields()).encode()
    assert outcome(truth, binary(**TRUTH)) == outcome(truth)
    assert outcome(structured(type="io.driftline.outcome.v1", data=outcome_fields()), STRUCTURED) == outcome(truth)


def test_the_envelope_stands_in_for_type_id_and_time() -> None:
    bare = json.dumps(data(id=None, time=None)).encode()
    for event in (
        prediction(bare, binary()),
        prediction(structured(data=data(id=None, time=None)), STRUCTURED),
        prediction(bare.replace(b"129.5", b"NaN"), binary()),
        prediction(structured(data=data(id=None, time=None, features={"a": float("nan")})), STRUCTURED),
    ):
        assert (event.id, event.time) == ("c-9", T)
    early = prediction(bare, binary(ce_time=b"1971-01-01T00:00:00Z"))
    assert early.time == 31_536_000_000


def test_the_data_goes_before_the_envelope() -> None:
    assert prediction(text(id="p-2", time=T + 1), binary()).id == "p-2"
    assert prediction(text(id="p-2", time=T + 1), binary()).time == T + 1
    assert reason(json.dumps(outcome_fields()).encode(), binary()) == "type"
    assert reason(structured(data=outcome_fields()), STRUCTURED) == "type"


def test_structured_mode_needs_no_header_if_the_record_is_plainly_one() -> None:
    assert prediction(structured()) == prediction(text())


def test_base64_data_is_read() -> None:
    encoded = base64.b64encode(text()).decode()
    assert prediction(structured(data=None, data_base64=encoded), STRUCTURED) == prediction(text())
    assert reason(structured(data=None, data_base64="%%"), STRUCTURED) == "cloudevents_attribute"
    assert reason(structured(data=None, data_base64=""), STRUCTURED) == "empty"


def test_d34_types_minor_and_major() -> None:
    """faults.md D34: CloudEvents type: newer minor taken, newer major and foreign types refused.

    Mutation: in envelope._what, drop the comparison of the major version.
    """
    for kind in ("v1", "v1.3"):
        assert prediction(text(), binary(ce_type=f"io.driftline.prediction.{kind}".encode())).id == "p-1"
    refused = {
        "io.driftline.prediction.v2": "schema_version",
        "io.driftline.prediction.v10": "schema_version",
        "io.driftline.prediction.v0": "schema_version",
        "io.driftline.prediction": "cloudevents_type",
        "io.driftline.prediction.vx": "cloudevents_type",
        "io.driftline.prediction.v²": "cloudevents_type",
        "io.driftline.signal.v1": "cloudevents_type",
        "io.driftline.v1": "cloudevents_type",
        "com.example.prediction.v1": "cloudevents_type",
    }
    for kind, why in refused.items():
        assert reason(text(), binary(ce_type=kind.encode())) == why
        assert reason(structured(type=kind), STRUCTURED) == why
        assert reason(structured(type=kind, data={"a": float("nan")}), STRUCTURED) == why


def test_d34_missing_attributes() -> None:
    """faults.md D34: missing attribute, in both modes and both ways of reading.

    Mutation: in envelope._envelope, look for `id` and `type` only.
    """
    nan = {"a": float("nan")}
    for name in ("id", "source", "type"):
        for gone in (None, ""):
            header = None if gone is None else gone.encode()
            assert reason(text(), binary(**{f"ce_{name}": header})) == "cloudevents_attribute"
            assert reason(structured(**{name: gone}), STRUCTURED) == "cloudevents_attribute"
            assert reason(structured(**{name: gone}, data=nan), STRUCTURED) == "cloudevents_attribute"
        assert reason(structured(**{name: 3}), STRUCTURED) == "cloudevents_attribute"
    assert reason(structured(data=None), STRUCTURED) == "cloudevents_attribute"
    for version in (None, "0.3", "2.0", ""):
        assert reason(text(), binary(ce_specversion=None if version is None else version.encode()))
        assert reason(structured(specversion=version), STRUCTURED) == "cloudevents_version"
    bare = json.dumps(data(time=None)).encode()
    assert reason(bare, binary(ce_time=None)) == "schema"
    assert reason(bare.replace(b"129.5", b"NaN"), binary(ce_time=None)) == "schema"
    assert reason(json.dumps(data(id=None)).encode(), binary(ce_id=b"x" * 300)) == "length"


def test_other_formats_are_refused() -> None:
    for content in (
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
        "application/cloudevents+",
    ):
        assert reason(structured(), [("Content-Type", content.encode())]) == "cloudevents_format"
    assert reason(text(), binary(content_type=b"application/avro")) == "cloudevents_format"
    assert reason(structured(datacontenttype="text/plain"), STRUCTURED) == "cloudevents_format"
    accepted = (None, b"application/JSON; charset=utf-8", b"application/vnd.driftline+json", b"text/json")
    for taken in accepted:
        assert prediction(text(), binary(content_type=taken)).id == "p-1"


def test_headers_of_others_mean_nothing() -> None:
    others = [("content-type", b"application/json"), ("traceparent", b"\xff"), ("ce_subject", b"\xff"), ("x", b"")]
    assert prediction(text(), others) == prediction(text())
    assert prediction(text(), [("content-type", b"text/plain")]) == prediction(text())


@pytest.mark.parametrize("mark", [b"\xff", b"\xed\xa0\x80"])
def test_attributes_that_are_no_text_are_poison(mark: bytes) -> None:
    assert reason(text(), binary(ce_id=mark)) == "encoding"
    assert reason(text(), binary(ce_type=b"x" * 5_000)) == "cloudevents_attribute"
    assert event_or_reason(text(), [("ce_id", None)]) == "cloudevents_attribute"  # type: ignore[list-item]


def test_bad_data_in_an_envelope_is_poison() -> None:
    assert reason(b"[1]", binary()) == "not_an_object"
    assert reason(b"{", binary()) == "json"
    assert reason(b"\xff", binary()) == "encoding"
    assert reason(structured(data=[1]), STRUCTURED) == "not_an_object"
    assert reason(structured(data="x"), STRUCTURED) == "not_an_object"
    assert reason(structured(data=[float("nan")]), STRUCTURED) == "not_an_object"
    assert reason(structured()[:-1], STRUCTURED) == "json"
    assert reason(structured().replace(b"fraud", b"\xff"), STRUCTURED) == "encoding"
    assert reason(structured(data=data(score="x")), STRUCTURED) == "schema"


SIGNAL = Signal(
    id="s-1",
    model="modèle",
    version="7",
    monitor="features.a:distribution",
    sequence=2,
    state="alarm",
    severity="error",
    time=T,
    sentence="a has moved.",
    onset=T - 1,
    effect=Effect(
        witness="mean", reference=1.0, current=Estimate(value=2.0, low=1.5, high=2.5, unit="reference units")
    ),
    evidence=Evidence(
        detector="cbe", log_evidence=20.0, log_threshold=18.0, n=100, n_eff=50.0, opinions={"adwin": None}
    ),
    details={"panes": 3, "late": True},
)
LIFECYCLE = Lifecycle(id="l-1", what="deployed", model="m", version="8", time=T)
LETTER = DeadLetter(
    reason="json",
    detail="not JSON",
    origin=Origin(topic="driftline.events", partition=3, offset=118),
    timestamp=T,
    size=0,
    sha256="0" * 64,
    key=None,
    payload=None,
)


def test_records_out_are_binary_cloudevents() -> None:
    headers, value = cloudevents.encode(SIGNAL)
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"s-1",
        "ce_source": b"driftline",
        "ce_type": b"io.driftline.signal.v1",
        "ce_time": b"2024-04-01T12:00:00.250Z",
        "content-type": b"application/json",
    }
    assert json.loads(value)["model"] == "modèle"
    assert dict(cloudevents.encode(LETTER, source="/eu")[0])["ce_id"] == b"driftline.events/3/118"
    assert dict(cloudevents.encode(LETTER, source="/eu")[0])["ce_source"] == b"/eu"


def test_what_is_written_is_read() -> None:
    headers, value = cloudevents.encode(SIGNAL)
    assert cloudevents.decode_signal(value, headers) == SIGNAL
    headers, value = cloudevents.encode(LETTER)
    assert cloudevents.decode_dead_letter(value, headers) == LETTER
    headers, value = cloudevents.encode(LIFECYCLE)
    assert cloudevents.decode_lifecycle(value, headers) == LIFECYCLE
    assert cloudevents.decode_lifecycle(value) == LIFECYCLE
    envelope = {"specversion": "1.0", "id": "e", "source": "ci", "type": "io.driftline.lifecycle.v1"}
    whole = json.dumps(envelope | {"data": json.loads(value)}).encode()
    assert cloudevents.decode_lifecycle(whole, STRUCTURED) == LIFECYCLE


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"x" * 300_000, "too_large"),
        (b"{", "json"),
        (b"\xff", "encoding"),
        (b"[]", "schema"),
        (b"{}", "schema"),
        (b'{"id":"1","what":"exploded","model":"m","version":"1","time":1}', "schema"),
        (b'{"id":"1","what":"deployed","model":"m","version":"1","time":1e400}', "schema"),
        (b'{"id":"1","what":"deployed","model":"m","version":"1","time":NaN}', "number"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nesting"),
    ],
)
def test_what_readers_cannot_read_is_poison(value: bytes | None, why: str) -> None:
    with pytest.raises(Poison) as caught:
        cloudevents.decode_lifecycle(value)
    assert caught.value.reason == why
    assert "exploded" not in str(caught.value)


@pytest.mark.parametrize("field", ["id", "model", "version", "request"])
def test_what_react_would_remember_is_short(field: str) -> None:
    """Mutation: no `_short` in decode_lifecycle; 64 ids of any length are kept for each model."""
    event = {"id": "1", "what": "deployed", "model": "m", "version": "1", "time": 1, field: "x" * 2_000}
    with pytest.raises(Poison, match=field):
        cloudevents.decode_lifecycle(json.dumps(event).encode())


@pytest.mark.parametrize("field", ["id", "model", "version", "incident", "silence", "match"])
def test_what_a_command_would_make_react_remember_is_short(field: str) -> None:
    long = {"monitor": "x" * 2_000} if field == "match" else "x" * 2_000
    with pytest.raises(Poison) as caught:
        cloudevents.decode_command(json.dumps({"id": "1", "what": "ack", "time": 1, field: long}).encode())
    assert caught.value.reason == "length"


def test_nobody_deploys_driftline_itself() -> None:
    """Its incidents are those of the model without a name: an event of it would end them."""
    with pytest.raises(Poison) as caught:
        cloudevents.decode_lifecycle(b'{"id":"1","what":"deployed","model":"","version":"1","time":1}')
    assert caught.value.reason == "length"


def test_readers_refuse_other_types_and_newer_majors() -> None:
    headers, value = cloudevents.encode(SIGNAL)
    newer = [(name, b"io.driftline.signal.v2" if name == "ce_type" else raw) for name, raw in headers]
    for read, given, why in (
        (cloudevents.decode_lifecycle, headers, "cloudevents_type"),
        (cloudevents.decode_signal, newer, "schema_version"),
    ):
        with pytest.raises(Poison) as caught:
            read(value, given)
        assert caught.value.reason == why


def test_a_dead_letter_of_hostile_text_can_be_published() -> None:
    letter = dead_letter(Read(b"x", headers=[("\ud800", b"\xff")]), Poison("json", "a \ud800 b"))
    headers, value = cloudevents.encode(letter)
    assert cloudevents.decode_dead_letter(value, headers) == letter
