"""Judge: bundles in, signals out. Statistics and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from driftline.contracts.blocks import Bundle, ModelTally
from driftline.contracts.cloudevents import decode_signal
from driftline.errors import LogGap, Poison, StateCorrupt
from driftline.judge.learning import Learner, Learning, NewVersion
from driftline.judge.ledger import Ledger
from driftline.judge.model import ModelState
from driftline.judge.onboarding import RAW_FACTOR
from driftline.judge.rebaseline import DAY_MS, Rolling
from driftline.judge.refusals import Refusals
from driftline.judge.signals import Speaker
from driftline.judge.stored import MODEL_FIELDS, cost_of, flush_model, load_models
from driftline.outgoing import dead_letter_record
from driftline.registry import ModelKey, ProfileRegistry, Standing
from driftline.runtime.log import Bounds, LogReader, Outgoing, Record
from driftline.runtime.stage import Batch, Counts, Folded, Recovery
from driftline.runtime.store import Snapshot
from driftline.stats.codec import pack, unpack
from driftline.stats.opinions import river_drift
from driftline.stats.settings import DetectionSettings
from driftline.system_signals import gap_signal, state_lost_signal

LEDGER = "ledger"
LEDGER_VERSION = 1
REFUSALS = "refusals"
MAX_CLOSINGS = 500
"""Panes judged in one fold, about: some tenths of a second, in which the process cannot answer its broker."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What judge learns from, how many models it admits, and what it does over a gap in the ledger."""

    blocks_topic: str = "blocks"
    signals_topic: str = "signals"
    profiles_topic: str = "profiles"
    deadletter_topic: str = "deadletter"
    reference_events: int = 10_000
    reference_pairs: int = 1_000
    new_version: NewVersion = "first_events"
    rolling: Rolling = field(default_factory=Rolling)
    max_models_per_partition: int = 256
    invalid_share: float = 0.01
    max_write_bytes: int = 950_000
    on_gap: Literal["stop", "continue"] = "stop"
    detection: DetectionSettings = field(default_factory=DetectionSettings)

    @property
    def learning(self) -> Learning:
        return Learning(self.reference_events, self.reference_pairs, self.new_version, self.rolling)


@dataclass
class JudgeState:
    """One `blocks` partition: its ledger and its models. Folding consumes it. Where the ledger is
    `unreadable`, the stored fields of models are `useless`: what they have counted is not known."""

    partition: int
    ledger: Ledger
    models: dict[ModelKey, ModelState]
    refusals: Refusals
    unreadable: bool = False
    useless: Sequence[str] = ()


