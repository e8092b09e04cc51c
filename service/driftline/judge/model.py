"""One model version as a judge knows it: its profile, its open panes, its monitors, its first events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftline.contracts.blocks import NO_WATERMARK, PAIRS, PREDICTIONS, BinnedBlock, Block, ModelTally
from driftline.judge.book import Book
from driftline.judge.diary import Diary, counted
from driftline.judge.duplicates import Duplicates
from driftline.judge.scorecard import Scorecard
from driftline.judge.span import STREAMS, Panes, Span, no_panes
from driftline.judge.waiting import Waiting, chunk_to_bytes
from driftline.registry import ModelKey
from driftline.stats.block import PaneCounts, fold_rows, read_block
from driftline.stats.monitors import Change, ModelMonitors
from driftline.stats.profile import Profile, encode_profile
from driftline.stats.rows import Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.succession import epoch_of, extends, hides, order

REFERENCE_MONITOR = "system:reference"


@dataclass
class ModelState:
    """Changes by `take`, `close`, `adopt` and `expect`. `dirty`: fields that changed since the last flush (`stored`),
    None for those to be deleted."""

    model: str
    version: str
    settings: DetectionSettings
    reset: int = -1
    profile: Profile | None = None
    monitors: ModelMonitors | None = None
    panes: Panes = field(default_factory=no_panes)
    ahead: list[Span] = field(default_factory=list)
    closed: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=lambda: {s: Waiting() for s in STREAMS})
    raw_chunks: int = 0
    book: Book | None = None
    last_judged: int = NO_WATERMARK
    """Start of the last pane that was judged, ms."""
    sequences: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, int] = field(default_factory=dict)
    duplicates: Duplicates = field(default_factory=Duplicates)
    diary: Diary = field(default_factory=Diary)
    scorecard: Scorecard = field(default_factory=Scorecard)
    written: bool = False
    """Whether something was written into the diary since the last flush."""
    dirty: dict[str, bytes | None] = field(default_factory=dict)
    touched: bool = False
    judged: bool = False
    closings: int = 0
    """Panes judged since the last flush."""
    detector_bytes: int = 4_096

    @property
    def key(self) -> ModelKey:
        return self.model, self.version

    @property
    def hash(self) -> str:
        text = f"{self.model}\x1f{self.version}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=10).hexdigest()

    def section(self, stream: str) -> Section | None:
        return self.profile.section(stream) if self.profile is not None else None

    def raw_rows(self, stream: str) -> int:
        return self.waiting[stream].n

    @property
    def raw(self) -> dict[str, list[Rows]]:
        """Rows that wait for a reference to be learnt from them."""
        return {stream: waiting.rows for stream, waiting in self.waiting.items()}

    # Taking blocks in

    def count(self, tally: ModelTally) -> None:
        for name in (
            "predictions",
            "outcomes_joined",
            "outcomes_waiting",
            "duplicate_predictions",
            "duplicate_outcomes",
            "before_reference",
        ):
            self._tally(name, getattr(tally, name))
        self.duplicates.add(tally.duplicates_at, self.profile, self._closed(PREDICTIONS))

    def _tally(self, name: str, count: int) -> None:
        if count:
            self.tallies[name] = self.tallies.get(name, 0) + count
            self.touched = True

    def take(self, block: Block, max_raw: int) -> None:
        """Merge a block. What belongs to a pane that is judged already goes to the open one and is counted late
        (pairs: backfilled). StateCorrupt if the block's bytes are none."""
        self.touched = True
        if isinstance(block, BinnedBlock):
            self._add_binned(block)
        else:
            self._take_rows(block.stream, Rows.from_raw_block(block), max_raw)

    def _spans(self) -> list[Span]:
        """The profile in force and those to come, in order of time, each with its panes."""
        return [] if self.profile is None else [Span(self.profile, self.panes), *self.ahead]

    def _add_binned(self, block: BinnedBlock) -> None:
        """To the last span of this grid that has begun by the block's pane, or else the first: so a range binned
        by who had not heard of a new profile yet is judged by the former. After that one's time it is only counted."""
        chosen: Span | None = None
        for span in self._spans():
            section = span.profile.section(block.stream)
            fits = section is not None and section.grid.id == block.grid
            if fits and (chosen is None or span.profile.judged_from <= block.pane):
                chosen = span
        section = chosen.profile.section(block.stream) if chosen is not None else None
        if chosen is None or section is None:
            self._tally("stale_grid", block.n)
        elif block.stream == PAIRS:
            counts = read_block(block, section.grid)
            self._late(PAIRS, chosen.add_counts(section, block.pane, counts, self._closed(PAIRS)))
            self._write_down(section, block.pane, *counted(section, counts))
        else:
            self._late(block.stream, chosen.add_binned(section, block, self._closed(block.stream)))

    def _write_down(self, section: Section, pane: int, n: int, units: int) -> None:
        if n:
            self.diary.add(section, pane, n, units)
            self.written = True

    def write_down(self, section: Section, rows: Rows) -> None:
        """Pairs that came as rows, whether a pane counts them or not."""
        for start, counts in fold_rows(section.grid, rows).items():
            self._write_down(section, start, *counted(section, counts))

    def _take_rows(self, stream: str, rows: Rows, max_raw: int | None) -> None:
        """Bin rows on the grid of their time; keep those from which one is still to be learnt."""
        spans = self._spans()
        if not spans:
            self._keep(stream, rows, max_raw)
            return
        at = epoch_of([span.profile for span in spans], rows.times)
        for i in np.unique(at).tolist():
            span, part = spans[i], rows.take(np.flatnonzero(at == i)) if at.any() else rows
            section = span.profile.section(stream)
            if section is not None:
                self._add_rows(span, section, part)
            if section is None or span.profile.provisional:
                self._keep(stream, part, max_raw)

    def _add_rows(self, span: Span, section: Section, rows: Rows) -> None:
        early, late = span.add_rows(section, rows, self._closed(section.stream))
        self._tally("before_reference", early)
        self._late(section.stream, late)
        if section.stream == PAIRS and not span.profile.provisional:  # else they are kept, and read from there
            self.write_down(section, rows)

    def _late(self, stream: str, rows: int) -> None:
        self._tally("backfilled" if stream == PAIRS else "late", rows)

    def _closed(self, stream: str) -> int:
        return self.closed.get(stream, NO_WATERMARK)

    def _keep(self, stream: str, rows: Rows, most: int | None) -> None:
        """`most` None: they were kept before."""
        name = f"r:{self.hash}:{self.raw_chunks}"
        self.raw_chunks += 1
        self.dirty[name] = chunk_to_bytes(rows.to_raw_block(self.model, self.version, stream))
        dropped, gone = self.waiting[stream].add(
            name, rows, self.raw_rows(stream) + rows.n if most is None else most
        )
        self._tally("onboarding_overflow", dropped)
        for name in gone:
            self.dirty[name] = None

    def _forget_waiting(self, stream: str) -> list[Rows]:
        waiting, self.waiting[stream] = self.waiting[stream], Waiting()
        for name, _ in waiting.parts:
            self.dirty[name] = None
        return waiting.rows

    # Judging

    def close(self, watermark: int) -> Iterator[Change]:
        """Judge every pane that ends at or before the watermark, in order of time; where a profile takes force on
        the way, the panes before by the former and those after by the new one."""
        while self.monitors is not None and self.ahead and self.ahead[0].profile.judged_from <= watermark:
            yield from self._judge_until(None, self.ahead[0].profile.judged_from)
            yield from self._hand_over(self.ahead.pop(0))
        if self.monitors is None:
            return
        yield from self._judge_until(watermark, watermark)
        for change in self.monitors.elapse(watermark):
            self.touched = self.judged = True
            yield change
        for stream in STREAMS:
            if self.section(stream) is not None:
                self.closed[stream] = watermark

    def _judge_until(self, watermark: int | None, until: int) -> Iterator[Change]:
        """None: every pane there is; of duplicates those `until` then."""
        assert self.monitors is not None
        predictions = self.section(PREDICTIONS)
        assert predictions is not None
        pane_ms = predictions.grid.pane_ms
        again = self.duplicates.panes(pane_ms, until)
        for pane in again - self.panes[PREDICTIONS].keys():
            self.panes[PREDICTIONS][pane] = PaneCounts.empty(len(predictions.grid.columns), predictions.grid.joint)
        due = sorted(
            (pane + section.grid.pane_ms, STREAMS.index(stream), pane)
            for stream in STREAMS
            if (section := self.section(stream)) is not None
            for pane in self.panes[stream]
            if watermark is None or pane + section.grid.pane_ms <= watermark
        )
        for _, stream_index, pane in due:
            stream = STREAMS[stream_index]
            counts = self.panes[stream].pop(pane)
            section = self.section(stream)
            self.touched = self.judged = True
            self.closings += 1
            duplicates = self.duplicates.take(pane, pane + pane_ms) if stream == PREDICTIONS else 0
            if counts.n:
                self.last_judged = max(self.last_judged, pane)
            if counts.n and section is not None and self.profile is not None:
                self.scorecard.add(self.profile.scores, section, pane, counts)
                if self.book is not None:
                    self.book.add(stream, section, pane, counts)
            for change in self.monitors.update(stream, pane, counts, duplicates):
                if self.book is not None:
                    self.book.note(stream, change)
                yield change

    def _hand_over(self, span: Span) -> Iterator[Change]:
        """`span` takes force. What its predecessor had open is closed, where nobody watches that any more."""
        former, profile = self.profile, span.profile
        assert former is not None and self.monitors is not None
        after = self.monitors.succeeded(profile)
        kept = after.broken_limits()
        for stream, monitors in sorted(self.monitors.streams.items()):
            for monitor in [name for name in monitors.in_alarm if name not in kept]:
                change = Change(
                    monitor=monitor,
                    state="resolved",
                    severity="info",
                    time=profile.judged_from,
                    onset=profile.judged_from,
                    sentence=f"{monitor} is no longer judged by reference revision {former.revision}: revision "
                    f"{profile.revision} is in force.",
                )
                if self.book is not None:
                    self.book.note(stream, change)
                yield change
        for stream in STREAMS:
            before, now = former.section(stream), profile.section(stream)
            alike = before is not None and now is not None and before.grid.id == now.grid.id
            if self.book is not None and not alike:
                self.book.forget(stream)
        self.dirty[f"q:{self.hash}:{profile.id}"] = None
        self.profile, self.panes = profile, span.panes
        if not profile.provisional:
            self.duplicates.waiting = {}
        self.dirty[f"p:{self.hash}"] = encode_profile(profile)
        self.monitors = after
        self.touched = self.judged = True
        for stream in STREAMS:
            if profile.section(stream) is not None and not profile.provisional:
                # A provisional profile has judged what waited; else rows waited because nothing could judge them.
                judged = former.provisional and former.section(stream) is not None
                for rows in self._forget_waiting(stream):
                    mine = np.flatnonzero(rows.times >= profile.judged_from)
                    self._take_rows(stream, rows.take(mine) if judged else rows, None)

    def adopt(self, profile: Profile) -> None:
        """Judge by `profile` from here on: the first there is, or one that adds a section to that in force, whose
        monitors keep their evidence. Rows that waited for it are judged by it, unless they belong to it."""
        same = self.profile is not None and self.monitors is not None
        self.profile = profile
        self.touched = self.judged = True
        self.dirty[f"p:{self.hash}"] = encode_profile(profile)
        if same and self.monitors is not None:
            self.monitors.adopt(profile)
        else:
            self.monitors = ModelMonitors(profile, self.settings)
            self.panes = no_panes()
            self.duplicates.adopt(profile)
        for stream in STREAMS:
            if self.section(stream) is not None and self.waiting[stream].n:
                for rows in self._forget_waiting(stream):
                    self._take_rows(stream, rows, None)

    def expect(self, profile: Profile) -> None:
        """`profile` will take force at its time. What is here already of that time is its own, where it can be: open
        panes of the same grid, and rows that wait."""
        span = Span(profile)
        self.ahead = sorted([*self.ahead, span], key=lambda s: s.profile.judged_from)
        self.dirty[f"q:{self.hash}:{profile.id}"] = encode_profile(profile)
        self.touched = True
        for stream in STREAMS:
            section = profile.section(stream)
            if section is None or profile.provisional:
                continue
            former = self.section(stream)
            alike = former is not None and former.grid.id == section.grid.id
            for pane in [p for p in self.panes[stream] if p >= profile.judged_from]:
                if alike:
                    span.panes[stream][pane] = self.panes[stream].pop(pane)
                elif self._is_provisional:
                    del self.panes[stream][pane]  # its rows wait, too
            for rows in self._forget_waiting(stream):
                mine = rows.times >= profile.judged_from
                if mine.any():
                    self._add_rows(span, section, rows.take(np.flatnonzero(mine)))
                if not mine.all():
                    self._keep(stream, rows.take(np.flatnonzero(~mine)), None)

    @property
    def _is_provisional(self) -> bool:
        return self.profile is not None and self.profile.provisional

    def follow(self, epochs: Sequence[Profile]) -> list[Profile]:
        """What the topic `profiles` says now of who is in force when. Returns those that are new to us."""
        new: list[Profile] = []
        hidden = [s for s in self.ahead if hides(epochs, s.profile)]
        for span in hidden:
            self.ahead.remove(span)
            self.dirty[f"q:{self.hash}:{span.profile.id}"] = None
            self._tally("stale_grid", span.rows_held())
        for profile in epochs:
            ours = self.profile
            if ours is not None and (
                order(profile) <= order(ours) or profile.id in {s.profile.id for s in self.ahead}
            ):
                continue
            new.append(profile)
            if ours is None or extends(profile, ours):
                self.adopt(profile)
            else:
                self.expect(profile)
        return new

    def forget_waiting_before(self, stream: str, end: int) -> None:
        """The rows before `end` (ms) have become the reference."""
        for rows in self._forget_waiting(stream):
            left = rows.times >= end
            if left.any():
                self._keep(stream, rows.take(np.flatnonzero(left)), None)

    def spoken_of(self, profile: Profile) -> None:
        """The references up to this revision were announced before."""
        if not profile.pinned:
            known = self.sequences.get(REFERENCE_MONITOR, 0)
            self.sequences[REFERENCE_MONITOR] = max(known, profile.revision)

    def forget(self, reset: int) -> None:
        """Start cold: `model reset`. Sequence numbers and tallies go on."""
        self.reset, self.profile, self.monitors = reset, None, None
        self.panes = no_panes()
        for span in self.ahead:
            self.dirty[f"q:{self.hash}:{span.profile.id}"] = None
        self.ahead = []
        self.closed = {}
        self.duplicates = Duplicates()
        self.diary, self.written = Diary(), False
        self.dirty |= {f"s:{self.hash}:{name}": None for name in self.scorecard.forget()}
        for stream in STREAMS:
            self._forget_waiting(stream)
            if self.book is not None:
                self.book.forget(stream)
        self.dirty |= {f"{part}{self.hash}": None for part in ("p:", "d:", "e:")}
        self.touched = True

    def keep_book(self, span_ms: int) -> None:
        """Keep a book of such spans (0: none) from here on; one of other spans is of no use."""
        if (self.book.span_ms if self.book is not None else 0) == span_ms:
            return
        for stream, spans in (self.book.spans if self.book is not None else {}).items():
            for span in spans:
                self.dirty[f"w:{self.hash}:{stream}:{span}"] = None
        self.book = Book(span_ms) if span_ms else None
        self.touched = True
