"""Catalogue D: events late, again, apart and never, through the whole service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from driftline.contracts.blocks import PAIRS as PAIRS_STREAM
from driftline.contracts.blocks import RawBlock
from driftline.runtime.memory_store import MemoryStore
from driftline.stats.codec import pack_arrays, unpack, unpack_arrays
from driftline.stats.duplicates import MONITOR as DUPLICATES
from faults.data import T0, Message
from faults.extra import (
    bundles,
    end_of,
    in_order,
    ledgers,
    outcome,
    plain,
    prediction,
    sent,
    signals,
    stream,
    tallies,
)
from faults.oracle import facts
from faults.world import World
from faults.wrong import BROKEN_FROM, SMALL, N, run, verdicts


async def test_late_events_are_counted_late_and_not_lost() -> None:
    """D40: each is merged into the pane that is open. Mutation: drop what is late in `ModelState._add_binned`."""
    messages = stream(N)
    late = [replace(m, due=m.due + 60_000) for i, m in enumerate(messages) if i > BROKEN_FROM and i % 20 == 0][:-20]
    others = [m for m in messages if m.route not in {late_one.route for late_one in late}]
    world = await run(in_order([*others, *late]), replace(SMALL, max_batch=20))
    counted = tallies(world, "m")
    assert counted["late"] == len(late) > 10
    assert counted["predictions"] == N
    found = facts(world).content["m", "1", "predictions"]
    assert found == facts(await run(messages)).content["m", "1", "predictions"]


async def test_a_day_that_is_replayed_counts_once() -> None:
    """D40: every event again, in order, behind the first time, and once more to the other partition. That is told, and
    nothing else changes. Mutation: take DUPLICATE for NEW in `sort_out`."""
    events = [sent(prediction("m", i, plain(i, np.random.default_rng(i)))) for i in range(N)]
    truths = [sent(outcome("m", i, i % 7 == 0)) for i in range(N)]
    once = in_order([*events, *truths])
    clean, world = await run(once), World(SMALL)
    world.publish(once)
    await world.quiet()
    world.publish(once)
    await world.quiet()
    world.publish([replace(m, route=f"{m.route}/again") for m in once])
    await world.drain(end_of(N))
    counted = tallies(world, "m")
    assert counted["duplicate_predictions"] == 2 * N
    assert {k: v for k, v in counted.items() if not k.startswith("duplicate")} == dict(tallies(clean, "m"))
    assert sum(ledger["unversioned"].get("duplicate_outcomes", 0) for ledger in ledgers(world)) == 2 * N
    assert _all_but_duplicates(world) == _all_but_duplicates(clean)
    of_duplicates = [s.state for s in signals(world) if s.monitor == DUPLICATES]
    assert of_duplicates == ["alarm"]
    assert {s.id for s in signals(world) if s.monitor != DUPLICATES} == {s.id for s in signals(clean)}


def _all_but_duplicates(world: World) -> list[bytes]:
    """What the monitors of `m` hold, without those of duplicates and the last pane that there was."""
    held = []
    for name, data in sorted(verdicts(world, "m").items()):
        if name.startswith("d:"):
            state = unpack_arrays(unpack("monitors", 1, data)[1])
            for of_stream in state.values():
                del of_stream["duplicates"], of_stream["last"]
            data = pack_arrays(state)
        held.append(data)
    return held


async def test_outcomes_early_never_twice_for_nobody_and_elsewhere() -> None:
    """D41: totals of the join are what was sent, orphans are counted, of two outcomes the first counts.
    Mutation: in `memory_store._meet`, let a second outcome replace the first; or count waiting ones as joined."""
    events: list[Message] = []
    each = 40
    for i in range(each):
        for k, kind in enumerate(("early", "never", "unknown", "twice", "apart", "early and twice")):
            number = 6 * i + k
            made, truth = prediction("m", number, {}), outcome("m", number, True)
            wrong = {**truth, "outcome": False}
            at = float(made["time"])
            order: list[tuple[dict[str, Any], float, str]] = {
                "early": [(truth, at, "=0"), (made, at + 5_000, "=0")],
                "never": [(made, at, "=1")],
                "unknown": [({**truth, "id": f"nobody {i}"}, at, "=0")],
                "twice": [(made, at, "=1"), (truth, at + 2_000, "=1"), (wrong, at + 4_000, "=1")],
                "apart": [(made, at, "=0"), (truth, at + 2_000, "=1")],
                "early and twice": [(truth, at, "=1"), (wrong, at + 1_000, "=1"), (made, at + 5_000, "=1")],
            }[kind]
            events += [sent(event, due, route) for event, due, route in order]
    world = await run(in_order(events), n=6 * each)
    counted = tallies(world, "m")
    assert counted["predictions"] == 5 * each
    assert counted["outcomes_joined"] == 4 * each
    unversioned = [ledger["unversioned"] for ledger in ledgers(world)]
    waited = sum(u.get("outcomes_waiting", 0) for u in unversioned)
    assert 3 * each <= waited <= 4 * each, "early ones, those for nobody, and some of those elsewhere"
    assert sum(u.get("duplicate_outcomes", 0) for u in unversioned) == 2 * each
    totals = await MemoryStore(world.server).join_totals()
    assert totals.joined == 4 * each
    assert totals.pending_outcomes == each
    assert totals.pending_predictions == each + world.tail
    errors = _errors(world)
    assert len(errors) == 4 * each
    assert set(errors) == {0.0}, "the second outcome, which was another, counted"


async def test_an_outcome_that_repeats_its_prediction_counts_once() -> None:
    """D41. Mutation: in `sort_out`, ask no answer of the join for whole events: their copies are pairs again."""
    whole = [sent(outcome("m", i, i % 2 == 0) | {"version": "1", "prediction": True}) for i in range(60)]
    again = [replace(m, due=m.due + 9_000) for m in whole[:25]]
    world = await run(in_order([*whole, *again]), n=60)
    counted = tallies(world, "m")
    assert counted["outcomes_joined"] == 60
    assert counted["duplicate_outcomes"] == 25
    assert sorted(_errors(world)) == [0.0] * 30 + [1.0] * 30


async def test_what_waits_too_long_expires_and_is_counted() -> None:
    """D41. Mutation: in `IngestStage.prepare`, never tidy."""
    day = 86_400_000
    world = World(replace(SMALL, partitions=1, ingest=replace(SMALL.ingest, join_days=3)))
    world.publish(stream(50))
    await world.quiet()
    for days in range(1, 6):
        world.publish([sent({**prediction("m", 1_000 * days, {}), "time": T0 + days * day})])
        await world.quiet()
    world.publish([sent(outcome("m", 3, True, 5 * day))])
    await world.drain()
    totals = await MemoryStore(world.server).join_totals()
    assert (totals.expired_predictions, totals.pending_outcomes, totals.joined) == (51, 1, 0), (
        "those of the first two days"
    )


def _errors(world: World) -> list[float]:
    """The column `error` of all pairs that were published (none has a reference here)."""
    blocks = [
        b
        for bundle in bundles(world)
        for b in bundle.blocks
        if isinstance(b, RawBlock) and b.stream == PAIRS_STREAM
    ]
    return [x for block in blocks for x in np.frombuffer(block.columns["error"].numbers, "<f8").tolist()]
