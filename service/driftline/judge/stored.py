"""Model versions read back from the fields that `ModelState.flush` gave."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from driftline.contracts.blocks import RawBlock
from driftline.errors import StateCorrupt
from driftline.judge.book import Book
from driftline.judge.diary import Diary
from driftline.judge.model import VERSION, ModelRecord, ModelState
from driftline.judge.span import Span
from driftline.registry import ModelKey
from driftline.stats.codec import unpack
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import decode_profile
from driftline.stats.rows import Rows
from driftline.stats.settings import DetectionSettings

_PARTS = ("p:", "q:", "d:", "r:", "w:", "e:")
MODEL_FIELDS = ("m:", *_PARTS)


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
        case _:
            _, body = unpack("chunk", VERSION, data)
            block = msgspec.msgpack.decode(body, type=RawBlock)
            state.waiting[block.stream].parts.append((name, Rows.from_raw_block(block)))
