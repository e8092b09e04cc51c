"""ADWIN and Page-Hinkley as annotators: they hear, they notice, they survive a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline.stats import opinions
from driftline.stats.opinions import Opinions


def test_both_notice_a_shift_and_say_when() -> None:
    rng = np.random.default_rng(1)
    heard = Opinions()
    first: dict[str, int] = {}
    for i, x in enumerate([*rng.normal(0, 1, 400), *rng.normal(3, 1, 400)]):
        for name in heard.update(float(x), i):
            first.setdefault(name, i)
            assert heard.noticed[name] == i
    assert first.keys() == set(opinions.NAMES)
    assert all(400 <= time < 460 for time in first.values())


def test_restored_state_goes_on_bit_for_bit() -> None:
    rng = np.random.default_rng(2)
    straight, broken = Opinions(), Opinions()
    for i, x in enumerate(np.concatenate([rng.normal(0, 1, 500), rng.normal(2, 1, 500)]).tolist()):
        assert straight.update(x, i) == broken.update(x, i)
        if i % 7 == 0 or i > 490:
            broken = Opinions.from_bytes(broken.to_bytes())
            assert broken.noticed == straight.noticed
    assert broken.to_bytes() == straight.to_bytes()


def test_another_river_starts_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Opinions()
    for i in range(100):
        heard.update(float(i > 50) * 100, i)
    data = heard.to_bytes()
    assert any(heard.noticed.values())
    monkeypatch.setattr(opinions, "RIVER", "0.0.1")
    cold = Opinions.from_bytes(data)
    assert cold.noticed == heard.noticed
    fresh = Opinions()
    rng = np.random.default_rng(4)
    for i, x in enumerate([*rng.normal(0, 1, 300), *rng.normal(3, 1, 100)]):
        assert cold.update(float(x), i) == fresh.update(float(x), i)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_faults_d33_nothing_that_is_not_finite_gets_in(bad: float) -> None:
    """D33: one NaN blinds ADWIN for ever. Mutation: leave the check out of `update`."""
    heard = Opinions()
    with pytest.raises(ValueError, match="not a number"):
        heard.update(bad, 0)


def test_errors_of_a_unit_are_spread_evenly() -> None:
    class Listening(Opinions):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[float] = []

        def update(self, x: float, time: int) -> set[str]:
            self.heard.append(x)
            return super().update(x, time)

    listening = Listening()
    listening.update_events(3, 9, 0)
    listening.update_events(0, 2, 0)
    listening.update_events(2, 2, 0)
    assert listening.heard == [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1]


def test_state_stays_small() -> None:
    rng = np.random.default_rng(3)
    heard = Opinions()
    for i in range(20_000):
        heard.update(float(rng.normal()), i)
    assert len(heard.to_bytes()) < 2_500
