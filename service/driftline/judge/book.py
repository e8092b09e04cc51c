"""What a model version has shown lately, in equal spans of event time (`stats/shown.py`), and when it was in alarm.

Rolling references and the first reference of a successor are learnt from it. It holds `SPANS` spans a stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from driftline.stats.block import PaneCounts
from driftline.stats.change import Change
from driftline.stats.section import Section
from driftline.stats.shown import Shown

SPANS: Final = 64
"""So that with half of them left out there are still as many as a reference needs to page."""


class Trouble(msgspec.Struct):
    """From an alarm's onset to its end; None while it lasts (ms)."""

    monitor: str
    onset: int
    end: int | None = None


@dataclass
class Book:
    """`spans`: by stream and number of the span, `span_ms` long each."""

    span_ms: int
    spans: dict[str, dict[int, Shown]] = field(default_factory=dict)
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    dirty: set[tuple[str, int]] = field(default_factory=set)

    def add(self, stream: str, section: Section, pane: int, counts: PaneCounts) -> None:
        """A pane that was judged, and holds rows."""
        span = pane // self.span_ms
        spans = self.spans.setdefault(stream, {})
        shown = Shown.of(section, counts)
        held = spans.get(span)
        spans[span] = held + shown if held is not None and held.alike(shown) else shown
        self.dirty.add((stream, span))
        newest = max(spans)
        for old in [s for s in spans if s < newest - SPANS]:
            del spans[old]
            self.dirty.add((stream, old))

    def note(self, stream: str, change: Change) -> None:
        """A change of verdict."""
        troubles = self.troubles.setdefault(stream, [])
        if change.state == "alarm":
            onset = change.onset if change.onset is not None else change.time
            troubles.append(Trouble(change.monitor, onset))
        for trouble in troubles:
            if change.state == "resolved" and trouble.monitor == change.monitor and trouble.end is None:
                trouble.end = change.time
        oldest = change.time - (SPANS + 1) * self.span_ms
        self.troubles[stream] = [t for t in troubles if t.end is None or t.end >= oldest]

    def quiet(self, stream: str, until: int) -> list[Shown]:
        """The last `SPANS` spans that end by `until` (ms) and lie in no trouble, in order."""
        last = until // self.span_ms
        return [
            shown
            for span, shown in sorted(self.spans.get(stream, {}).items())
            if last - SPANS <= span < last and not self._troubled(stream, span)
        ]

    def _troubled(self, stream: str, span: int) -> bool:
        start, end = span * self.span_ms, (span + 1) * self.span_ms
        return any(t.onset < end and (t.end is None or t.end > start) for t in self.troubles.get(stream, []))

    def forget(self, stream: str) -> None:
        """The columns are others now."""
        self.dirty |= {(stream, span) for span in self.spans.pop(stream, {})}
        self.troubles.pop(stream, None)

    def flush(self) -> dict[tuple[str, int], bytes | None]:
        """Bytes of the spans that have changed; None: to be deleted."""
        out = {(stream, span): self._bytes(stream, span) for stream, span in sorted(self.dirty)}
        self.dirty = set()
        return out

    def _bytes(self, stream: str, span: int) -> bytes | None:
        shown = self.spans.get(stream, {}).get(span)
        return None if shown is None else shown.to_bytes()

    def read(self, stream: str, span: int, data: bytes) -> None:
        """Raises StateCorrupt for bytes that `flush` did not give."""
        self.spans.setdefault(stream, {})[span] = Shown.from_bytes(data)
