"""The made-up model: reproducible, whole, and it drifts when it is told to."""

from __future__ import annotations

import orjson
import pytest

from driftline.contracts.decode import Decoder
from driftline.demo.simulated import COUNTRIES, OUTCOME_AFTER_MS, Simulation

NOW = 1_770_000_000_000


def test_same_seed_same_values() -> None:
    first, second = (Simulation("m", "run", seed=3) for _ in range(2))
    assert first.step(50, NOW) == second.step(50, NOW)
    assert first.step(5, NOW) != Simulation("m", "run", seed=4).step(5, NOW)


def test_every_event_is_one_that_the_door_takes() -> None:
    simulation, decoder = Simulation("m", "run"), Decoder()
    events = [*simulation.step(200, NOW), *simulation.step(0, NOW + OUTCOME_AFTER_MS)]
    assert len(events) == 400
    for event in events:
        assert decoder.decode(orjson.dumps(event), ()).id == event["id"]


@pytest.mark.parametrize(("shift", "low", "high"), [(False, 0.05, 0.12), (True, 0.24, 0.36)])
def test_the_shift_is_a_unit_and_an_error_rate(shift: bool, low: float, high: float) -> None:
    simulation = Simulation("m", "run")
    said = {event["id"]: event for event in simulation.step(2_000, NOW, shift=shift)}
    truth = simulation.step(0, NOW + OUTCOME_AFTER_MS)
    assert len(truth) == 2_000
    wrong = sum(outcome["outcome"] != said[outcome["id"]]["prediction"] for outcome in truth) / len(truth)
    assert low < wrong < high
    amounts = sorted(event["features"]["amount"] for event in said.values())
    assert (amounts[1_000] > 1_000) == shift
    assert {event["features"]["country"] for event in said.values()} == set(COUNTRIES)
