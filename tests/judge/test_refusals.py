"""More refused records than may be: a function of the log, within its budget of false alarms, told and taken back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.contracts.blocks import WINDOW, Bundle, WindowTally
from driftline.contracts.records import Signal
from driftline.errors import StateCorrupt
from driftline.judge.ledger import Ledger
from driftline.judge.refusals import ARL0, Refusals

Bools = NDArray[np.bool_]


def fresh(at_most: float = 0.01) -> Refusals:
    return Refusals(at_most, "deadletter")


def refused(n: int, share: float, seed: int = 0) -> Bools:
    return np.random.default_rng(seed).random(n) < share


def bundles(bad: Bools, cuts: list[int], source: int = 0) -> list[Bundle]:
    """One range after the other, that end at `cuts` and at the end."""
    made, first = [], 0
    for end in [*cuts, len(bad)]:
        windows = {}
        for at in range(first // WINDOW, (end - 1) // WINDOW + 1 if end > first else 0):
            part = bad[max(first, at * WINDOW) : min(end, (at + 1) * WINDOW)]
            windows[at] = WindowTally(len(part), {"json": int(part.sum())} if part.any() else {})
        made.append(Bundle(source=source, sources=2, first=first, next=end, watermark=0, clock=0, windows=windows))
        first = end
    return made


def told(refusals: Refusals, made: list[Bundle]) -> list[Signal]:
    return [signal for bundle in made for signal in refusals.take(bundle, {})]


def test_a_bad_stretch_is_told_and_taken_back() -> None:
    bad = np.concatenate([refused(20_000, 0.002), refused(8_000, 0.05, 1), refused(40_000, 0.002, 2)])
    signals = told(fresh(), bundles(bad, []))
    assert [(s.monitor, s.state, s.sequence) for s in signals] == [
        ("system:invalid_events:0", "alarm", 1),
        ("system:invalid_events:0", "resolved", 2),
    ]
    alarm, over = signals
    assert alarm.details["until_offset"] == 21_000
    assert "json" in alarm.sentence and "deadletter" in alarm.sentence
    assert alarm.effect is not None and alarm.effect.current.value > 0.03
    until = over.details["until_offset"]
    assert isinstance(until, int) and 28_000 < until <= 31_000


@pytest.mark.parametrize("seed", range(6))
def test_ranges_do_not_matter(seed: int) -> None:
    """Cut anywhere, in any number of ranges, with a restart after every one and another source in between: the same
    signals, and the same state. Mutation: judge what is there with every bundle, whole or not."""
    rng = np.random.default_rng(seed)
    bad = np.concatenate([refused(5_500, 0.005, seed), refused(9_000, 0.03, seed + 1), refused(30_000, 0.0)])
    one, other = fresh(), fresh()
    expected = told(one, bundles(bad, []))
    assert [s.state for s in expected] == ["alarm", "resolved"]
    elsewhere = iter(bundles(refused(len(bad), 0.001), [1_000 * i for i in range(1, 40)], source=1))
    found = []
    for bundle in bundles(bad, sorted(rng.integers(0, len(bad), 37).tolist())):
        found += told(other, [bundle])
        if (more := next(elsewhere, None)) is not None:
            assert not told(other, [more])
        other = Refusals.from_bytes(0.01, "deadletter", other.to_bytes())
    assert found == expected
    del other.sources[1]
    assert other.to_bytes() == one.to_bytes()


def test_a_second_copy_of_a_range_counts_once() -> None:
    """Mutation: take the bundle before the ledger has."""
    bad = refused(40_000, 0.003)
    bad[7_000:7_500] = True
    plain, twice, ledger = fresh(), fresh(), Ledger()
    expected = told(plain, bundles(bad, [3_300, 9_100]))
    assert [s.state for s in expected] == ["alarm", "resolved"]
    found = []
    for bundle in bundles(bad, [3_300, 9_100]):
        for copy in (bundle, bundle):
            if ledger.take(copy, "blocks/0", "stop"):
                found += told(twice, [copy])
    assert found == expected


def test_at_the_limit_false_alarms_are_within_the_budget() -> None:
    """For ever at the limit itself. Mutation: `hear` with 1,000 for the time of a window."""
    windows = np.random.default_rng(7).binomial(WINDOW, 0.01, 30_000)
    refusals, alarms = fresh(), 0
    for at, count in enumerate(windows.tolist()):
        bundle = Bundle(
            source=0,
            sources=1,
            first=at * WINDOW,
            next=(at + 1) * WINDOW,
            watermark=0,
            clock=0,
            windows={at: WindowTally(WINDOW, {"json": count})},
        )
        if refusals.take(bundle, {}):
            refusals, alarms = fresh(), alarms + 1
    assert alarms <= 3 * len(windows) / ARL0


def test_a_partition_that_holds_nothing_says_nothing() -> None:
    refusals = fresh()
    quiet = [Bundle(source=3, sources=4, first=0, next=0, watermark=0, clock=0, idle=True)] * 5
    assert not told(refusals, quiet)
    assert not refusals.sources and not refusals.touched


def test_what_was_open_is_waited_for_and_not_judged() -> None:
    refusals = fresh()
    assert not told(refusals, bundles(np.ones(WINDOW - 1, np.bool_), []))
    more = Bundle(
        source=0, sources=2, first=999, next=1_000, watermark=0, clock=0, windows={0: WindowTally(1, {"type": 1})}
    )
    (alarm,) = told(refusals, [more])
    assert "json 999, type 1" in alarm.sentence


def test_numbers_go_on_from_those_that_were_given_out() -> None:
    said = {"\x1f\x1fsystem:invalid_events:0": 4}
    (bundle,) = bundles(np.ones(WINDOW, np.bool_), [])
    (alarm,) = fresh().take(bundle, said)
    assert alarm.sequence == 5


def test_another_limit_begins_again_and_keeps_the_alarm() -> None:
    refusals = fresh()
    assert told(refusals, bundles(refused(10_000, 0.05), []))
    wider = Refusals.from_bytes(0.2, "deadletter", refusals.to_bytes())
    share = wider.sources[0].share
    assert share.alarm and not share.back_n
    with pytest.raises(StateCorrupt):
        Refusals.from_bytes(0.2, "deadletter", refusals.to_bytes()[:-1])
