"""The outbox of a write as bytes: what has to be published again if we die before it was acknowledged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from driftline.errors import StateCorrupt
from driftline.runtime.log import Outgoing

_Wire = list[tuple[str, int, bytes | None, bytes | None, list[tuple[str, bytes]]]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode_outbox(records: Sequence[Outgoing]) -> bytes:
    """b"" for an empty outbox."""
    if not records:
        return b""
    return _encoder.encode([(r.topic, r.partition, r.key, r.value, r.headers) for r in records])


def decode_outbox(data: bytes) -> list[Outgoing]:
    """StateCorrupt where the bytes are not an outbox."""
    if not data:
        return []
    try:
        rows = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise StateCorrupt(f"outbox: {error}") from error
    return [Outgoing(topic, part, key, value, tuple(headers)) for topic, part, key, value, headers in rows]
