"""Ingest: events in, bundles of mergeable blocks out. The only stage whose work grows with traffic."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import (
    DUPLICATE_MS,
    NO_WATERMARK,
    PAIRS,
    WINDOW,
    Block,
    Bundle,
    ModelTally,
    WindowTally,
    blocks_partition,
)
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Event, Prediction
from driftline.errors import LogGap, Poison, StateCorrupt
from driftline.ingest.columns import BlockMaker
from driftline.ingest.gather import Gathered, Sorted, by_model, gather, halves, sort_out
from driftline.ingest.ledger import published_ranges
from driftline.ingest.pairs import Pair, offset_of
from driftline.ingest.segments import Asked
from driftline.outgoing import dead_letter_record
from driftline.registry import ModelKey, ProfileRegistry
from driftline.runtime.log import Bounds, LogReader, Outgoing, Record
from driftline.runtime.stage import Batch, Counts, Folded, Oversize, Range, Recovery
from driftline.runtime.store import Slot, Snapshot, Store
from driftline.stats.codec import pack, unpack
from driftline.stats.limit_rules import LimitRule
from driftline.stats.profile import Profile
from driftline.system_signals import gap_signal, state_lost_signal

DAY_MS = 86_400_000
STATE = "state"
STATE_KIND, STATE_VERSION = "ingest", 1
LAST = 100
"""So many events are the end of a range. What a tenth of them says of the time is nobody's clock alone."""


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What ingest does with time, sizes and joins. `sources` is the partition count of the input topic."""

    sources: int
    blocks_partitions: int
    events_topic: str = "events"
    blocks_topic: str = "blocks"
    deadletter_topic: str = "deadletter"
    deadletter_partitions: int = 1
    signals_topic: str = "signals"
    lateness_ms: int = 5_000
    future_ms: int = 60_000
    max_write_bytes: int = 950_000
    join: bool = True
    join_days: int = 30
    positive_class: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[LimitRule, ...] = ()


class IngestState(msgspec.Struct):
    """One input partition's memory: its watermark, the last event-time day on which the join's memory was tidied,
    pairs that were completed while a published range was folded again, whether its last range was idle, and how
    far the watermark may go when nothing more comes. Only recovery changes one in place."""

    watermark: int = NO_WATERMARK
    tidied: int = 0
    carried: tuple[Pair, ...] = ()
    idle: bool = False
    tail: int = NO_WATERMARK


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch decoded and joined, with the profiles that were known when it was, each from its time on."""

    gathered: Gathered
    sorted: Sorted
    predictions: Mapping[ModelKey, Sequence[Prediction]]
    profiles: Mapping[ModelKey, Sequence[Profile]]
    watermark: int
    tail: int


