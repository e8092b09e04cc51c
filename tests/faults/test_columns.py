"""Catalogue D: features that come otherwise than before, through the whole service."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from faults.extra import (
    alarms,
    in_order,
    judge_bytes,
    letters,
    plain,
    prediction,
    refusals,
    sent,
    signals,
    stream,
    tallies,
)
from faults.wrong import BROKEN_FROM, N, new_place, run, verdicts


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


async def test_a_new_category_with_every_event() -> None:
    """D36: the table is frozen, what is new goes to 64 counters, and is said. Mutation: in `grid._Table`,
    remember the code of what is missing as that of a category."""
    world = await run(stream(N, new_place))
    assert ("features.place:cardinality", "alarm") in alarms(world)
    longer = await run(stream(N + 2_000, new_place), n=N + 2_000)
    assert judge_bytes(longer) < 1.05 * judge_bytes(world) + 4_096


async def test_a_new_category_with_every_event_from_the_first_on() -> None:
    """D36: the reference keeps so many categories, whatever comes, and nothing has changed. Mutation: do not cut
    `_categories` off, or compare with UNSEEN_SHARE alone in `SchemaRules._overflowing`."""

    def features(i: int, rng: np.random.Generator) -> dict[str, Any]:
        return {"place": f"street {i}", "amount": float(rng.normal())}

    world = await run(stream(N, features))
    sizes = [len(data) for data in verdicts(world, "m").values()]
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
