"""A refused record as it goes to the `deadletter` topic, and the way back."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Final, Protocol

from driftline.contracts.records import DeadLetter, Origin
from driftline.errors import Poison

MAX_PAYLOAD: Final = 64 * 1024
"""Bytes of a value that a dead letter carries; of a longer one it carries size and hash."""
_MAX_DETAIL: Final = 512
_MAX_TEXT: Final = 512
_MAX_HEADERS: Final = 32


class Refused(Protocol):
    """The record, as any log reads it (`runtime.log.Record` is one)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def dead_letter(record: Refused, poison: Poison, max_payload: int = MAX_PAYLOAD) -> DeadLetter:
    """The dead letter of `record`: at most 4/3 of `max_payload` and 40 kB, whatever the record holds.

    Keys and headers are shown as text, bytes that are no UTF-8 as \\xNN; both are cut, the value never is:
    `payload` is all of it or nothing."""
    value = record.value or b""
    truncated = len(value) > max_payload
    return DeadLetter(
        reason=poison.reason,
        detail=_cut(poison.detail, _MAX_DETAIL),
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        timestamp=record.timestamp,
        size=len(value),
        sha256=hashlib.sha256(value).hexdigest(),
        key=None if record.key is None else _shown(record.key),
        payload=None if record.value is None or truncated else base64.b64encode(value).decode("ascii"),
        truncated=truncated,
        headers={_cut(name, _MAX_TEXT): _shown(raw) for name, raw in list(record.headers)[:_MAX_HEADERS]},
    )


def payload_of(letter: DeadLetter) -> bytes | None:
    """The refused value, None where the letter does not carry it or its hash does not match."""
    if letter.payload is None:
        return None
    try:
        value = base64.b64decode(letter.payload, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if hashlib.sha256(value).hexdigest() == letter.sha256 else None


def _shown(raw: bytes | None) -> str:
    return _cut((raw or b"")[:_MAX_TEXT].decode("utf-8", "backslashreplace"), _MAX_TEXT)


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:most]
