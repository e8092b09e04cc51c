"""Bundles as the backtest needs them: where one ends, and the one that says that nothing more will come."""

from __future__ import annotations

from typing import Final

import msgspec

from driftline.contracts.blocks import Bundle


class _Position(msgspec.Struct):
    source: int
    next: int


_position: Final = msgspec.msgpack.Decoder(_Position).decode


def bundle_position(value: bytes) -> tuple[int, int]:
    """(source, offset after its range): decoding it skips the blocks."""
    found = _position(value)
    return found.source, found.next


def closing_bundle(source: int, sources: int, at: int, watermark: int) -> bytes:
    """An empty range at the end of a source: all it says is how late it is."""
    return msgspec.msgpack.encode(
        Bundle(source=source, sources=sources, first=at, next=at, watermark=watermark, clock=watermark)
    )
