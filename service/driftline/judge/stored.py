"""Model versions as fields of a slot, and read back from them.

Fields are written only when dirty: `m:` record and open panes, `d:` detectors, `p:` the profile in force, `q:` those
still to take force, `r:` raw rows in append-only chunks, `w:` spans of the book, `e:` the diary, `s:` days of the
scorecard.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from driftline.contracts.blocks import NO_WATERMARK
from driftline.errors import StateCorrupt
from driftline.judge.book import Book, Trouble
from driftline.judge.diary import Diary
from driftline.judge.duplicates import Duplicates
from driftline.judge.model import ModelState
from driftline.judge.span import STREAMS, Span
from driftline.judge.waiting import Until, chunk_from_bytes
from driftline.registry import ModelKey
from driftline.stats.codec import pack, unpack
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import decode_profile
from driftline.stats.rows import Rows
from driftline.stats.settings import DetectionSettings

VERSION = 2
_PARTS = ("p:", "q:", "d:", "r:", "w:", "e:", "s:")
MODEL_FIELDS = ("m:", *_PARTS)


class ModelRecord(msgspec.Struct):
    """What changes with every bundle."""

    model: str
    version: str
    reset: int
    sequences: dict[str, int]
    tallies: dict[str, int]
    panes: dict[str, dict[int, bytes]]
    closed: dict[str, int]
    raw_rows: dict[str, int]
    raw_until: dict[str, Until]
    raw_chunks: int
    duplicates: Duplicates
    last_judged: int = NO_WATERMARK
    ahead: dict[str, dict[str, dict[int, bytes]]] = {}
    span_ms: int = 0
    troubles: dict[str, list[Trouble]] = {}


def cost_of(state: ModelState) -> int:
    """About how many bytes the next flush will write."""
    spans = [state.panes, *(span.panes for span in state.ahead)]
    panes = sum(len(panes) for held in spans for panes in held.values()) * 1_024 if state.touched else 0
    fixed = sum(len(data) for data in state.dirty.values() if data)
    diary = 1_536 if state.written else 0
    return panes + fixed + diary + state.scorecard.cost + (state.detector_bytes if state.judged else 0)


def flush_model(state: ModelState) -> dict[str, bytes | None]:
    """The dirty fields since the last flush; None: to be deleted."""
    out, state.dirty = state.dirty, {}
    if state.touched:
        out[f"m:{state.hash}"] = pack("model", VERSION, msgspec.msgpack.encode(_record(state)))
    if state.judged and state.monitors is not None:
        out[f"d:{state.hash}"] = detectors = state.monitors.to_bytes()
        state.detector_bytes = len(detectors)
    if state.book is not None:
        out |= {f"w:{state.hash}:{stream}:{span}": data for (stream, span), data in state.book.flush().items()}
    if state.written:
        out[f"e:{state.hash}"] = state.diary.to_bytes()
    out |= {f"s:{state.hash}:{name}": data for name, data in state.scorecard.flush().items()}
    state.touched = state.judged = state.written = False
    state.closings = 0
    return out


def _record(state: ModelState) -> ModelRecord:
    return ModelRecord(
        state.model,
        state.version,
        state.reset,
        state.sequences,
        state.tallies,
        Span(state.profile, state.panes).to_record() if state.profile is not None else {},
        state.closed,
        {stream: state.raw_rows(stream) for stream in STREAMS},
        {stream: w.until for stream, w in state.waiting.items() if w.until is not None},
        state.raw_chunks,
        state.duplicates,
        state.last_judged,
        {span.profile.id: span.to_record() for span in state.ahead},
        state.book.span_ms if state.book is not None else 0,
        state.book.troubles if state.book is not None else {},
    )


def load_models(
    fields: Mapping[str, bytes], settings: DetectionSettings
) -> tuple[dict[ModelKey, ModelState], list[str]]:
    """Every model version in a slot's fields, and the names of fields that cannot be read. A broken detector
    starts cold; a broken record or profile takes only its own model with it. StateTooNew passes through."""
    models: dict[str, ModelState] = {}
    broken: list[str] = []
    records: dict[str, ModelRecord] = {}
    for name in sorted(n for n in fields if n.startswith("m:")):
        try:
            _, body = unpack("model", VERSION, fields[name])
            record = msgspec.msgpack.decode(body, type=ModelRecord)
        except (StateCorrupt, msgspec.DecodeError):
            broken.append(name)
            continue
        state = ModelState(record.model, record.version, settings, record.reset)
        state.sequences, state.tallies, state.raw_chunks = record.sequences, record.tallies, record.raw_chunks
        state.closed, state.last_judged = record.closed, record.last_judged
        state.duplicates = record.duplicates
        if record.span_ms:
            state.book = Book(record.span_ms, {}, record.troubles)
        for stream, until in record.raw_until.items():
            state.waiting[stream].until = until
        models[state.hash] = state
        records[state.hash] = record
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
        record = records[digest]
        state.ahead.sort(key=lambda span: span.profile.judged_from)
        spans = [(span, record.ahead.get(span.profile.id, {})) for span in state.ahead]
        if state.profile is not None:
            spans.append((Span(state.profile, state.panes), record.panes))
        whole = [span.read(panes) for span, panes in spans]
        if not all(whole):
            broken.append(f"m:{digest}")
            state.touched = True  # the stored record goes; the next fold writes what is left of it
        for waiting in state.waiting.values():
            waiting.forget_late()
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
        case "q:":
            state.ahead.append(Span(decode_profile(data)))
        case "w:":
            _, _, stream, span = name.split(":")
            if state.book is not None:
                state.book.read(stream, int(span), data)
        case "e:":
            state.diary = Diary.from_bytes(data)
        case "s:":
            state.scorecard.read(name.split(":")[2], data)
        case _:
            block = chunk_from_bytes(data)
            state.waiting[block.stream].parts.append((name, Rows.from_raw_block(block)))
