"""The detector itself: mixture, onset, alarm and recovery, on witnesses made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from driftline.errors import StateCorrupt
from driftline.stats.cbe import RECOVERED, RECOVERY_FLOOR, BlockDetector, Floats, WitnessTable
from driftline.stats.witness import SIGNS, bernoulli_evidence, bernoulli_recovery

MU, EPS = 0.2, 0.02


def make_table(monitors: int = 2, a: float = 1.0, b: float = 0.0) -> WitnessTable:
    """One two-sided share of 20 % per monitor."""
    sides = [bernoulli_evidence(MU, EPS, sign) for sign in SIGNS]
    backs = [bernoulli_recovery(MU, EPS, sign) for sign in SIGNS]
    one = [np.stack([side[i] for side in sides if side is not None]) for i in (0, 1)]
    back = [np.array([x[i] for x in backs]) for i in (0, 1)]
    return WitnessTable(
        monitor=np.arange(monitors),
        a=np.full((monitors, 2), a),
        b=np.full((monitors, 2), b),
        tail=np.zeros((monitors, 2, 5)),
        slope=np.stack([one[0]] * monitors),
        offset=np.stack([one[1]] * monitors),
        log_weight=np.full((monitors, 2, 5), math.log(0.1)),
        back_slope=np.stack([back[0]] * monitors),
        back_offset=np.stack([back[1]] * monitors),
    )


def feed(detector: BlockDetector, share: float, unit: int, *, n: float = 100.0, days: float = 0.01) -> Floats:
    m = detector.table.monitors
    y = np.full(m, share)
    return detector.update(
        np.ones(m, np.bool_), y, np.full(m, n), np.ones(m), np.full(m, days), np.full(m, unit, np.int32)
    )


def test_one_unit_by_hand() -> None:
    """M = sum of w (dt + 0) exp(l). Mutation: leave the clock weight out (logaddexp with 0 instead of ln dt)."""
    detector = BlockDetector(make_table(1, a=2.0, b=0.01))
    evidence = feed(detector, 0.3, 0)
    t = detector.table
    n_eff = 1.0 / (2.0 / 100.0 + 0.01)
    wanted = (0.1 * 0.01 * np.exp(n_eff * (t.slope * 0.3 + t.offset))).sum()
    assert evidence[0] == pytest.approx(math.log(wanted))
    assert detector.evidence(0) == pytest.approx(evidence[0])


def test_onset_is_where_the_change_began() -> None:
    """Mutation: `goes_on` always true in `_accumulate`."""
    detector = BlockDetector(make_table())
    for unit in range(40):
        feed(detector, 0.2, unit)
    for unit in range(40, 50):
        feed(detector, 0.4, unit)
    run = detector.raise_alarm(0, detector.winner(0))
    assert (run.start, run.n, run.sign) == (40, 1_000.0, 0)
    assert run.mean == pytest.approx(0.4)
    assert run.n_eff == pytest.approx(1_000.0)


def test_alarm_freezes_and_recovery_starts_over() -> None:
    detector = BlockDetector(make_table())
    for unit in range(10):
        feed(detector, 0.4, unit)
    detector.raise_alarm(0, detector.winner(0))
    frozen = detector.log_r[0].copy()
    for unit in range(10, 500):
        assert feed(detector, 0.4, unit)[0] == -math.inf
        assert not detector.recovered(0)
    assert np.array_equal(detector.log_r[0], frozen)
    assert detector.recovery[0] == RECOVERY_FLOOR
    unit = 500
    while not detector.recovered(0):
        feed(detector, 0.2, unit)
        unit += 1
    assert unit - 500 < 120
    assert detector.recovery[0] >= RECOVERED
    run = detector.resolve(0)
    assert run.start == 500
    assert run.mean == pytest.approx(0.2)
    assert detector.alarm[0] == -1
    assert (detector.log_r[0] == -np.inf).all()
    assert (detector.log_r[1] > -np.inf).all()


def test_a_drift_that_lasts_is_not_forgotten_slowly() -> None:
    """The floor of the recovery process. Mutation: the literal product, without `RECOVERY_FLOOR`."""
    waits = []
    for drift in (100, 2_000):
        detector = BlockDetector(make_table(1))
        for unit in range(drift):
            feed(detector, 0.4, unit)
            if unit == 20:
                detector.raise_alarm(0, detector.winner(0))
        waits.append(0)
        while not detector.recovered(0):
            feed(detector, 0.2, drift + waits[-1])
            waits[-1] += 1
    assert waits[0] == waits[1]


def test_units_that_a_witness_does_not_see_only_let_time_pass() -> None:
    detector = BlockDetector(make_table(1))
    feed(detector, math.nan, 0, n=0.0)
    assert detector.log_r == pytest.approx(math.log(0.01))


def test_monitors_that_are_not_due_stay_as_they_are() -> None:
    detector = BlockDetector(make_table(2))
    due, one = np.array([True, False]), np.ones(2)
    found = detector.update(due, 0.3 * one, 100 * one, one, 0.01 * one, np.zeros(2, np.int32))
    assert found[1] == -math.inf
    assert (detector.log_r[1] == -np.inf).all()


def test_restored_state_goes_on_bit_for_bit() -> None:
    rng = np.random.default_rng(1)
    straight = BlockDetector(make_table())
    broken = BlockDetector(make_table())
    for unit in range(200):
        share = float(rng.binomial(100, 0.2 if unit < 100 else 0.26)) / 100
        assert np.array_equal(feed(straight, share, unit), feed(broken, share, unit))
        if unit == 150:
            for detector in (straight, broken):
                detector.raise_alarm(1, detector.winner(1))
        broken = BlockDetector.from_state(broken.table, broken.to_state())
        assert broken.to_state() == straight.to_state()


def test_state_is_bounded_and_small_while_quiet() -> None:
    """At most 200 bytes a witness and 48 a monitor; under 100 on a quiet stream.

    Mutation: keep the cells as they are, without zlib, in `to_state`."""
    rng = np.random.default_rng(1)
    quiet = BlockDetector(make_table(300))
    every, one = np.ones(300, np.bool_), np.ones(300)
    for unit in range(100):
        y = rng.binomial(100, 0.2, 300) / 100
        quiet.update(every, y, 100 * one, one, 0.01 * one, np.full(300, unit, np.int32))
    assert sum(map(len, quiet.to_state().values())) < 300 * (100 + 48)
    moved = BlockDetector(make_table(3))
    for unit in range(50):
        feed(moved, 0.9, unit)
    assert sum(map(len, moved.to_state().values())) < 3 * (200 + 48)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    detector = BlockDetector(make_table(1))
    with pytest.raises(ValueError, match="finite"):
        feed(detector, bad, 0)
    with pytest.raises(ValueError, match="finite"):
        feed(detector, 0.2, 0, days=0.0)


def test_other_shapes_are_refused() -> None:
    detector = BlockDetector(make_table(2))
    one = np.ones(1)
    with pytest.raises(ValueError, match="2 monitors"):
        detector.update(np.ones(1, np.bool_), one, one, one, one, np.zeros(1, np.int32))
    state = detector.to_state()
    with pytest.raises(StateCorrupt):
        BlockDetector.from_state(make_table(3), state)
    with pytest.raises(StateCorrupt):
        BlockDetector.from_state(make_table(2), {**state, "alarm": np.array([99, -1], "<i4").tobytes()})
    with pytest.raises(ValueError, match="arrays of shapes"):
        WitnessTable(**{**_fields(make_table(2)), "a": np.ones(3)})
    with pytest.raises(ValueError, match="grouped"):
        WitnessTable(**{**_fields(make_table(2)), "monitor": np.array([1, 2])})


def _fields(table: WitnessTable) -> dict[str, Any]:
    return {name: getattr(table, name) for name in WitnessTable.__slots__}