class IngestStage:
    """Satisfies `runtime.stage.Stage`. Folding the same range again gives the same counts, whatever the store
    forgot in between."""

    name = "ingest"
    reports_idle = True

    def __init__(
        self,
        settings: IngestSettings,
        decoder: Decoder,
        store: Store,
        reader: LogReader,
        registry: ProfileRegistry,
    ) -> None:
        self.topic = settings.events_topic
        self._settings = settings
        self._decoder = decoder
        self._store = store
        self._reader = reader
        self._registry = registry
        self._maker = BlockMaker(settings.positive_class, settings.limits)
        self._asked = Asked(settings.limits, PAIRS)
        self.writes_in_prepare = settings.join

    # Taking over

    def load(self, partition: int, fields: Mapping[str, bytes]) -> tuple[IngestState, Sequence[str]]:
        data = fields.get(STATE)
        if data is None:
            return IngestState(), ()
        try:
            _, body = unpack(STATE_KIND, STATE_VERSION, data)
            return msgspec.msgpack.decode(body, type=IngestState), ()
        except (StateCorrupt, msgspec.DecodeError):
            return IngestState(), (STATE,)

    async def recover(
        self, partition: int, state: IngestState, snapshot: Snapshot, bounds: Bounds, lost: bool
    ) -> Recovery:
        """Where the ledger is ahead of the store, its ranges are folded again with the same boundaries: that
        restores the memory of the join, and judges skip what they have."""
        blocks_topic = self._settings.blocks_topic
        published = await published_ranges(self._reader, blocks_topic, partition, snapshot.next)
        fields = {}
        carried = tuple(p for p in state.carried if offset_of(p.origin) not in published.emitted)
        if carried != state.carried:
            state.carried = carried
            fields = {STATE: _state_bytes(state)}
        start = snapshot.next if snapshot.next is not None else bounds.begin
        if not (lost or published.ranges):
            return Recovery(start, fields=fields)
        until = published.ranges[-1].next if published.ranges else start
        # What the input log has let go of cannot be folded again, and need not: the ledger has it.
        ranges = [r for r in published.ranges if r.first >= bounds.begin]
        start = ranges[0].first if ranges else until
        notice = state_lost_signal(self._settings.signals_topic, self.name, partition, start, until)
        return Recovery(start, ranges, [notice], fields)

    def announce_gap(self, partition: int, gap: LogGap) -> Sequence[Outgoing]:
        return [gap_signal(self._settings.signals_topic, self.name, partition, gap)]

    # Folding

    async def prepare(self, state: IngestState, batch: Batch) -> Prepared:
        await self._registry.refresh()
        gathered = gather(self._decoder, batch, self._settings.future_ms)
        events = gathered.events
        watermark, tail = self._watermark(state, batch, events)
        day = watermark // DAY_MS if watermark > NO_WATERMARK else 0
        meetings = None
        if self._settings.join and events:
            asked = halves(batch, gathered, self._settings.blocks_partitions, self._asked)
            meetings = await self._store.join(day, asked) if asked else ()
            if day > state.tidied:
                await self._tidy(day, batch.partition)
        sorted_out = sort_out(batch, gathered, meetings, self._asked)
        predictions = by_model(sorted_out.predictions)
        keys = {*predictions, *((p.model, p.version) for p in (*sorted_out.pairs, *state.carried))}
        return Prepared(gathered, sorted_out, predictions, self._registry.epochs_of(keys), watermark, tail)

    async def _tidy(self, day: int, partition: int) -> None:
        """Let go of halves written `join_days` before the day of the source that is furthest behind, and of nothing
        while a source has shown no event. Sources that are idle hold nothing up. Were it our own day, a source
        that reads a backlog ahead of the others would take from them what they are still to join."""
        for source in range(self._settings.sources):
            if source != partition:
                snapshot = await self._store.read(Slot(self.name, source))
                other, _ = self.load(source, snapshot.fields)
                if not other.idle:
                    day = min(day, _day(other.watermark))
        await self._store.expire(day - self._settings.join_days)

    def _watermark(self, state: IngestState, batch: Batch, events: Sequence[Event]) -> tuple[int, int]:
        """The running maximum over ranges of the median event time, less the lateness: one bad clock, or a few,
        cannot move it. And its tail, the ninth decile, of the last events or of all: there it goes when the log has
        ended and stays so, because no later range will take it to the last events. The tenth of a long range can be
        days; a range of the last few would not have left it out."""
        if not events:
            return (max(state.watermark, state.tail) if batch.idle else state.watermark), state.tail
        times = np.fromiter([e.time for e in events], np.int64, len(events))
        lateness = self._settings.lateness_ms
        tail = max(_quantile(times, 9), _quantile(times[-LAST:], 9)) - lateness
        return max(state.watermark, _quantile(times, 5) - lateness), max(state.tail, tail)

    def fold(self, state: IngestState, batch: Batch, prepared: Prepared) -> Folded[IngestState]:
        again = batch.again
        pairs, carried = self._now_and_later([*state.carried, *prepared.sorted.pairs], again)
        outbox: list[Outgoing] = []
        dead_letters = 0
        if again is None or not again.settled:
            shares = _Shares(self._settings.blocks_partitions)
            self._fold_predictions(shares, prepared)
            self._fold_pairs(shares, pairs, prepared.profiles)
            shares.count_rest(prepared.sorted)
            outbox = [self._dead_letter(batch, *refused) for refused in prepared.gathered.refused]
            dead_letters = len(outbox)
            outbox += self._bundles(shares, batch, prepared)
        size = sum(len(r.value or b"") for r in outbox)
        if size > self._settings.max_write_bytes and len(batch.records) > 1 and again is None:
            raise Oversize(f"{size} bytes of bundles")
        tidied = max(state.tidied, _day(prepared.watermark))
        after = IngestState(prepared.watermark, tidied, carried, batch.idle, prepared.tail)
        counts = _counts(prepared, len(pairs), fresh=again is None)
        return Folded(after, batch.next, {STATE: _state_bytes(after)}, outbox, (), dead_letters, counts)

    def _now_and_later(self, pairs: Sequence[Pair], again: Range | None) -> tuple[Sequence[Pair], tuple[Pair, ...]]:
        """A bundle that is published keeps its content: pairs that belong into one wait for the next range."""
        if again is None:
            return pairs, ()
        partitions = self._settings.blocks_partitions
        late = tuple(p for p in pairs if blocks_partition(p.model, partitions) in again.held)
        return [p for p in pairs if p not in late], late

    def _fold_predictions(self, shares: _Shares, prepared: Prepared) -> None:
        groups = prepared.predictions
        for key, blocks, early in self._maker.predictions(groups, prepared.profiles):
            shares.add(key, blocks, predictions=len(groups[key]), before_reference=early)

    def _fold_pairs(
        self, shares: _Shares, pairs: Sequence[Pair], profiles: Mapping[ModelKey, Sequence[Profile]]
    ) -> None:
        for key, of_model in by_model(pairs).items():
            blocks, _ = self._maker.pairs(*key, of_model, profiles.get(key, ()))
            shares.add(key, blocks, outcomes_joined=len(of_model))
            shares.of(key[0]).emitted.extend(offset_of(p.origin) for p in of_model)

    def _bundles(self, shares: _Shares, batch: Batch, prepared: Prepared) -> list[Outgoing]:
        settings = self._settings
        speaks = batch.partition % settings.blocks_partitions
        windows = _windows(batch.records, prepared.gathered.refused)
        key = str(batch.partition).encode()
        held = batch.again.held if batch.again is not None else frozenset()
        out = []
        for partition, share in enumerate(shares.shares):
            if partition in held:
                continue
            bundle = Bundle(
                source=batch.partition,
                sources=settings.sources,
                first=batch.first,
                next=batch.next,
                watermark=prepared.watermark,
                clock=batch.clock,
                idle=batch.idle,
                blocks=share.blocks,
                tallies=share.tallies(),
                emitted=sorted(share.emitted),
                duplicates=sorted(share.duplicates),
                windows=windows if partition == speaks else {},
            )
            out.append(Outgoing(settings.blocks_topic, partition, key, msgspec.msgpack.encode(bundle)))
        return out

    def _dead_letter(self, batch: Batch, record: Record, why: Poison) -> Outgoing:
        partition = batch.partition % self._settings.deadletter_partitions
        return dead_letter_record(self._settings.deadletter_topic, partition, record, why)