class JudgeStage:
    """Satisfies `runtime.stage.Stage`. The same bundles give the same signals, however they are batched; the same
    events give the same verdicts, however they were partitioned and ordered within the lateness."""

    name = "judge"
    reports_idle = False
    writes_in_prepare = False

    def __init__(self, settings: JudgeSettings, reader: LogReader, registry: ProfileRegistry) -> None:
        self.topic = settings.blocks_topic
        self._settings = settings
        self._reader = reader
        self._registry = registry
        river_drift()  # now, not in the middle of a first fold

    # Taking over

    def load(self, partition: int, fields: Mapping[str, bytes]) -> tuple[JudgeState, Sequence[str]]:
        ledger = Ledger()
        refusals = Refusals(self._settings.invalid_share, self._settings.deadletter_topic)
        if LEDGER in fields:
            try:
                _, body = unpack("ledger", LEDGER_VERSION, fields[LEDGER])
                ledger = msgspec.msgpack.decode(body, type=Ledger)
            except (StateCorrupt, msgspec.DecodeError):
                useless = [name for name in fields if name[:2] in MODEL_FIELDS or name == REFUSALS]
                return JudgeState(partition, ledger, {}, refusals, True, useless), [LEDGER]
        models, broken = load_models(fields, self._settings.detection)
        for model in models.values():
            model.keep_book(self._settings.learning.span_ms)
        if REFUSALS in fields:
            try:
                refusals = Refusals.from_bytes(refusals.at_most, refusals.deadletters, fields[REFUSALS])
            except StateCorrupt:
                broken.append(REFUSALS)
        return JudgeState(partition, ledger, models, refusals), broken

    async def recover(
        self, partition: int, state: JudgeState, snapshot: Snapshot, bounds: Bounds, lost: bool
    ) -> Recovery:
        """The log is the truth: read on from where the store stands, or from its begin. Where that begin is not
        the first bundle ever written, sequence numbers go on from the last that were given out; so they do for a
        model version that was reset: what was said of its former life cannot be found again."""
        anew = snapshot.next is None or state.unreadable
        start = bounds.begin if anew or snapshot.next is None else snapshot.next
        fields = {}
        if anew:
            state.ledger.said = await self._said(every=bounds.begin > 0)
            fields = {LEDGER: _ledger_bytes(state.ledger)} if state.ledger.said else {}
        if not (lost or state.unreadable):
            return Recovery(start, fields=fields)
        notice = state_lost_signal(self._settings.signals_topic, self.name, partition, start, bounds.end)
        return Recovery(start, (), [notice], fields, state.useless)

    async def _said(self, every: bool) -> dict[str, int]:
        """The last sequence number of each monitor, of every model version or of those that were reset."""
        await self._registry.refresh(force=True)
        reset = {key for key, standing in self._registry.all().items() if standing.reset >= 0}
        if not (every or reset):
            return {}
        topic = self._settings.signals_topic
        bounds = (await self._reader.bounds(topic))[0]
        said: dict[str, int] = {}
        for record in await self._reader.read(topic, 0, bounds.begin, bounds.end):
            signal = decode_signal(record.value or b"")
            if not (every or (signal.model, signal.version) in reset):
                continue
            key = "\x1f".join((signal.model, signal.version, signal.monitor))
            said[key] = max(said.get(key, 0), signal.sequence)
        return said

    def announce_gap(self, partition: int, gap: LogGap) -> Sequence[Outgoing]:
        return [gap_signal(self._settings.signals_topic, self.name, partition, gap)]

    # Folding

    async def prepare(self, state: JudgeState, batch: Batch) -> Mapping[ModelKey, Standing]:
        # Whatever profile ingest binned these bundles by was published before them, so before they were read. One look
        # does for all partitions of a poll: at 32 of them looks were half of what a verdict waited for.
        await self._registry.refresh(after=batch.polled)
        return self._registry.all()

    def fold(self, state: JudgeState, batch: Batch, standings: Mapping[ModelKey, Standing]) -> Folded[JudgeState]:
        ledger = state.ledger
        speaker = Speaker(self._settings.signals_topic, ledger.said)
        learner = Learner(self._settings.learning, self._settings.detection, standings, speaker)
        outbox: list[Outgoing] = []
        dirty: dict[str, bytes | None] = {}
        for model in state.models.values():
            self._follow(model, standings)
        reached, size, closings = batch.next, 0, 0
        before = _standing(state)
        for record in batch.records:
            if size > self._settings.max_write_bytes or closings > MAX_CLOSINGS:
                reached = record.offset
                break
            if record.offset in batch.refuse:
                outbox.append(self._refuse(record, batch.refuse[record.offset]))
                continue
            bundle = msgspec.msgpack.decode(record.value or b"", type=Bundle)
            if not ledger.take(bundle, f"{self.topic}/{state.partition}", self._settings.on_gap):
                continue
            for signal in state.refusals.take(bundle, ledger.said):
                speaker.add(signal)
            self._merge(state, bundle, standings, speaker)
            watermark = ledger.watermark()
            if watermark > ledger.closed:
                ledger.closed = watermark
                learner.advance(state.models.values(), watermark)
            size = speaker.size + sum(cost_of(model) for model in state.models.values())
            closings = sum(model.closings for model in state.models.values())
        counts = _counts(state, before, closings, speaker)
        for model in state.models.values():
            dirty |= flush_model(model)
        # Signals before profiles: a profile that is out is adopted, and would not be spoken of again.
        outbox = [*speaker.drain(), *learner.records(self._settings.profiles_topic), *outbox]
        dirty[LEDGER] = _ledger_bytes(ledger)
        if state.refusals.touched:
            dirty[REFUSALS] = state.refusals.to_bytes()
            state.refusals.touched = False
        changed = {name: data for name, data in dirty.items() if data is not None}
        deleted = [name for name, data in dirty.items() if data is None]
        return Folded(state, reached, changed, outbox, deleted, counts=counts)

    def _merge(
        self, state: JudgeState, bundle: Bundle, standings: Mapping[ModelKey, Standing], speaker: Speaker
    ) -> None:
        for tally in bundle.tallies:
            self._tally(state, tally, standings, speaker)
        for block in bundle.blocks:
            model = state.models.get((block.model, block.version))
            if model is not None:
                model.take(block, 2 * RAW_FACTOR * self._settings.reference_events)

    def _tally(
        self,
        state: JudgeState,
        tally: ModelTally,
        standings: Mapping[ModelKey, Standing],
        speaker: Speaker,
    ) -> None:
        if not tally.version:
            unversioned = state.ledger.unversioned
            for name in ("outcomes_waiting", "duplicate_outcomes"):
                unversioned[name] = unversioned.get(name, 0) + getattr(tally, name)
            return
        model = self._admit(state, (tally.model, tally.version), standings, speaker)
        if model is None:
            state.ledger.not_admitted += tally.predictions
        else:
            model.count(tally)

    def _admit(
        self,
        state: JudgeState,
        key: ModelKey,
        standings: Mapping[ModelKey, Standing],
        speaker: Speaker,
    ) -> ModelState | None:
        """A model version is known by a tally that speaks of it. Beyond the budget it is counted, not watched: a
        hostile or broken producer can invent names for ever, and must not cost memory for ever."""
        model = state.models.get(key)
        if model is not None:
            return model
        if len(state.models) >= self._settings.max_models_per_partition:
            speaker.not_admitted(state.partition, key, self._settings.max_models_per_partition, state.ledger.closed)
            return None
        standing = standings.get(key, Standing())
        model = state.models[key] = ModelState(*key, self._settings.detection, reset=standing.reset)
        model.keep_book(self._settings.learning.span_ms)
        self._follow(model, standings)
        return model

    @staticmethod
    def _follow(model: ModelState, standings: Mapping[ModelKey, Standing]) -> None:
        """What the topic `profiles` says now: a reset forgets, what is new takes force at its time."""
        standing = standings.get(model.key)
        if standing is None:
            return
        if standing.reset > model.reset:
            model.forget(standing.reset)
        for profile in model.follow(standing.epochs):
            model.spoken_of(profile)

    def _refuse(self, record: Record, why: Poison) -> Outgoing:
        return dead_letter_record(self._settings.deadletter_topic, 0, record, why)


