"""Silence and flood: told by event time alone, at the same time whenever it is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.errors import StateCorrupt
from driftline.stats.change import Change
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.traffic import DAY_MS, HOUR_MS, Traffic, learn_traffic
from driftline.stats.traffic_rules import TrafficRules

PANE = 60_000
Times = NDArray[np.int64]


def poisson(seed: int, start: int, end: int, per_hour: float, *, daily: bool = False) -> Times:
    """With `daily`: a hundredth of it at night, from 20 to 6."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(start, end, rng.poisson((end - start) / HOUR_MS * per_hour)))
    if daily:
        hour = times // HOUR_MS % 24
        times = times[((hour >= 6) & (hour < 20)) | (rng.random(len(times)) < 0.01)]
    return times


def run(traffic: Traffic | None, times: Times, begin: int, end: int, *, look: int = PANE) -> list[Change]:
    """Panes in order, the watermark every `look` ms."""
    rules = TrafficRules("predictions", traffic, begin, PANE)
    starts, rows = np.unique(times // PANE * PANE, return_counts=True)
    found: list[Change] = []
    at = 0
    for watermark in range(begin, end + 1, look):
        while at < len(starts) and starts[at] + PANE <= watermark:
            start = int(starts[at])
            found += rules.elapse(start) + rules.update(start, start + PANE, int(rows[at]))
            at += 1
        found += rules.elapse(watermark)
    return found


def states(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.monitor.removeprefix("predictions:"), change.state) for change in changes]


@pytest.mark.parametrize(("days", "daily"), [(0.3, False), (2, False), (8, True), (8, False), (29, True)])
def test_ordinary_traffic_is_quiet(days: float, daily: bool) -> None:
    """Thirty days after. Mutation: `limit` without TIMES."""
    end = int(days * DAY_MS)
    traffic = learn_traffic(poisson(1, 0, end, 60.0, daily=daily), PANE)
    assert traffic is not None
    assert run(traffic, poisson(2, end, end + 30 * DAY_MS, 60.0, daily=daily), end, end + 30 * DAY_MS) == []


def test_silence_is_told_sooner_by_day_than_by_night() -> None:
    """Mutation: one slot for all hours in `learn_traffic`."""
    traffic = learn_traffic(poisson(1, 0, 8 * DAY_MS, 600.0, daily=True), PANE)
    assert traffic is not None
    began = 8 * DAY_MS
    for hour, soonest, latest in ((10, 1, 15), (23, 3 * 60, 10 * 60)):
        stop = began + DAY_MS + hour * HOUR_MS
        times = poisson(2, began, stop, 600.0, daily=True)
        found = run(traffic, times, began, stop + DAY_MS)
        assert states(found) == [("silence", "alarm")]
        assert found[0].onset <= stop
        assert soonest * PANE <= found[0].time - stop <= latest * PANE


def test_silence_ends_once_traffic_is_back() -> None:
    traffic = learn_traffic(poisson(1, 0, 8 * DAY_MS, 600.0), PANE)
    gap = [10 * DAY_MS, 10 * DAY_MS + 6 * HOUR_MS]
    times = np.concatenate([poisson(2, 8 * DAY_MS, gap[0], 600.0), poisson(3, gap[1], 12 * DAY_MS, 600.0)])
    assert states(run(traffic, times, 8 * DAY_MS, 12 * DAY_MS)) == [("silence", "alarm"), ("silence", "resolved")]


def test_a_trickle_does_not_end_a_silence_and_does_not_flap() -> None:
    """A hundredth of the traffic is left. Mutation: `2 * self.rows >= due` left out of `update`."""
    traffic = learn_traffic(poisson(1, 0, 8 * DAY_MS, 600.0), PANE)
    times = poisson(2, 8 * DAY_MS, 20 * DAY_MS, 6.0)
    assert states(run(traffic, times, 8 * DAY_MS, 20 * DAY_MS)) == [("silence", "alarm")]


def test_a_flood_is_told_and_ends() -> None:
    traffic = learn_traffic(poisson(1, 0, 8 * DAY_MS, 600.0), PANE)
    times = np.sort(
        np.concatenate(
            [poisson(2, 8 * DAY_MS, 9 * DAY_MS, 600.0), poisson(3, 9 * DAY_MS - HOUR_MS, 9 * DAY_MS, 9e3)]
        )
    )
    found = run(traffic, times, 8 * DAY_MS, 10 * DAY_MS)
    assert states(found) == [("flood", "alarm"), ("silence", "alarm"), ("flood", "resolved")]
    assert found[0].time <= 9 * DAY_MS - HOUR_MS + 10 * PANE


@pytest.mark.parametrize("look", [PANE, 7 * PANE, HOUR_MS, DAY_MS])
def test_it_does_not_matter_when_the_watermark_comes(look: int) -> None:
    """Mutation: `time=until` for `_known_at`."""
    traffic = learn_traffic(poisson(1, 0, 8 * DAY_MS, 600.0, daily=True), PANE)
    times = poisson(2, 8 * DAY_MS, 14 * DAY_MS, 600.0, daily=True)
    times = times[(times < 9 * DAY_MS) | (times > 10 * DAY_MS + 12 * HOUR_MS)]
    times = np.sort(np.concatenate([times, poisson(3, 12 * DAY_MS, 12 * DAY_MS + HOUR_MS, 9e4)]))
    often = run(traffic, times, 8 * DAY_MS, 15 * DAY_MS)
    assert {change.monitor for change in often} == {"predictions:silence", "predictions:flood"}
    assert run(traffic, times, 8 * DAY_MS, 15 * DAY_MS, look=look) == often


def test_batches_once_a_day_are_no_silence() -> None:
    batches = np.concatenate([day * DAY_MS + np.arange(1_000) * 100 for day in range(40)])
    traffic = learn_traffic(batches[: 8 * 1_000], PANE)
    assert run(traffic, batches[8_000:], 8 * DAY_MS, 40 * DAY_MS) == []
    found = run(traffic, batches[8_000:12_000], 8 * DAY_MS, 40 * DAY_MS)
    assert states(found) == [("silence", "alarm")]
    assert 13 * DAY_MS <= found[0].time <= 14 * DAY_MS


def test_restored_rules_go_on_as_they_were() -> None:
    traffic = learn_traffic(poisson(1, 0, 8 * DAY_MS, 600.0), PANE)
    straight, broken = (TrafficRules("predictions", traffic, 8 * DAY_MS, PANE) for _ in range(2))
    times = poisson(2, 8 * DAY_MS, 9 * DAY_MS, 600.0)
    times = times[times % DAY_MS // HOUR_MS != 12]
    told = []
    for start, rows in zip(*np.unique(times // PANE * PANE, return_counts=True), strict=True):
        for rules in (straight, broken):
            told += rules.elapse(int(start)) + rules.update(int(start), int(start) + PANE, int(rows))
        state = unpack_arrays(pack_arrays(broken.to_state()))
        broken = TrafficRules("predictions", traffic, 8 * DAY_MS, PANE)
        broken.restore(state)
        assert broken.to_state() == straight.to_state()
    assert len(told) == 4
    with pytest.raises(StateCorrupt):
        broken.restore({})


def test_few_rows_say_nothing_of_traffic() -> None:
    assert learn_traffic(np.arange(50) * PANE, PANE) is None
    assert run(None, np.arange(50) * PANE, 0, DAY_MS) == []
