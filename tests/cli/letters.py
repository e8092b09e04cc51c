"""Dead letters and signals for tests of the command line."""

from __future__ import annotations

import base64
import hashlib

import msgspec

from driftline.contracts.records import DeadLetter, Origin, Signal


def dead_letter(
    payload: bytes = b"{",
    *,
    reason: str = "json",
    truncated: bool = False,
    timestamp: int = 1_000,
    key: str | None = "k",
    headers: dict[str, str] | None = None,
    partition: int = 2,
) -> bytes:
    letter = DeadLetter(
        reason=reason,
        detail="a detail",
        origin=Origin(topic="events", partition=partition, offset=7),
        timestamp=timestamp,
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        key=key,
        payload=None if truncated else base64.b64encode(payload).decode(),
        truncated=truncated,
        headers=headers or {},
    )
    return msgspec.json.encode(letter)


def signal(sentence: str = "the error rose", *, model: str = "fraud", sequence: int = 1) -> bytes:
    return msgspec.json.encode(
        Signal(
            id=f"{sequence:032x}",
            model=model,
            version="3",
            monitor="error",
            sequence=sequence,
            state="alarm",
            severity="error",
            time=1_700_000_000_000,
            sentence=sentence,
        )
    )
