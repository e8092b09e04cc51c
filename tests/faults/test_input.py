"""Catalogue D: what producers get wrong, or do on purpose, through the whole service."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from driftline.contracts.blocks import PAIRS as PAIRS_STREAM
from driftline.contracts.blocks import BinnedBlock, RawBlock
from driftline.contracts.limits import MAX_TIME
from driftline.judge.stage import JudgeSettings
from driftline.runtime.memory_store import MemoryStore
from driftline.stats.codec import pack_arrays, unpack, unpack_arrays
from driftline.stats.duplicates import MONITOR as DUPLICATES
from driftline.stats.profile import decode_profile
from driftline.stats.settings import DetectionSettings
from faults.data import EVENTS, PAIRS, STEP_MS, T0, Message
from faults.extra import (
    alarms,
    bundles,
    complaints,
    end_of,
    in_order,
    judge_bytes,
    ledgers,
    letters,
    outcome,
    plain,
    prediction,
    refusals,
    sent,
    signals,
    stream,
    tallies,
)
from faults.oracle import facts
from faults.world import NOW, Shape, World

N = 2_400
BROKEN_FROM = 1_600
SMALL = Shape(max_batch=100)
KEYS = re.compile(r"(ledger|refusals|structure|fingerprint|[mdp]:[0-9a-f]{20}|r:[0-9a-f]{20}:[0-9]+)\Z")


async def run(messages: list[Message], shape: Shape = SMALL, n: int = N) -> World:
    world = World(shape)
    world.publish(messages)
    await world.drain(end_of(n))
    assert not complaints(world)
    return world


def _verdicts(world: World, model: str) -> dict[str, bytes]:
    digest = hashlib.blake2b(f"{model}\x1f1".encode(), digest_size=10).hexdigest()
    return {name: data for name, data in facts(world).detectors.items() if digest in name}


# D35


async def test_features_that_change_type_disappear_and_appear() -> None:
    """D35: three schema signals, later resolved, and no exception. Mutation: leave `self._names()` or
    `self._columns()` out of `SchemaRules.update`."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        made = plain(i, rng)
        if BROKEN_FROM <= i < BROKEN_FROM + 500:
            made["amount"] = "twelve"
            made["colour"] = "green"
            del made["age"]
        return made

    world = await run(stream(N, features))
    said = [(s.monitor, s.state, s.sentence) for s in signals(world) if s.monitor.endswith(":schema")]
    expected = {
        "features.age": "features.age has disappeared",
        "features.amount": "features.amount has changed its type",
        "features.colour": "features.colour has appeared",
    }
    assert sorted(m for m, state, _ in said if state == "alarm") == [f"{name}:schema" for name in expected]
    assert sorted(m for m, state, _ in said if state == "resolved") == [f"{name}:schema" for name in expected]
    for monitor, state, sentence in said:
        name = monitor.removesuffix(":schema")
        known = "has appeared" if name == "features.colour" else "is gone or of another type"
        resolved = f"No longer true: {name} {known}"
        assert sentence.startswith(expected[name] if state == "alarm" else resolved)
    assert tallies(world, "m")["predictions"] == N
    assert not letters(world)


@pytest.mark.parametrize(
    "value",
    [True, None, "1.5", [1, 2], {"a": {"b": 1}}, "NaN", "RAW1e400RAW", "RAW18446744073709551616RAW", "RAW-0.0RAW"],
)
async def test_any_value_may_stand_where_a_number_stood(value: object) -> None:
    """D35. Mutation: in `cells._one_cell`, let ValidationError pass: one 1e400 stops the fold."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        return {**plain(i, rng), **({"amount": value} if i >= BROKEN_FROM else {})}

    messages = stream(N, features)
    messages = [
        replace(m, value=m.value.replace(b'"amount":"RAW', b'"amount":').replace(b'RAW"', b"")) for m in messages
    ]
    world = await run(messages)
    assert tallies(world, "m")["predictions"] == N
    assert any(monitor.startswith("features.amount:") for monitor, _ in alarms(world))
    assert not any(monitor.startswith(("features.age:", "features.place:")) for monitor, _ in alarms(world))


# D36


def _new_place(i: int, rng: np.random.Generator) -> dict[str, Any]:
    return {**plain(i, rng), **({"place": f"street {i}"} if i >= BROKEN_FROM else {})}


async def test_a_new_category_with_every_event() -> None:
    """D36: the table is frozen, what is new goes to 64 counters, and is said. Mutation: in `grid._Table`,
    remember the code of what is missing as that of a category."""
    world = await run(stream(N, _new_place))
    assert ("features.place:cardinality", "alarm") in alarms(world)
    longer = await run(stream(N + 2_000, _new_place), n=N + 2_000)
    assert judge_bytes(longer) < 1.05 * judge_bytes(world) + 4_096


async def test_a_new_category_with_every_event_from_the_first_on() -> None:
    """D36: the reference keeps so many categories, whatever comes, and nothing has changed. Mutation: do not cut
    `_categories` off, or compare with UNSEEN_SHARE alone in `SchemaRules._overflowing`."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        return {"place": f"street {i}", "amount": float(rng.normal())}

    world = await run(stream(N, features))
    sizes = [len(data) for data in _verdicts(world, "m").values()]
    assert sizes
    assert sum(sizes) < 60_000
    assert tallies(world, "m")["predictions"] == N
    assert not alarms(world), "it has always been so"


