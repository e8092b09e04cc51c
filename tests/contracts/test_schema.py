"""The generated schemas are what is on disk, are valid, and say what the decoder does."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
import yaml
from hypothesis import assume, given, settings
from jsonschema import Draft202012Validator

from contracts.making import event_or_reason, fields, outcome_fields
from contracts.test_properties import FIELDS, RECORDS, VALUES
from driftline.contracts import cloudevents, schema
from driftline.contracts.blocks import BinnedBlock, Bundle, ModelTally, RawBlock, RawColumn
from driftline.contracts.decode import Decoder
from driftline.contracts.reasons import Reason

ROOT = Path(__file__).parents[2] / "schemas"
VALID = sorted((ROOT / "examples" / "valid").glob("*.json"))
REFUSED = sorted((ROOT / "examples" / "refused").glob("*.json"))
VALIDATORS = {name: Draft202012Validator(schema.schema(name)) for name in schema.SCHEMAS}
READERS = {
    "signal": cloudevents.decode_signal,
    "lifecycle": cloudevents.decode_lifecycle,
    "dead-letter": cloudevents.decode_dead_letter,
    "alert": cloudevents.decode_alert,
    "retraining-requested": cloudevents.decode_retraining,
    "command": cloudevents.decode_command,
}


def test_what_is_on_disk_is_what_is_generated() -> None:
    assert schema.differences(ROOT) == ""


def test_check_fails_with_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(["--out", str(tmp_path)]) == 0
    assert schema.main(["--check", "--out", str(tmp_path)]) == 0
    changed = tmp_path / "signal.schema.json"
    changed.write_text(changed.read_text().replace('"alarm"', '"alert"'))
    assert schema.main(["--check", "--out", str(tmp_path)]) == 1
    assert '+        "alarm"' in capsys.readouterr().out
    assert schema.main(["--check", "--out", str(tmp_path / "none")]) == 1


@pytest.mark.parametrize("name", schema.SCHEMAS)
def test_schemas_are_valid_and_described(name: str) -> None:
    whole = schema.schema(name)
    Draft202012Validator.check_schema(whole)
    assert whole["$id"] == f"urn:driftline:schema:{name}:1"
    assert whole["title"]
    assert whole["description"]
    for definition in (whole, *whole.get("$defs", {}).values()):
        for field in definition.get("properties", {}).values():
            assert field["description"]


def test_the_asyncapi_document_hangs_together() -> None:
    document = yaml.safe_load((ROOT / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {
        *("events", "blocks", "profiles", "signals", "deadletter", "lifecycle"),
        *("commands", "alerts", "retraining"),
    }

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if "$ref" in node else []
            return here + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = references(document)
    assert found
    for reference in found:
        if reference.startswith("#/"):
            node = document
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (ROOT / reference).is_file()


def _record(example: Any) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Value and headers of an example: a plain record, or an object with `headers`, `value`, `text`, `base64`."""
    known = {"headers", "value", "text", "base64", "reason"}
    if not isinstance(example, dict) or not set(example) <= known or "id" in example:
        return json.dumps(example).encode(), []
    headers = [(name, text.encode()) for name, text in example.get("headers", {}).items()]
    if "base64" in example:
        return base64.b64decode(example["base64"]), headers
    if "text" in example:
        return example["text"].encode(), headers
    return json.dumps(example["value"]).encode(), headers


@pytest.mark.parametrize("path", VALID, ids=[path.stem for path in VALID])
def test_valid_examples_are_taken(path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    kind = path.stem if path.stem in READERS else path.stem.partition("-")[0]
    value, headers = _record(example)
    assert value is not None
    if kind in READERS:
        READERS[kind](value, headers)
        VALIDATORS[kind].validate(example)
        return
    Decoder().decode(value, headers)
    if not headers:
        VALIDATORS[kind].validate(example)


@pytest.mark.parametrize("path", REFUSED, ids=[path.stem for path in REFUSED])
def test_refused_examples_are_refused_for_that_reason(path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    value, headers = _record(example)
    assert event_or_reason(value, headers) == example["reason"]
    if "value" in example and not headers:
        kinds = [VALIDATORS[kind].is_valid(example["value"]) for kind in ("prediction", "outcome")]
        assert not any(kinds)


def test_every_reason_of_the_decoder_has_an_example() -> None:
    shown = {json.loads(path.read_text(encoding="utf-8"))["reason"] for path in REFUSED}
    elsewhere = {
        Reason.TOO_LARGE,
        Reason.NESTING,
        Reason.TOO_MANY,
        Reason.MAPPING,
        Reason.FUTURE,
        Reason.FOLD_ERROR,
    }
    assert set(Reason) - shown <= elsewhere


def _beyond_json_schema(value: Any) -> bool:
    """An integer that JSON Schema takes for a number, whatever its bounds as an integer."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63


@given(RECORDS | st.builds(lambda f, v: fields() | {f: v}, st.sampled_from(FIELDS), VALUES))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_schema_and_decoder_agree(record: dict[str, Any]) -> None:
    """A record the schema takes is an event, and one it refuses is not."""
    text = json.dumps(record)
    assume("NaN" not in text and "Infinity" not in text)
    assume(not any(_beyond_json_schema(record.get(field)) for field in ("prediction", "outcome", "id")))
    assume(not isinstance(record.get("id"), float))  # 1.0 is an integer to JSON Schema
    kind = "prediction" if record.get("type") == "prediction" else "outcome"
    taken = not isinstance(event_or_reason(text.encode()), str)
    assert VALIDATORS[kind].is_valid(json.loads(text)) == taken


def test_records_we_write_fit_their_schemas() -> None:
    for record in (fields(), outcome_fields()):
        VALIDATORS[record["type"]].validate(record)


def test_the_bundle_schema_describes_the_logical_form() -> None:
    column = RawColumn(b"", ["x", None], b"")
    raw = RawBlock("m", "1", "predictions", b"", b"", {"features.a": column})
    binned = BinnedBlock("m", "1", "pairs", "g", 0, 1, 2, b"", b"", b"", {"z": 1})
    bundle = Bundle(source=0, sources=4, first=0, next=2, watermark=5, clock=6, blocks=[raw, binned])
    whole = json.loads(msgspec.json.encode(bundle))
    whole["tallies"] = [json.loads(msgspec.json.encode(ModelTally("m", "1", 3)))]
    VALIDATORS["bundle"].validate(whole)
    whole["blocks"][0][0] = "neither"
    assert not VALIDATORS["bundle"].is_valid(whole)