def _standing(state: JudgeState) -> tuple[int, int]:
    """Late events and predictions not admitted, so far."""
    return sum(m.tallies.get("late", 0) for m in state.models.values()), state.ledger.not_admitted


def is_watched(model: ModelState, now: int) -> bool:
    """Whether something of it was judged in the last day of event time, or begins to be: such share a fleet's
    budget."""
    return model.profile is not None and max(model.last_judged, model.profile.judged_from) > now - DAY_MS


def _counts(state: JudgeState, before: tuple[int, int], closings: int, speaker: Speaker) -> Counts:
    """What metrics say of a fold."""
    late, not_admitted = _standing(state)
    watched = sum(is_watched(model, state.ledger.closed) for model in state.models.values())
    learning = sum(model.profile is None for model in state.models.values())
    return {
        ("driftline_panes_total", ""): closings,
        # A reset takes a model's tallies back.
        ("driftline_late_events_total", ""): max(0, late - before[0]),
        ("driftline_not_admitted_total", ""): not_admitted - before[1],
        ("driftline_models", "learning"): learning,
        ("driftline_models", "watched"): watched,
        ("driftline_models", "silent"): len(state.models) - learning - watched,
    } | {("driftline_signals_total", name): n for name, n in speaker.states.items()}


def _ledger_bytes(ledger: Ledger) -> bytes:
    return pack("ledger", LEDGER_VERSION, msgspec.msgpack.encode(ledger))
