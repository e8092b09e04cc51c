"""Where the publisher holds: the version asked for is always deployed when it is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftline.demo.event_clock import EventClock
from driftline.demo.pace import DAY_MS, HOLD_EVERY_MS, LEAD_MS, next_hold

BEGIN = 1_000 * DAY_MS


def test_without_a_request_it_holds_at_fixed_times() -> None:
    holds = [BEGIN]
    for _ in range(3):
        hold = next_hold(BEGIN, holds[-1], None, False)
        assert hold is not None
        holds.append(hold)
    assert holds == [BEGIN + i * HOLD_EVERY_MS for i in range(4)]


@pytest.mark.parametrize("after", [1, DAY_MS, HOLD_EVERY_MS - 1, HOLD_EVERY_MS])
def test_the_deployment_is_not_past_when_the_request_is_seen(after: int) -> None:
    """A request between two holds is seen at the second one."""
    seen_at = next_hold(BEGIN, BEGIN, None, False)
    assert seen_at is not None
    deploy_at = BEGIN + after + LEAD_MS
    assert next_hold(BEGIN, seen_at, deploy_at, False) == deploy_at


def test_after_the_deployment_it_holds_no_more() -> None:
    assert next_hold(BEGIN, BEGIN + LEAD_MS, BEGIN + LEAD_MS, True) is None


async def test_the_event_clock_stands_still_and_never_goes_back(tmp_path: Path) -> None:
    clock, other = EventClock(tmp_path), EventClock(tmp_path)
    assert clock.now_ms() == 0
    other.set(5)
    await clock.reach(5)
    assert (clock.now_ms(), clock.now_ms()) == (5, 5)
    other.set(3)
    assert clock.now_ms() == 5
