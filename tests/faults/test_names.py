"""Catalogue D: names of models and features that nobody expects, through the whole service."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from driftline.contracts.blocks import BinnedBlock
from driftline.judge.stage import JudgeSettings
from driftline.stats.profile import decode_profile
from driftline.stats.settings import DetectionSettings
from faults.data import EVENTS, PAIRS, STEP_MS, T0
from faults.extra import (
    alarms,
    bundles,
    in_order,
    judge_bytes,
    ledgers,
    plain,
    prediction,
    refusals,
    sent,
    signals,
    stream,
    tallies,
)
from faults.oracle import facts
from faults.world import Shape
from faults.wrong import BROKEN_FROM, SMALL, N, new_place, run, verdicts

KEYS = re.compile(r"(ledger|refusals|structure|fingerprint|[mdp]:[0-9a-f]{20}|r:[0-9a-f]{20}:[0-9]+)\Z")

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
    world = await run(in_order([*stream(N, new_place), *flood]), _few(budget))
    alone = await run(stream(N, new_place), _few(budget))
    assert verdicts(world, "m") == verdicts(alone, "m")
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
        assert len(verdicts(world, name)) == 2, "profile and detectors"
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
    Mutation: raise MAX_EXTRA in `stats.block` to a million."""

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
