"""JSON Schemas (2020-12) and the AsyncAPI document, generated from the types that decode and encode.

    python -m driftline.contracts.schema [--check] [--out schemas]

`--check` writes nothing, prints what would change and exits with 1 if anything would.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import fields as fields_of

from driftline.contracts.asyncapi import asyncapi_text
from driftline.contracts.blocks import BinnedBlock, Bundle, ModelTally, RawBlock, RawColumn, WindowTally
from driftline.contracts.limits import MAX_TIME, SECONDS_FROM, SECONDS_TO, Limits
from driftline.contracts.reactions import Alert, Command, RetrainingRequested
from driftline.contracts.reasons import REMEDIES
from driftline.contracts.records import DeadLetter, Lifecycle, Signal
from driftline.contracts.schema_words import FIELDS, TITLES
from driftline.contracts.wire import OutcomeRecord, PredictionRecord

Json = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NO_CONTROL: Final = {"not": {"pattern": "[\\u0000-\\u001f\\u007f-\\u009f]"}}
_RFC3339: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
)
_TIME: Final = {
    "anyOf": [
        {"type": "string", "format": "date-time", "pattern": _RFC3339},
        {"type": "number", "minimum": 0, "exclusiveMaximum": SECONDS_FROM},
        {"type": "number", "minimum": SECONDS_TO, "maximum": MAX_TIME},
    ]
}
_RECORD_VERSION: Final = {
    "anyOf": [
        {"type": "string", "pattern": "^1(\\.|$)"},
        {"type": "number", "minimum": 1, "exclusiveMaximum": 2},
        {"type": "null"},
    ]
}
_COMMANDS: Final = (
    (["retrain"], ["model"]),
    (["ack", "resolve"], ["incident"]),
    (["silence"], ["match", "by", "reason"]),
    (["expire"], ["silence"]),
)
"""What each command has to say."""
_ARRAYS: Final[tuple[type[msgspec.Struct], ...]] = (RawBlock, RawColumn, BinnedBlock, ModelTally, WindowTally)


def _described(schema: Json) -> Json:
    """Plain descriptions for every field of every type in `schema`, and its main type at the top."""
    definitions: dict[str, Json] = schema.pop("$defs")
    main = definitions.pop(schema.pop("$ref").rpartition("/")[2])
    for definition in (main, *definitions.values()):
        words = FIELDS[definition["title"]]
        if "description" in definition:
            definition["description"] = " ".join(inspect.cleandoc(definition["description"]).split())
        for name, field in definition.get("properties", {}).items():
            field["description"] = words[name]
    return main | ({"$defs": definitions} if definitions else {})


def _native(kind: str, record: type[msgspec.Struct], order: Sequence[str]) -> Json:
    """Schema of a native record: the type decodes it, and what a type cannot say is put in its words."""
    by_name = {field.name: field for field in fields_of(record)}
    wanted: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name in (*order, *(n for n in by_name if n not in order)):
        field = by_name[name]
        of = dict[str, Any] | None if field.type is msgspec.Raw else field.type
        wanted.append((name, of) if field.required else (name, of, None))
    title = kind.capitalize()
    struct = msgspec.defstruct(title, wanted, kw_only=True, tag_field="type", tag=kind)
    schema = msgspec.json.schema(struct)
    properties = schema["$defs"][title]["properties"]
    properties["time"] = dict(_TIME)
    properties["v"] = dict(_RECORD_VERSION)
    properties["model"] |= _NO_CONTROL
    properties["version"] |= _NO_CONTROL
    return _described(schema)


def prediction_schema() -> Json:
    schema = _native("prediction", PredictionRecord, ("id", "model", "version", "time"))
    schema["description"] = f"One prediction. The whole record has at most {Limits().max_bytes} bytes by default."
    schema["properties"]["features"] |= {
        "anyOf": [{"type": "object", "maxProperties": Limits().max_features}, {"type": "null"}]
    }
    return schema


def outcome_schema() -> Json:
    schema = _native("outcome", OutcomeRecord, ("id", "model", "time", "outcome"))
    schema["description"] = "The truth of one prediction. It may come before its prediction, late, twice or never."
    given = {"required": ["prediction"], "properties": {"prediction": {"not": {"type": "null"}}}}
    schema["if"] = given
    schema["then"] = {"required": ["version"], "properties": {"version": {"type": "string"}}}
    return schema


def dead_letter_schema() -> Json:
    schema = _described(msgspec.json.schema(DeadLetter))
    properties = schema["properties"]
    properties["reason"]["examples"] = [reason.value for reason in REMEDIES]
    properties["sha256"]["pattern"] = "^[0-9a-f]{64}$"
    properties["size"]["minimum"] = 0
    properties["payload"]["contentEncoding"] = "base64"
    return schema


def signal_schema() -> Json:
    schema = _described(msgspec.json.schema(Signal))
    schema["properties"]["sequence"]["minimum"] = 1
    return schema


def lifecycle_schema() -> Json:
    return _described(msgspec.json.schema(Lifecycle))


def alert_schema() -> Json:
    schema = _described(msgspec.json.schema(Alert))
    schema["properties"]["count"]["minimum"] = 0
    return schema


def retraining_schema() -> Json:
    return _described(msgspec.json.schema(RetrainingRequested))


def command_schema() -> Json:
    schema = _described(msgspec.json.schema(Command))
    schema["allOf"] = [
        {
            "if": {"properties": {"what": {"enum": what}}},
            "then": {"required": names, "properties": {name: {"not": {"type": "null"}} for name in names}},
        }
        for what, names in _COMMANDS
    ]
    return schema


def bundle_schema() -> Json:
    """Of the logical form: on the wire it is MessagePack, where byte strings need no encoding."""
    schema = msgspec.json.schema(Bundle)
    for struct in _ARRAYS:
        items = schema["$defs"][struct.__name__]["prefixItems"]
        tag = struct.__struct_config__.tag
        if tag is not None:
            items[0] |= {"title": "layout of the block"}
        for item, field in zip(items[tag is not None :], fields_of(struct), strict=True):
            item |= {"title": field.name, "description": FIELDS[struct.__name__][field.name]}
            if item.get("contentEncoding") == "base64":
                item |= {"contentEncoding": "binary", "contentMediaType": "application/octet-stream"}
    schema = _described(schema)
    schema["description"] += " MessagePack on the wire; arrays of numbers are little-endian byte strings."
    return schema


SCHEMAS: Final[dict[str, Callable[[], Json]]] = {
    "prediction": prediction_schema,
    "outcome": outcome_schema,
    "lifecycle": lifecycle_schema,
    "signal": signal_schema,
    "alert": alert_schema,
    "retraining-requested": retraining_schema,
    "command": command_schema,
    "dead-letter": dead_letter_schema,
    "bundle": bundle_schema,
}


def schema(name: str) -> Json:
    """The schema of one record, whole."""
    body = SCHEMAS[name]() | {"title": TITLES[name]}
    return {"$schema": _DIALECT, "$id": f"urn:driftline:schema:{name}:1"} | body


def documents() -> dict[str, str]:
    """Every generated file: name to text."""
    texts = {
        f"{name}.schema.json": json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n" for name in SCHEMAS
    }
    return texts | {"asyncapi.yaml": asyncapi_text()}


def differences(out: Path) -> str:
    """Unified diff from what is in `out` to what is generated, empty if they agree."""
    parts: list[str] = []
    for name, text in documents().items():
        path = out / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        parts += difflib.unified_diff(
            old.splitlines(keepends=True), text.splitlines(keepends=True), str(path), f"{path} (generated)"
        )
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m driftline.contracts.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 on a difference")
    parser.add_argument("--out", type=Path, default=Path("schemas"), help="directory of the files")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        found = differences(chosen.out)
        sys.stdout.write(found)
        return 1 if found else 0
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (chosen.out / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
