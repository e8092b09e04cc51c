"""Catalogue D: input that is wrong, late, double, foreign or hostile. It is counted, and nothing breaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from driftline.contracts.cloudevents import decode_signal
from driftline.contracts.records import Signal
from driftline.stats.codec import unpack
from faults.data import T0, Message, encode
from faults.oracle import facts
from faults.world import NOW, Shape, World

SHAPE = Shape(max_batch=200)
ONE = replace(SHAPE, partitions=1, blocks=1)


def prediction(i: int, time: int, features: dict[str, Any], model: str = "m", **more: Any) -> bytes:
    event = {"type": "prediction", "id": f"e{i}", "model": model, "version": "1", "time": time}
    return encode({**event, "features": features, "prediction": i % 2 == 0, **more})


def outcome(i: int | str, time: int, value: object = True, model: str = "m", **more: Any) -> bytes:
    return encode({"type": "outcome", "id": f"e{i}", "model": model, "time": time, "outcome": value, **more})


def send(world: World, values: list[bytes], partition: int = 0) -> None:
    world.publish([Message(f"={partition}", 0.0, value) for value in values])


def signals(world: World) -> list[Signal]:
    return [decode_signal(r.value or b"", r.headers) for r in world.log.records("signals", 0)]


def tallies(world: World) -> Counter[str]:
    total: Counter[str] = Counter()
    for fields in world.fields("judge").values():
        for name, data in fields.items():
            if name.startswith("m:"):
                record = msgspec.msgpack.decode(unpack("model", 1, data)[1])
                if record["model"] != "tick":
                    total.update(record["tallies"])
    return total


def stream(n: int, seed: int = 0) -> list[tuple[int, dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    return [
        (T0 + i * 300, {"size": float(rng.normal()), "kind": str(rng.choice(["a", "b", "c"]))}) for i in range(n)
    ]


async def run(values: list[bytes], shape: Shape = ONE, end: int = T0 + 10_000_000) -> World:
    world = World(shape)
    send(world, values)
    await world.drain(end)
    return world


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features.size:type", {"size": "large"}),
        ("features.size:missing", {"size": None}),
        ("features.speed:unknown", {"speed": 3.0}),
    ],
)
async def test_a_feature_that_changes_type_disappears_or_appears(name: str, change: dict[str, Any]) -> None:
    """D35: a signal about the schema, no exception. Mutation: leave `self.schema.update` out of
    `StreamMonitors.update`."""
    values = []
    for i, (time, features) in enumerate(stream(2_400)):
        changed = {**features, **change} if i >= 1_600 else features
        values.append(prediction(i, time, {k: v for k, v in changed.items() if v is not None}))
    world = await run(values)
    assert facts(world).counts["m"]["predictions"] == 2_400
    column = name.split(":")[0]
    alarms = {s.monitor for s in signals(world) if s.state == "alarm"}
    assert any(monitor.startswith(column) for monitor in alarms), alarms


async def test_one_new_category_an_event_and_long_strings() -> None:
    """D36: capped table, overflow counters, bounded bytes, and it is said. Mutation: give every unseen category a
    counter of its own."""
    values = [
        prediction(i, time, {**features, "kind": f"new{i}" if i >= 1_600 else features["kind"], "text": "x" * 3_000})
        for i, (time, features) in enumerate(stream(2_400))
    ]
    shape = replace(ONE, ingest=replace(ONE.ingest, max_write_bytes=200_000))
    world = await run(values, shape)
    assert facts(world).counts["m"]["predictions"] == 2_400
    binned = [r.value or b"" for r in world.log.records("blocks", 0)][-6:]
    assert max(map(len, binned)) < 8_000
    assert any(s.monitor.startswith("features.kind") for s in signals(world) if s.state == "alarm")


async def test_more_models_than_the_budget_and_names_that_bite() -> None:
    """D37: admitted up to the budget, the rest counted and said once; names are no keys. Mutation: in
    `JudgeStage._admit`, leave the budget out."""
    budget = 12
    names = ["a{b}", "*", "<!channel>", "../../etc", "ü\u2028", 'q"uote', "sp ace", "%00", "x" * 256]
    names += [f"model-{i}" for i in range(300)]
    shape = replace(ONE, judge=replace(ONE.judge, max_models_per_partition=budget))
    values = [prediction(i, T0 + i, {"x": 1.0}, model=name) for i, name in enumerate(names * 2)]
    world = await run(values, shape)
    records = [name for name in world.fields("judge")[0] if name.startswith("m:")]
    assert len(records) == budget
    assert all(name.isascii() and len(name) < 32 and "{" not in name for name in world.fields("judge")[0])
    said = [s for s in signals(world) if s.monitor.startswith("system:admission")]
    assert len(said) == 1
    assert "max_models_per_partition" in said[0].sentence
    ledger = msgspec.msgpack.decode(unpack("ledger", 1, world.fields("judge")[0]["ledger"])[1], strict=False)
    assert ledger["not_admitted"] == 2 * (len(names) - budget) + world.tail


async def test_ten_thousand_feature_names() -> None:
    """D37: names beyond the limit are refused or capped, never a column each. Mutation: give `FeatureDecoder` no
    `max_names`."""
    values = [prediction(i, time, {**features}) for i, (time, features) in enumerate(stream(1_600))]
    values += [
        prediction(2_000 + i, T0 + 480_000 + i * 300, {f"f{i}-{j}": 1.0 for j in range(50)}) for i in range(200)
    ]
    world = await run(values)
    assert facts(world).counts["m"]["predictions"] == 1_800
    assert max(len(r.value or b"") for r in world.log.records("blocks", 0)) < 120_000


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (253_402_300_799_000, "future"),
        (NOW + 3_600_000, "future"),
        (-5, "time_range"),
        (T0 // 1000, "time_unit"),
        (None, "schema"),
        (86_400_000, None),
        (NOW + 30_000, None),
    ],
)
async def test_one_bad_clock_moves_no_watermark(time: int | None, reason: str | None) -> None:
    """D39: ahead of the broker's clock is refused; old is taken, and late at most. Mutation: take the latest time of
    a range as its watermark."""
    good = [prediction(i, t, f) for i, (t, f) in enumerate(stream(1_600))]
    bad = {"type": "prediction", "id": "bad", "model": "m", "version": "1", "prediction": 1}
    bad |= {} if time is None else {"time": time}
    marked = [value for i, value in enumerate(good) for value in ([encode(bad)] if i == 1_000 else []) + [value]]
    world = await run(marked)
    clean = await run(good)
    found, expected = facts(world), facts(clean)
    assert dict(found.refused) == ({reason: 1} if reason else {})
    assert found.counts["m"]["predictions"] == 1_600 + (reason is None)
    assert tallies(world)["late"] == 0
    if reason:
        assert found.content == expected.content


async def test_beyond_the_lateness_is_counted_late_and_never_dropped() -> None:
    """D40. Mutation: in `ModelState._add_binned`, pass over blocks of closed panes."""
    ordered = [prediction(i, t, f) for i, (t, f) in enumerate(stream(2_000))]
    late = ordered[1_500:1_520]
    world = await run([*ordered[:1_500], *ordered[1_520:1_900], *late, *ordered[1_900:]])
    assert tallies(world)["predictions"] == 2_000
    assert 0 < tallies(world)["late"] <= 20


async def test_a_day_that_is_replayed_counts_once() -> None:
    """D40: duplicates are idempotent within the horizon. Mutation: in `sort_out`, count duplicates too."""
    values = [prediction(i, t, f) for i, (t, f) in enumerate(stream(1_500))]
    values += [outcome(i, T0 + i * 300 + 9_000, i % 3 == 0) for i in range(1_500)]
    once, twice = await run(values), await run(values + values)
    found, expected = facts(twice), facts(once)
    assert found.content == expected.content
    assert found.signals == expected.signals
    assert found.counts["m"]["duplicate_predictions"] == 1_500
    counted = tallies(twice)
    assert (counted["predictions"], counted["outcomes_joined"]) == (1_500, 1_500)


async def test_outcomes_before_never_for_unknown_ids_twice_and_elsewhere() -> None:
    """D41: joined once, orphans wait and expire, the first outcome wins. Mutation: in `_meet`, let the last outcome
    win: a second pair is published."""
    shape = replace(SHAPE, partitions=2, blocks=1)
    world = World(shape)
    send(world, [outcome(i, T0 + 400_000 + i) for i in range(40)], partition=1)
    await world.quiet()
    send(world, [prediction(i, T0 + i * 300, {"x": 1.0}) for i in range(100)])
    send(world, [outcome(i, T0 + 500_000 + i) for i in range(40, 60)], partition=1)
    send(world, [outcome(i, T0 + 600_000 + i, False) for i in range(30)], partition=1)
    send(world, [outcome(f"unknown{i}", T0 + 700_000 + i) for i in range(5)])
    whole = [outcome(f"w{i}", T0 + 50_000, version="1", prediction=False) for i in range(7)]
    send(world, whole + whole[:2])
    await world.drain()
    found = facts(world)
    assert found.counts["m"]["outcomes_joined"] == 60 + 7
    assert found.counts["m"]["duplicate_outcomes"] == 30 + 2
    assert found.counts["m"]["predictions"] == 100
    store = world.workers[0].loop._store
    totals = await store.join_totals()
    assert (totals.pending_predictions, totals.pending_outcomes) == (40, 5)


async def test_what_waits_too_long_expires_and_is_counted() -> None:
    """D41. Mutation: in `IngestStage.prepare`, never tidy."""
    shape = replace(ONE, ingest=replace(ONE.ingest, join_days=3))
    world = World(shape)
    day = 86_400_000
    send(world, [prediction(i, T0 + i, {"x": 1.0}) for i in range(50)])
    await world.quiet()
    for days in (1, 2, 3, 4, 5):
        send(world, [prediction(1_000 * days, T0 + days * day, {"x": 1.0})])
        await world.quiet()
    send(world, [outcome(3, T0 + 5 * day)])
    await world.drain()
    totals = await world.workers[0].loop._store.join_totals()
    assert totals.expired_predictions >= 50
    assert totals.joined == 0
    assert totals.pending_outcomes == 1