async def test_texts_of_a_megabyte() -> None:
    """D36: over the limit of a record they are refused with size and hash; below it they are one category each,
    told apart by hash, of bounded size. Mutation: give `text` itself back from `cells.short`."""
    long = "x" * 200_000

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        return {**plain(i, rng), **({"place": f"{long}{i % 3}"} if i >= BROKEN_FROM and i % 20 == 0 else {})}

    huge = [sent(prediction("m", N + i, {"place": "y" * 1_000_000})) for i in range(3)]
    known = [sent(prediction("early", i, {"place": f"{long}{i % 3}"})) for i in range(40)]
    world = await run(in_order([*stream(N, features), *known, *huge]))
    assert tallies(world, "m")["predictions"] == N
    assert judge_bytes(world) < 100_000
    assert max(len(r.value or b"") for p in range(2) for r in world.log.records("blocks", p)) < 200_000
    found = letters(world)
    assert refusals(world) == {"too_large": 3}
    assert {letter.sha256 for letter in found} == {hashlib.sha256(m.value).hexdigest() for m in huge}
    assert all(letter.truncated and letter.payload is None and letter.size > 1_000_000 for letter in found)


# D37

HOSTILE = [
    "{0}",
    "{driftline:judge:0}:meta",
    "*",
    "m:*",
    "<!channel>",
    "../../etc/passwd",
    "a\u202eb",
    "'; --",
    "🦜" * 64,
]
REFUSED = {"a\nb": "characters", "a\x00b": "characters", "\x1f": "characters", "": "length", "n" * 65_536: "length"}


def _few(budget: int) -> Shape:
    return replace(
        SMALL,
        judge=JudgeSettings(
            reference_events=EVENTS,
            reference_pairs=PAIRS,
            max_models_per_partition=budget,
            detection=DetectionSettings(min_reference_panes=16),
        ),
    )


async def test_thousands_of_models_are_counted_and_not_watched() -> None:
    """D37: the model that was there first is judged as if it were alone; one signal a partition says what goes
    on; state is bounded. Mutation: leave the comparison with the budget out of `JudgeStage._admit`, or do not
    keep in `Speaker.not_admitted` that it was said."""
    budget, invented = 8, 3_000
    flood = [
        sent(prediction(f"invented {i}", BROKEN_FROM, {"a": 1.0}), T0 + (BROKEN_FROM + i / 5) * STEP_MS)
        for i in range(invented)
    ]
    world = await run(in_order([*stream(N, _new_place), *flood]), _few(budget))
    alone = await run(stream(N, _new_place), _few(budget))
    assert _verdicts(world, "m") == _verdicts(alone, "m")
    assert alarms(world) == alarms(alone) != []
    fields = world.fields("judge")
    assert all(sum(name.startswith("m:") for name in of) == budget for of in fields.values())
    admitted = sum(tallies(world, f"invented {i}")["predictions"] for i in range(invented))
    ticks = world.tail - tallies(world, "tick")["predictions"]
    assert sum(ledger["not_admitted"] for ledger in ledgers(world)) == invented - admitted + ticks
    spoken = [s.monitor for s in signals(world) if s.monitor.startswith("system:admission")]
    assert sorted(spoken) == ["system:admission:0", "system:admission:1"]
    assert judge_bytes(world) < judge_bytes(alone) + 2 * budget * 2_000


async def test_hostile_names_of_models() -> None:
    """D37: what has control characters or is too long is refused; the rest is watched like any other, under keys
    that hold no part of a name. Mutation: use the name itself in `ModelState.hash`."""
    n = 1_500
    messages = [m for name in HOSTILE[:3] for m in stream(n, model=name)]
    messages += [sent(prediction(name, i, {"a": 1.0})) for name in HOSTILE[3:] for i in range(5)]
    messages += [sent(prediction("m", i, {}, version=name)) for i, name in enumerate(HOSTILE)]
    messages += [sent(prediction(name, i, {}, id=f"bad-{i}")) for name in REFUSED for i in range(2)]
    messages += [sent(prediction("m", i, {}, version=name, id=f"worse-{i}")) for i, name in enumerate(REFUSED)]
    world = await run(in_order(messages), n=n)
    for name in HOSTILE[:3]:
        assert tallies(world, name)["predictions"] == n
        assert len(_verdicts(world, name)) == 2, "profile and detectors"
    for name in HOSTILE[3:]:
        assert tallies(world, name)["predictions"] == 5
    expected: Counter[str] = Counter()
    for reason in REFUSED.values():
        expected[reason] += 3
    assert refusals(world) == expected == facts(world).refused
    assert all(KEYS.match(name) for of in world.fields("judge").values() for name in of)
    assert all(len(key) <= 64 for day in world.server.contents.days.values() for key in day)


