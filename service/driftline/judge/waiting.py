"""Rows that wait for a reference to be learnt from them: the earliest in event time, so many at the most.

What is kept is a function of what came, not of its order: the `most` earliest rows by (time, id). Bytes are
append-only chunks; a row that had to go is not looked for in them, `until` says that it has gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from driftline.contracts.blocks import RawBlock
from driftline.stats.codec import pack, unpack
from driftline.stats.rows import Rows

VERSION = 2
Until = tuple[int, int]
"""(time, id): rows from here on are kept no longer."""


@dataclass
class Waiting:
    """Rows of one stream of a model version, with the name of the chunk that each part was stored under."""

    parts: list[tuple[str, Rows]] = field(default_factory=list)
    until: Until | None = None

    @property
    def n(self) -> int:
        return sum(rows.n for _, rows in self.parts)

    @property
    def rows(self) -> list[Rows]:
        return [rows for _, rows in self.parts]

    def add(self, name: str, rows: Rows, most: int) -> tuple[int, list[str]]:
        """Keep the rows, under a name that is not in use. Returns how many rows, of these or of earlier ones, had
        to go for want of room, and the names of the parts of which none is left."""
        before = self.n + rows.n
        self.parts.append((name, rows))
        gone = self.forget_late()
        if self.n > most:
            times = np.concatenate([part.times for part in self.rows])
            ids = np.concatenate([part.ids for part in self.rows])
            first_out = np.lexsort((ids, times))[most]
            self.until = int(times[first_out]), int(ids[first_out])
            gone += self.forget_late()
        return before - self.n, gone

    def forget_late(self) -> list[str]:
        """Let go of rows from `until` on; the names of the parts of which none is left."""
        if self.until is None:
            return []
        time, id_ = self.until
        gone: list[str] = []
        kept: list[tuple[str, Rows]] = []
        for name, rows in self.parts:
            early = (rows.times < time) | ((rows.times == time) & (rows.ids < np.uint64(id_)))
            if early.all():
                kept.append((name, rows))
            elif early.any():
                kept.append((name, rows.take(np.flatnonzero(early))))
            else:
                gone.append(name)
        self.parts = kept
        return gone


def chunk_to_bytes(block: RawBlock) -> bytes:
    return pack("chunk", VERSION, msgspec.msgpack.encode(block))


def chunk_from_bytes(data: bytes) -> RawBlock:
    """Raises StateCorrupt or msgspec.DecodeError for bytes that `chunk_to_bytes` did not give, StateTooNew."""
    _, body = unpack("chunk", VERSION, data)
    return msgspec.msgpack.decode(body, type=RawBlock)