class _Share:
    """What a range holds for one `blocks` partition."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.emitted: list[int] = []
        self.duplicates: list[int] = []
        self.counts: dict[ModelKey, dict[str, int]] = {}
        self.duplicates_at: dict[ModelKey, dict[int, int]] = {}

    def tallies(self) -> list[ModelTally]:
        return [
            ModelTally(model, version, **counts, duplicates_at=self.duplicates_at.get((model, version), {}))
            for (model, version), counts in sorted(self.counts.items())
        ]


class _Shares:
    """All `blocks` partitions' shares of a range."""

    def __init__(self, partitions: int) -> None:
        self.shares = [_Share() for _ in range(partitions)]

    def of(self, model: str) -> _Share:
        return self.shares[blocks_partition(model, len(self.shares))]

    def add(self, key: ModelKey, blocks: Sequence[Block], **counts: int) -> None:
        share = self.of(key[0])
        share.blocks.extend(blocks)
        tally = share.counts.setdefault(key, counts)
        if tally is counts:
            return
        for name, count in counts.items():
            tally[name] = tally.get(name, 0) + count

    def count_rest(self, sorted_out: Sorted) -> None:
        """Duplicates and waiting outcomes: counted under the model; an outcome alone knows no version."""
        for offset, event in sorted_out.duplicates:
            self.of(event.model).duplicates.append(offset)
            if isinstance(event, Prediction):
                self.add((event.model, event.version), (), duplicate_predictions=1)
                at = event.time // DUPLICATE_MS * DUPLICATE_MS
                by_time = self.of(event.model).duplicates_at.setdefault((event.model, event.version), {})
                by_time[at] = by_time.get(at, 0) + 1
            else:
                self.add((event.model, event.version or ""), (), duplicate_outcomes=1)
        for outcome in sorted_out.waiting:
            self.add((outcome.model, outcome.version or ""), (), outcomes_waiting=1)


def _counts(prepared: Prepared, pairs: int, fresh: bool) -> Counts:
    """What metrics say of a range. One that is folded again has been counted before."""
    counts: dict[tuple[str, str], float] = {}
    if prepared.watermark > NO_WATERMARK:
        counts["driftline_watermark_timestamp_seconds", ""] = prepared.watermark / 1000
    if fresh:
        reasons = Counter(why.reason for _, why in prepared.gathered.refused)
        kinds = Counter(type(event) is Prediction for _, event in prepared.sorted.duplicates)
        counts |= {("driftline_refused_total", reason): n for reason, n in reasons.items()}
        counts["driftline_duplicates_total", "prediction"] = kinds[True]
        counts["driftline_duplicates_total", "outcome"] = kinds[False]
        counts["driftline_join_total", "paired"] = pairs
        counts["driftline_join_total", "waiting"] = len(prepared.sorted.waiting)
    return counts


def _windows(records: Sequence[Record], refused: Sequence[tuple[Record, Poison]]) -> dict[int, WindowTally]:
    """Records, in the order of their offsets, and those refused, by window."""
    windows: dict[int, WindowTally] = {}
    first = 0
    while first < len(records):
        at = records[first].offset // WINDOW
        end = bisect_left(records, (at + 1) * WINDOW, first, key=_offset)
        windows[at] = WindowTally(end - first, {})
        first = end
    for record, why in refused:
        of_window = windows[record.offset // WINDOW].refused
        of_window[why.reason] = of_window.get(why.reason, 0) + 1
    return windows


def _offset(record: Record) -> int:
    return record.offset


def _state_bytes(state: IngestState) -> bytes:
    return pack(STATE_KIND, STATE_VERSION, msgspec.msgpack.encode(state))


def _quantile(times: npt.NDArray[np.int64], tenths: int) -> int:
    at = (len(times) - 1) * tenths // 10
    return int(np.partition(times, at)[at])


def _day(watermark: int) -> int:
    return watermark // DAY_MS if watermark > NO_WATERMARK else 0
