"""The oracle: counts what a world has come to with code of its own, from the published bytes.

A second copy of a range in a `blocks` partition is skipped, ranges must be contiguous. Blocks are brought to one form
(the counts of each pane on the grid of the profile that was learnt), because a fault may move the moment from which
blocks are binned, and must move nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from driftline.contracts.blocks import BinnedBlock, RawBlock
from driftline.contracts.cloudevents import decode_signal
from driftline.stats.block import PaneCounts, add_block, fold_rows
from driftline.stats.codec import unpack
from driftline.stats.profile import Profile, decode_profile
from driftline.stats.rows import Rows
from faults.data import TICK, Feed
from faults.world import World

Key = tuple[str, str]
COUNTED = ("predictions", "outcomes_joined", "duplicate_predictions", "duplicate_outcomes")
_TALLY = ("predictions", "outcomes_joined", "outcomes_waiting", "duplicate_predictions", "duplicate_outcomes")
SERVICE = ("system:state_lost", "system:gap")


@dataclass
class Facts:
    """What a world has come to. Equal runs have equal facts."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    refused: Counter[str] = field(default_factory=Counter)
    records: int = 0
    content: dict[tuple[str, str, str], dict[int, bytes]] = field(default_factory=dict)
    first_rows: dict[tuple[str, str, str], list[tuple[int, int]]] = field(default_factory=dict)
    signals: dict[str, bytes] = field(default_factory=dict)
    profiles: dict[bytes, set[str]] = field(default_factory=lambda: defaultdict(set))
    detectors: dict[str, bytes] = field(default_factory=dict)
    joined: int = 0
    backfilled: int = 0
    judged: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What the judges hold of the same counts; the refused under the empty name."""


def facts(world: World) -> Facts:
    found = Facts()
    latest = _profiles(world, found)
    blocks = _count_bundles(world, found)
    found.records -= world.tail
    for (model, version, stream), parts in blocks.items():
        if model != TICK:
            _content(found, (model, version, stream), parts, latest.get((model, version)))
    for record in world.log.records("signals", 0):
        assert record.value is not None
        signal = decode_signal(record.value, record.headers)
        if not signal.monitor.startswith(SERVICE):
            body = msgspec.json.encode(signal)
            assert found.signals.setdefault(signal.id, body) == body, f"two signals with one id: {signal.monitor}"
    for fields in world.fields("judge").values():
        found.detectors |= {name: data for name, data in fields.items() if name[:2] in ("d:", "p:")}
    _judged(world, found)
    entries = [e for day in world.server.contents.days.values() for e in day.values()]
    found.joined = sum(e.joined for e in entries)
    return found


def _judged(world: World, found: Facts) -> None:
    for fields in world.fields("judge").values():
        for name, data in fields.items():
            if name.startswith("m:"):
                record = msgspec.msgpack.decode(unpack("model", 2, data)[1])
                if record["model"] == TICK:
                    continue
                found.backfilled += record["tallies"].get("backfilled", 0)
                found.judged[record["model"]].update({k: record["tallies"].get(k, 0) for k in COUNTED})
            elif name == "ledger":
                ledger = msgspec.msgpack.decode(unpack("ledger", 1, data)[1], strict=False)
                found.judged[""].update(ledger["refused"])
                for model in ("duplicate_outcomes",):
                    found.judged[""][model] += ledger["unversioned"].get(model, 0)


def service_signals(world: World) -> Counter[str]:
    """How often each signal about the service was published, by monitor."""
    signals = [decode_signal(r.value or b"", r.headers) for r in world.log.records("signals", 0)]
    return Counter(s.monitor for s in signals if s.monitor.startswith(SERVICE))


def _profiles(world: World, found: Facts) -> dict[Key, Profile]:
    latest: dict[Key, Profile] = {}
    for record in world.log.records("profiles", 0):
        if record.value is not None:
            profile = decode_profile(record.value)
            found.profiles[record.key or b""].add(profile.id)
            key = (profile.model, profile.version)
            if key not in latest or latest[key].revision < profile.revision:
                latest[key] = profile
    return latest


def _count_bundles(world: World, found: Facts) -> dict[tuple[str, str, str], list[tuple[int, list[Any]]]]:
    blocks: dict[tuple[str, str, str], list[tuple[int, list[Any]]]] = defaultdict(list)
    for partition in range(world.shape.blocks):
        next_of: dict[int, int] = {}
        carried: set[tuple[int, int]] = set()
        for record in world.log.records("blocks", partition):
            bundle = msgspec.msgpack.decode(record.value or b"", strict=False)
            source, first, after = bundle["source"], bundle["first"], bundle["next"]
            known = next_of.get(source, 0)
            emitted = {(source, offset) for offset in bundle["emitted"]}
            if after <= known and (first < after or after < known or (emitted and emitted <= carried)):
                continue
            assert first == known, f"blocks/{partition}, source {source}: {first} follows {known}"
            assert not emitted & carried, f"pairs were published twice: {sorted(emitted & carried)}"
            carried |= emitted
            next_of[source] = after
            for records, refused in bundle["windows"].values():
                found.records += records
                found.refused.update(refused)
            for model, _, *numbers in bundle["tallies"]:
                if model == TICK:
                    continue
                tally = dict(zip(_TALLY, numbers, strict=False))
                found.counts[model].update({name: tally.get(name, 0) for name in COUNTED})
            for block in bundle["blocks"]:
                blocks[block[1], block[2], block[3]].append((source, block))
        ends = {p: world.log.bounds("events", p).end for p in range(world.shape.partitions)}
        assert next_of == ends, f"blocks/{partition} stands at {next_of}, the events end at {ends}"
    return blocks


def _content(
    found: Facts, key: tuple[str, str, str], parts: list[tuple[int, list[Any]]], profile: Profile | None
) -> None:
    stream = key[2]
    section = profile.section(stream) if profile is not None else None
    since = profile.since(stream) if profile is not None and section is not None else 1 << 62
    rows = [Rows.from_raw_block(msgspec.convert(b, RawBlock)) for _, b in parts if b[0] == "raw"]
    early = [(int(t), int(i)) for r in rows for t, i in zip(r.times, r.ids, strict=True) if t < since]
    found.first_rows[key] = sorted(early)
    if section is None:
        return
    panes: dict[int, PaneCounts] = {}
    for r in rows:
        for pane, counts in fold_rows(section.grid, r.take(np.flatnonzero(r.times >= since))).items():
            panes.setdefault(pane, PaneCounts.empty(len(section.grid.columns), section.grid.joint)).merge(counts)
    for _, block in parts:
        if block[0] == "bin":
            binned = msgspec.convert(block, BinnedBlock)
            counts = panes.setdefault(binned.pane, PaneCounts.empty(len(section.grid.columns), section.grid.joint))
            add_block(counts, binned, section.grid)
    found.content[key] = {pane: counts.to_bytes() for pane, counts in panes.items()}


def assert_true(found: Facts, feed: Feed) -> None:
    """The counts are what was injected: nothing lost, nothing counted twice."""
    truth = feed.truth
    for model in truth.predictions:
        expected = {
            "predictions": truth.predictions[model],
            "outcomes_joined": truth.pairs[model],
            "duplicate_predictions": truth.duplicate_predictions[model],
            "duplicate_outcomes": truth.duplicate_outcomes[model],
        }
        assert dict(found.counts[model]) == expected, model
    assert found.refused == truth.refused
    late = truth.duplicate_outcomes.total()
    assert found.judged[""] == truth.refused + Counter({"duplicate_outcomes": late})
    for model in truth.predictions:
        assert {**found.judged[model], "duplicate_outcomes": 0} == {**found.counts[model], "duplicate_outcomes": 0}


def assert_same(found: Facts, clean: Facts) -> None:
    """Everything that is counted, said and remembered is a clean run's.

    A pair whose halves met in a forgotten memory is published with the next range after its rebuilding; where its
    pane is closed by then it is counted as backfilled, in another pane. Then counts are equal, verdicts need not."""
    assert found.counts == clean.counts
    assert found.refused == clean.refused
    assert found.records == clean.records
    assert found.joined == clean.joined
    if found.backfilled:
        return
    assert found.first_rows == clean.first_rows
    assert found.content.keys() == clean.content.keys()
    for key, panes in clean.content.items():
        assert found.content[key] == panes, key
    assert found.profiles == clean.profiles
    assert found.signals.keys() == clean.signals.keys(), _names(found, clean)
    assert found.signals == clean.signals
    assert found.detectors == clean.detectors


def _names(found: Facts, clean: Facts) -> str:
    def name(body: bytes) -> str:
        signal = msgspec.json.decode(body)
        return f"{signal['model']} {signal['monitor']} {signal['sequence']} {signal['state']} {signal['time']}"

    more = sorted(name(found.signals[i]) for i in found.signals.keys() - clean.signals.keys())
    less = sorted(name(clean.signals[i]) for i in clean.signals.keys() - found.signals.keys())
    return f"more: {more}; missing: {less}"
