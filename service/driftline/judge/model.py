"""One model version as a judge knows it: its profile, its open panes, its monitors, its first events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from driftline.contracts.blocks import NO_WATERMARK, PAIRS, PREDICTIONS, BinnedBlock, Block, ModelTally, RawBlock
from driftline.errors import StateCorrupt
from driftline.judge.diary import Diary, counted
from driftline.registry import ModelKey
from driftline.stats.block import PaneCounts, add_block, fold_rows
from driftline.stats.codec import pack, unpack
from driftline.stats.monitors import Change, ModelMonitors
from driftline.stats.profile import Profile, decode_profile, encode_profile
from driftline.stats.rows import Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings

STREAMS = (PREDICTIONS, PAIRS)
VERSION = 1
REFERENCE_MONITOR = "system:reference"
_PARTS = ("p:", "d:", "r:", "e:")
MODEL_FIELDS = ("m:", *_PARTS)


class _Record(msgspec.Struct):
    """What changes with every bundle."""

    model: str
    version: str
    reset: int
    sequences: dict[str, int]
    tallies: dict[str, int]
    panes: dict[str, dict[int, bytes]]
    closed: dict[str, int]
    raw_rows: dict[str, int]
    raw_chunks: int


@dataclass
class ModelState:
    """Changes by `take`, `close` and `adopt`. Its bytes are five kinds of fields, written only when dirty: `m:`
    record and open panes, `d:` detectors, `p:` profile, `r:` raw rows in append-only chunks, `e:` the diary."""

    model: str
    version: str
    settings: DetectionSettings
    reset: int = -1
    profile: Profile | None = None
    monitors: ModelMonitors | None = None
    panes: dict[str, dict[int, PaneCounts]] = field(default_factory=lambda: {s: {} for s in STREAMS})
    closed: dict[str, int] = field(default_factory=dict)
    raw: dict[str, list[Rows]] = field(default_factory=lambda: {s: [] for s in STREAMS})
    raw_chunks: int = 0
    chunk_names: list[str] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, int] = field(default_factory=dict)
    diary: Diary = field(default_factory=Diary)
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
        return sum(rows.n for rows in self.raw[stream])

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

    def _tally(self, name: str, count: int) -> None:
        if count:
            self.tallies[name] = self.tallies.get(name, 0) + count
            self.touched = True

    def take(self, block: Block, max_raw: int) -> None:
        """Merge a block. What belongs to a pane that is judged already goes to the open one and is counted late
        (pairs: backfilled). StateCorrupt if the block's bytes are none."""
        self.touched = True
        section = self.section(block.stream)
        if isinstance(block, BinnedBlock):
            if section is None or block.grid != section.grid.id:
                self._tally("stale_grid", block.n)
            else:
                self._add_binned(section, block)
        elif section is None:
            self._keep(block, max_raw)
        else:
            self._add_rows(section, Rows.from_raw_block(block))

    def _add_binned(self, section: Section, block: BinnedBlock) -> None:
        pane = self._open_pane(section, block.pane)
        if pane != block.pane:
            self._tally("backfilled" if block.stream == PAIRS else "late", block.n)
        counts = self.panes[block.stream].get(pane)
        if counts is None:
            counts = self.panes[block.stream][pane] = PaneCounts.empty(len(section.grid.columns))
        n, units = counted(section, counts)
        add_block(counts, block, section.grid)
        n_now, units_now = counted(section, counts)
        self._write_down(section, block.pane, n_now - n, units_now - units)

    def _write_down(self, section: Section, pane: int, n: int, units: int) -> None:
        if n:
            self.diary.add(section, pane, n, units)
            self.written = True

    def write_down(self, section: Section, rows: Rows) -> None:
        """Pairs that no pane counts: those of the reference itself, and older ones."""
        for start, counts in fold_rows(section.grid, rows).items():
            self._write_down(section, start, *counted(section, counts))

    def _add_rows(self, section: Section, rows: Rows) -> None:
        assert self.profile is not None
        since = self.profile.since(section.stream)
        early = rows.times < since
        if early.any():
            self._tally("before_reference", int(early.sum()))
            self.write_down(section, rows.take(np.flatnonzero(early)))
            rows = rows.take(np.flatnonzero(~early))
        for start, counts in fold_rows(section.grid, rows).items():
            self._write_down(section, start, *counted(section, counts))
            pane = self._open_pane(section, start)
            if pane != start:
                self._tally("backfilled" if section.stream == PAIRS else "late", counts.n)
            panes = self.panes[section.stream]
            if pane in panes:
                panes[pane].merge(counts)
            else:
                panes[pane] = counts

    def _open_pane(self, section: Section, pane: int) -> int:
        """The pane itself while it is open, else the one the watermark stands in. What a stream has not judged
        yet is open, wherever the watermark is: its reference may only just have been learnt."""
        length, closed = section.grid.pane_ms, self.closed.get(section.stream, NO_WATERMARK)
        return pane if pane + length > closed else closed // length * length

    def _keep(self, block: RawBlock, max_raw: int) -> None:
        if self.raw_rows(block.stream) + block.n > max_raw:
            self._tally("onboarding_overflow", block.n)
            return
        self.raw[block.stream].append(Rows.from_raw_block(block))
        name = f"r:{self.hash}:{self.raw_chunks}"
        self.raw_chunks += 1
        self.chunk_names.append(name)
        self.dirty[name] = pack("chunk", VERSION, msgspec.msgpack.encode(block))

    # Judging

    def close(self, watermark: int) -> Iterator[Change]:
        """Judge every pane that ends at or before the watermark, in order of time."""
        if self.monitors is None:
            return
        due = sorted(
            (pane + section.grid.pane_ms, STREAMS.index(stream), pane)
            for stream in STREAMS
            if (section := self.section(stream)) is not None
            for pane in self.panes[stream]
            if pane + section.grid.pane_ms <= watermark
        )
        for _, stream_index, pane in due:
            stream = STREAMS[stream_index]
            counts = self.panes[stream].pop(pane)
            self.touched = self.judged = True
            self.closings += 1
            yield from self.monitors.update(stream, pane, counts)
        for stream in STREAMS:
            if self.section(stream) is not None:
                self.closed[stream] = watermark

    def adopt(self, profile: Profile) -> None:
        """Judge by `profile` from here on. Monitors of an unchanged grid keep their evidence; raw rows that waited
        for a reference are judged by it, unless they belong to it."""
        former = self.profile
        same = former is not None and former.predictions.grid.id == profile.predictions.grid.id
        self.profile = profile
        self.touched = self.judged = True
        self.dirty[f"p:{self.hash}"] = encode_profile(profile)
        if same and self.monitors is not None:
            self.monitors.adopt(profile)
        else:
            self.monitors = ModelMonitors(profile, self.settings)
            self.panes = {stream: {} for stream in STREAMS}
        waiting, self.raw = self.raw, {stream: [] for stream in STREAMS}
        self._forget_chunks()
        for stream, parts in waiting.items():
            section = self.section(stream)
            for rows in parts:
                if section is None:
                    block = rows.to_raw_block(self.model, self.version, stream)
                    self._keep(block, self.raw_rows(stream) + rows.n)
                else:
                    self._add_rows(section, rows)

    def spoken_of(self, profile: Profile) -> None:
        """The references up to this revision were announced before."""
        if profile.source == "first_events":
            known = self.sequences.get(REFERENCE_MONITOR, 0)
            self.sequences[REFERENCE_MONITOR] = max(known, profile.revision)

    def _forget_chunks(self) -> None:
        for name in self.chunk_names:
            self.dirty[name] = None
        self.chunk_names = []

    def forget(self, reset: int) -> None:
        """Start cold: `model reset`. Sequence numbers and tallies go on."""
        self.reset, self.profile, self.monitors = reset, None, None
        self.panes = {stream: {} for stream in STREAMS}
        self.closed = {}
        self.diary, self.written = Diary(), False
        self.raw = {stream: [] for stream in STREAMS}
        self._forget_chunks()
        self.dirty |= {f"{part}{self.hash}": None for part in ("p:", "d:", "e:")}
        self.touched = True

    # Bytes

    @property
    def cost(self) -> int:
        """About how many bytes the next flush will write."""
        panes = sum(len(panes) for panes in self.panes.values()) * 1_024 if self.touched else 0
        fixed = sum(len(data) for data in self.dirty.values() if data)
        diary = 1_536 if self.written else 0
        return panes + fixed + diary + (self.detector_bytes if self.judged else 0)

    def flush(self) -> dict[str, bytes | None]:
        """The dirty fields since the last flush; None: to be deleted."""
        out, self.dirty = self.dirty, {}
        if self.touched:
            record = _Record(
                self.model,
                self.version,
                self.reset,
                self.sequences,
                self.tallies,
                {
                    stream: {pane: counts.to_bytes() for pane, counts in panes.items()}
                    for stream, panes in self.panes.items()
                    if panes and self.section(stream) is not None
                },
                self.closed,
                {stream: self.raw_rows(stream) for stream in STREAMS},
                self.raw_chunks,
            )
            out[f"m:{self.hash}"] = pack("model", VERSION, msgspec.msgpack.encode(record))
        if self.judged and self.monitors is not None:
            out[f"d:{self.hash}"] = detectors = self.monitors.to_bytes()
            self.detector_bytes = len(detectors)
        if self.written:
            out[f"e:{self.hash}"] = self.diary.to_bytes()
        self.touched = self.judged = self.written = False
        self.closings = 0
        return out


