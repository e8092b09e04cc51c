"""CloudEvents 1.0 on Kafka, reading side: is this record in an envelope, and what does the envelope say?

Structured mode: the header `content-type` starts with application/cloudevents and the value is the envelope.
Binary mode: the attributes are headers `ce_*` and the value is the data.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from driftline.contracts.loose import read_object
from driftline.contracts.reasons import Reason, poison

TYPE_PREFIX: Final = "io.driftline."
MAJOR: Final = 1
"""Of every type we know: io.driftline.<what>.v1."""
MAX_ATTRIBUTE: Final = 2_048
"""Bytes of one attribute that are read; ids and types are far shorter."""

_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "time")
_HEADERS: Final = {"ce_" + name: name for name in _ATTRIBUTES}
_STRUCTURED: Final = "application/cloudevents"


class Envelope(msgspec.Struct, frozen=True):
    """What the attributes say. `what` is the middle of io.driftline.<what>.v1; `data` is JSON text, or the
    object itself where the text could only be read by `loose`."""

    what: str
    id: str
    time: str | None
    data: bytes | dict[str, Any]


class _Structured(msgspec.Struct, frozen=True):
    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: str | None = None


_structured: Final = msgspec.json.Decoder(_Structured)


def open_envelope(value: bytes, headers: Iterable[tuple[str, bytes]]) -> Envelope | None:
    """The envelope of a record, None if it is in none.

    Raises Poison with one of the `cloudevents_*` reasons, `schema_version` for a newer major of our types,
    or, in structured mode, what `loose.read_object` raises. In binary mode the data is not looked at."""
    found: dict[str, str] = {}
    content = ""
    for header, raw in headers:
        name = _HEADERS.get(header)
        if name is not None:
            found[name] = _attribute(name, raw)
        elif header.lower() == "content-type":
            content = _attribute(header, raw).strip().lower()
    if content.startswith(_STRUCTURED):
        return open_structured(value, content)
    if not found:
        return None
    _check_content(content)
    return _envelope(found, value)


def open_structured(value: bytes, content: str = _STRUCTURED) -> Envelope:
    """The envelope that `value` is; `content` its content type."""
    if content.partition(";")[0].strip() not in (_STRUCTURED, _STRUCTURED + "+json"):
        raise poison(Reason.CLOUDEVENTS_FORMAT, "a batch, or a format other than JSON")
    try:
        outer = _structured.decode(value)
        if not value.isascii():
            str(value, "utf-8")
    except (msgspec.DecodeError, RecursionError, ValueError):
        return _of_object(read_object(value))
    found = {name: text for name in _ATTRIBUTES if (text := getattr(outer, name)) is not None}
    _check_content((outer.datacontenttype or "").strip().lower())
    data = bytes(outer.data)
    return _envelope(found, _base64(outer.data_base64) if data == b"null" else data)


def _of_object(outer: Mapping[str, Any]) -> Envelope:
    found: dict[str, str] = {}
    for name in (*_ATTRIBUTES, "datacontenttype", "data_base64"):
        value = outer.get(name)
        if type(value) is str:
            found[name] = value
        elif value is not None:
            raise poison(Reason.CLOUDEVENTS_ATTRIBUTE, f"{name}: a string is wanted")
    _check_content(found.pop("datacontenttype", "").strip().lower())
    encoded = found.pop("data_base64", None)
    data = outer.get("data")
    if data is None:
        return _envelope(found, _base64(encoded))
    envelope = _envelope(found, b"")
    if not isinstance(data, dict):
        raise poison(Reason.NOT_AN_OBJECT, "the data is no object")
    return msgspec.structs.replace(envelope, data=data)


def _attribute(name: str, raw: bytes | None) -> str:
    if raw is None or len(raw) > MAX_ATTRIBUTE:
        raise poison(Reason.CLOUDEVENTS_ATTRIBUTE, f"{name}: a text of at most {MAX_ATTRIBUTE} bytes is wanted")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise poison(Reason.ENCODING, f"header {name} is not UTF-8") from None


def _check_content(content: str) -> None:
    kind = content.partition(";")[0].strip()
    if kind and not kind.endswith(("/json", "+json")):
        raise poison(Reason.CLOUDEVENTS_FORMAT, "the data's content type is not JSON")


def _base64(text: str | None) -> bytes:
    if text is None:
        raise poison(Reason.CLOUDEVENTS_ATTRIBUTE, "data: missing")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise poison(Reason.CLOUDEVENTS_ATTRIBUTE, "data_base64: not base64") from None


def _envelope(found: Mapping[str, str], data: bytes) -> Envelope:
    if found.get("specversion", "").partition(".")[0] != "1":
        raise poison(Reason.CLOUDEVENTS_VERSION, "specversion: 1.0 is wanted")
    for name in ("id", "source", "type"):
        if not found.get(name):
            raise poison(Reason.CLOUDEVENTS_ATTRIBUTE, f"{name}: missing")
    return Envelope(_what(found["type"]), found["id"], found.get("time"), data)


def _what(kind: str) -> str:
    """The <what> of io.driftline.<what>.v1; minor versions (v1.2) are accepted."""
    what, dot, version = kind.removeprefix(TYPE_PREFIX).rpartition(".v")
    major = version.partition(".")[0]
    if not kind.startswith(TYPE_PREFIX) or not dot or not (major.isascii() and major.isdigit()):
        raise poison(Reason.CLOUDEVENTS_TYPE, "type: not io.driftline.<what>.v1")
    if major != str(MAJOR):
        raise poison(Reason.SCHEMA_VERSION, f"type: only major version {MAJOR} is known here")
    return what