async def test_thousands_of_names_of_features() -> None:
    """D37: 32 of them are told apart by name, the others together, and said; whatever is in the names.
    Mutation: raise MAX_EXTRA in `stats.block` and the names of FeatureDecoder to a million: either alone holds."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        made = plain(i, rng)
        if i >= BROKEN_FROM:
            made |= {f"{HOSTILE[j % 9]}{i}.{j}": 1.0 for j in range(5)}
            made |= {"*": 1.0, "a\nb": "x", "<!channel>": True, "z" * 65_536: 2.0}
        return made

    world = await run(stream(N, features))
    longer = await run(stream(N + 1_000, features), n=N + 1_000)
    assert tallies(world, "m")["predictions"] == N
    said = [monitor for monitor, state in alarms(world) if state == "alarm"]
    assert all(monitor.endswith(":schema") for monitor in said)
    assert 1 <= len(said) <= 33
    blocks = [b for bundle in bundles(world) for b in bundle.blocks if isinstance(b, BinnedBlock)]
    assert 30 < max(len(block.extra) for block in blocks) <= 33
    assert judge_bytes(longer) < 1.05 * judge_bytes(world) + 4_096
    assert judge_bytes(world) < 100_000


async def test_thousands_of_names_of_features_from_the_first_event_on() -> None:
    """D37: a model that invents a name for every event can still be onboarded, at a bounded price.
    Mutation: give FeatureDecoder no bound on names."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        return {"amount": float(rng.normal()), f"name {i}": 1.0}

    world = await run(stream(N, features))
    assert tallies(world, "m")["predictions"] == N
    profile = decode_profile(world.log.records("profiles", 0)[-1].value or b"")
    assert 900 < len(profile.predictions.grid.columns) <= 1_002


# D39


def _bad_times() -> list[tuple[dict[str, Any], str | None]]:
    """Events of another model with a clock of their own, and why each is refused."""
    times: list[tuple[object, str | None]] = [
        (MAX_TIME, "future"),
        ("9999-12-31T23:59:59Z", "future"),
        (NOW + 3_600_000, "future"),
        (MAX_TIME + 1, "time_range"),
        (-1, "time_range"),
        (-(10**18), "time_range"),
        ("1969-12-31T23:59:59Z", "time_range"),
        (T0 // 1_000, "time_unit"),
        (T0 / 1_000, "time_unit"),
        ("soon", "time_format"),
        ("2023-11-14T22:13:20", "time_zone"),
        (None, "schema"),
        (True, "schema"),
        (0, None),
        ("1970-01-01T00:00:00Z", None),
    ]
    made = []
    for i, (time, reason) in enumerate(times):
        made.append(({**prediction("clocks", i, {"a": 1.0}), "time": time}, reason))
    missing = prediction("clocks", 99, {})
    del missing["time"]
    return [*made, (missing, "schema")]


async def test_impossible_times_are_refused_each_with_its_reason() -> None:
    """D39. Mutation: in `gather`, take what is ahead of the broker's clock."""
    cases = _bad_times()
    bad = [
        sent(event, T0 + (k * 100 + j) * STEP_MS, route=f"{k}/{j}")
        for k in range(10)
        for j, (event, _) in enumerate(cases)
    ]
    for k, message in enumerate(bad):
        bad[k] = replace(message, value=message.value.replace(b'"id":"clocks-', b'"id":"%d-' % k))
    world = await run(in_order([*stream(N, _new_place), *bad]))
    expected: Counter[str] = Counter()
    for _, reason in cases:
        if reason is not None:
            expected[reason] += 10
    assert refusals(world) == facts(world).refused == expected
    assert tallies(world, "clocks")["predictions"] == 10 * sum(reason is None for _, reason in cases)
    assert _verdicts(world, "m") == _verdicts(await run(stream(N, _new_place)), "m")


@pytest.mark.parametrize("skew_ms", [3_600_000, -3_600_000, 45_000, -45_000])
async def test_one_bad_clock_closes_no_pane_of_the_others(skew_ms: int) -> None:
    """D39: a tenth of all events from a clock that is wrong, on every partition. Mutation: take the latest time of
    a range for its watermark in `IngestStage._watermark`: the others' events come late."""
    skewed = [
        sent({**event, "time": event["time"] + skew_ms}, event["time"])
        for event in (prediction("skewed", i, {"a": 1.0}) for i in range(0, N, 9))
    ]
    world = await run(in_order([*stream(N, _new_place), *skewed]))
    alone = await run(stream(N, _new_place))
    assert tallies(world, "skewed")["predictions"] == len(skewed)
    assert tallies(world, "m") == tallies(alone, "m")
    assert tallies(world, "m")["late"] == 0
    assert _verdicts(world, "m") == _verdicts(alone, "m")


# D40


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
    for name, data in sorted(_verdicts(world, "m").items()):
        if name.startswith("d:"):
            state = unpack_arrays(unpack("monitors", 1, data)[1])
            for of_stream in state.values():
                del of_stream["duplicates"], of_stream["last"]
            data = pack_arrays(state)
        held.append(data)
    return held


# D41


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
