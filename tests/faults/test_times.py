"""Catalogue D: clocks that are wrong, through the whole service."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from driftline.contracts.limits import MAX_TIME
from faults.data import STEP_MS, T0
from faults.extra import in_order, prediction, refusals, sent, stream, tallies
from faults.oracle import facts
from faults.world import NOW
from faults.wrong import N, new_place, run, verdicts


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
    world = await run(in_order([*stream(N, new_place), *bad]))
    expected: Counter[str] = Counter()
    for _, reason in cases:
        if reason is not None:
            expected[reason] += 10
    assert refusals(world) == facts(world).refused == expected
    assert tallies(world, "clocks")["predictions"] == 10 * sum(reason is None for _, reason in cases)
    assert verdicts(world, "m") == verdicts(await run(stream(N, new_place)), "m")


@pytest.mark.parametrize("skew_ms", [3_600_000, -3_600_000, 45_000, -45_000])
async def test_one_bad_clock_closes_no_pane_of_the_others(skew_ms: int) -> None:
    """D39: a tenth of all events from a clock that is wrong, on every partition. Mutation: take the latest time of
    a range for its watermark in `IngestStage._watermark`: the others' events come late."""
    skewed = [
        sent({**event, "time": event["time"] + skew_ms}, event["time"])
        for event in (prediction("skewed", i, {"a": 1.0}) for i in range(0, N, 9))
    ]
    world = await run(in_order([*stream(N, new_place), *skewed]))
    alone = await run(stream(N, new_place))
    assert tallies(world, "skewed")["predictions"] == len(skewed)
    assert tallies(world, "m") == tallies(alone, "m")
    assert tallies(world, "m")["late"] == 0
    assert verdicts(world, "m") == verdicts(alone, "m")