def load_models(
    fields: Mapping[str, bytes], settings: DetectionSettings
) -> tuple[dict[ModelKey, ModelState], list[str]]:
    """Every model version in a slot's fields, and the names of fields that cannot be read. A broken detector
    starts cold; a broken record or profile takes only its own model with it. StateTooNew passes through."""
    models: dict[str, ModelState] = {}
    broken: list[str] = []
    open_panes: dict[str, dict[str, dict[int, bytes]]] = {}
    for name in sorted(n for n in fields if n.startswith("m:")):
        try:
            _, body = unpack("model", VERSION, fields[name])
            record = msgspec.msgpack.decode(body, type=_Record)
        except (StateCorrupt, msgspec.DecodeError):
            broken.append(name)
            continue
        state = ModelState(record.model, record.version, settings, record.reset)
        state.sequences, state.tallies, state.raw_chunks = record.sequences, record.tallies, record.raw_chunks
        state.closed = record.closed
        models[state.hash] = state
        open_panes[state.hash] = record.panes
    # Profiles first: detectors are read against theirs.
    for name in sorted((n for n in fields if n[:2] in _PARTS), key=lambda n: (_PARTS.index(n[:2]), len(n), n)):
        state_of = models.get(name.split(":")[1])
        try:
            if state_of is None:
                raise StateCorrupt(f"{name} belongs to no model")
            _load_field(state_of, name, fields)
        except (StateCorrupt, msgspec.DecodeError):
            broken.append(name)
    for digest, state in models.items():
        if state.profile is not None and state.monitors is None:
            state.monitors = ModelMonitors(state.profile, settings)
        for stream, panes in open_panes[digest].items():
            section = state.section(stream)
            if section is None:
                continue
            for pane, data in panes.items():
                try:
                    state.panes[stream][pane] = PaneCounts.from_bytes(section.grid, data)
                except StateCorrupt:
                    broken.append(f"m:{digest}")
                    state.touched = True  # the stored record goes; the next fold writes what is left of it
    return {state.key: state for state in models.values()}, sorted(set(broken))


def _load_field(state: ModelState, name: str, fields: Mapping[str, bytes]) -> None:
    data = fields[name]
    match name[:2]:
        case "p:":
            state.profile = decode_profile(data)
        case "d:":
            if state.profile is None:
                raise StateCorrupt(f"{name} has no profile")
            state.monitors = ModelMonitors.from_bytes(state.profile, state.settings, data)
        case "e:":
            state.diary = Diary.from_bytes(data)
        case _:
            _, body = unpack("chunk", VERSION, data)
            block = msgspec.msgpack.decode(body, type=RawBlock)
            state.raw[block.stream].append(Rows.from_raw_block(block))
            state.chunk_names.append(name)
