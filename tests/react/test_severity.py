"""How grave an alarm is."""

from __future__ import annotations

import msgspec
import pytest

from driftline.contracts.records import Effect, Estimate, Severity, Signal
from driftline.react.settings import Importance, ReactSettings
from driftline.react.severity import grade
from react.making import HOUR, signal


def moved(severity: Severity, low: float, high: float, unit: str = "share", n: int = 1_000) -> Signal:
    """A share of 0.3 in the reference, now between `low` and `high`."""
    made = signal("features.a:distribution", severity=severity, n=n)
    current = Estimate(value=(low + high) / 2, low=low, high=high, unit=unit)
    return msgspec.structs.replace(made, effect=Effect(witness="w", reference=0.3, current=current))


@pytest.mark.parametrize(
    ("low", "high", "unit", "grave"),
    [
        (0.35, 0.45, "share", "warning"),
        (0.49, 0.7, "share", "warning"),
        (0.51, 0.7, "share", "error"),
        (0.0, 0.09, "share", "error"),
        (51.0, 70.0, "eur", "warning"),
    ],
)
def test_a_large_effect_is_graver(low: float, high: float, unit: str, grave: Severity) -> None:
    """Mutation: judge by the middle of the estimate in severity._effect; one that may be small is large."""
    assert grade(moved("warning", low, high, unit), ReactSettings()) == grave


def test_a_small_effect_is_less_grave_if_it_surely_is_small() -> None:
    assert grade(moved("error", 0.305, 0.315), ReactSettings()) == "warning"
    assert grade(moved("error", 0.305, 0.5), ReactSettings()) == "error"
    assert grade(moved("warning", 0.305, 0.315), ReactSettings()) == "warning"


@pytest.mark.parametrize(
    ("importance", "grave"),
    [
        ({"m": "high"}, "error"),
        ({"m": "low"}, "warning"),
        ({"*/features.a": "high"}, "error"),
        ({"*/features.b": "high"}, "warning"),
        ({"m/*": "low", "m": "high"}, "warning"),
        ({"other": "high"}, "warning"),
    ],
)
def test_what_matters_more_is_graver(importance: dict[str, Importance], grave: Severity) -> None:
    assert grade(moved("warning", 0.35, 0.45), ReactSettings(importance=importance)) == grave


def test_what_much_goes_through_is_graver() -> None:
    """1,000 events in the hour since the onset."""
    busy, idle = ReactSettings(busy_per_day=20_000), ReactSettings(idle_per_day=30_000)
    assert grade(moved("error", 0.35, 0.45), busy) == "critical"
    assert grade(moved("error", 0.35, 0.45, n=100), busy) == "error"
    assert grade(moved("error", 0.35, 0.45), idle) == "warning"


def test_one_step_at_the_most() -> None:
    """Mutation: take the clamp of the step out of grade; a warning is critical."""
    chosen = ReactSettings(importance={"*": "high"}, busy_per_day=1)
    assert grade(moved("warning", 0.9, 1.0), chosen) == "error"
    assert grade(moved("critical", 0.9, 1.0), chosen) == "critical"
    assert grade(signal("error:rate", 2, "resolved", at=HOUR, severity="info"), chosen) == "info"
