"""What every detector and sketch must satisfy, whatever it computes: one `Subject` each, the same checks for all.

A subject hears units one after the other: a number (second opinions) or the rows of a pane (everything that reads
counts). `CHECKS` takes each in turn; a new detector is held to all of them by describing it once in `subjects`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from driftline.errors import StateCorrupt

Rng = np.random.Generator
Draw = Callable[[Rng], Any]


@dataclass(frozen=True)
class Subject:
    """`hear(it, i, unit)`: unit number i, and whether it raises an alarm. `save` and `load`: its state as bytes.

    On `quiet` units each alarm has at most probability `false_alarms` a unit; after `lead` of them, half of the
    changes to `shifted` are found `within` so many units (None: it finds nothing, being a sketch). `refused`: units
    that must not be taken in. State is never above `most_bytes`. `of`: the classes it holds to the checks."""

    name: str
    of: tuple[type, ...]
    fresh: Callable[[], Any]
    hear: Callable[[Any, int, Any], bool]
    save: Callable[[Any], bytes]
    load: Callable[[bytes], Any]
    quiet: Draw
    shifted: Draw
    refused: Sequence[Any]
    false_alarms: float
    within: int | None
    most_bytes: int
    lead: int = 300
    units: int = 3_000


def check_purity(subject: Subject) -> None:
    """Equal units give equal verdicts and equal bytes, and are left as they were."""
    units = _units(subject, 0, 150) + _units(subject, 0, 50, shifted=True)
    kept = [_copy(unit) for unit in units]
    one, other = subject.fresh(), subject.fresh()
    for i, (unit, copy) in enumerate(zip(units, kept, strict=True)):
        assert subject.hear(one, i, unit) == subject.hear(other, i, copy)
        assert _same(unit, copy)
    assert subject.save(one) == subject.save(other) == subject.save(one)


def check_refuses(subject: Subject) -> None:
    """What is no unit raises ValueError and leaves no trace."""
    it = subject.fresh()
    for i, unit in enumerate(_units(subject, 1, 40)):
        subject.hear(it, i, unit)
    before = subject.save(it)
    for bad in subject.refused:
        with pytest.raises(ValueError):
            subject.hear(it, 40, bad)
        assert subject.save(it) == before


def check_continues(subject: Subject) -> None:
    """Written and read at any moment, it goes on bit for bit: quiet, shifted, and quiet again."""
    units = [*_units(subject, 2, 120), *_units(subject, 2, 80, shifted=True), *_units(subject, 3, 100)]
    straight, broken = subject.fresh(), subject.fresh()
    for i, unit in enumerate(units):
        if i % 7 == 0 or 118 < i < 130:
            broken = subject.load(subject.save(broken))
        assert subject.hear(straight, i, unit) == subject.hear(broken, i, unit), i
    assert subject.save(straight) == subject.save(broken)


def check_refuses_other_bytes(subject: Subject) -> None:
    """Bytes that are none of its own raise StateCorrupt, and nothing else."""
    for data in (b"", b"\x00" * 40, b"\x80", b"\xff\xff"):
        with pytest.raises(StateCorrupt):
            subject.load(data)


def check_bounded(subject: Subject) -> None:
    """State does not grow with what was heard."""
    it = subject.fresh()
    for i, unit in enumerate([*_units(subject, 4, 600), *_units(subject, 4, 300, shifted=True)]):
        subject.hear(it, i, unit)
        if i % 100 == 99:
            assert len(subject.save(it)) <= subject.most_bytes


def check_false_alarms(subject: Subject) -> None:
    """On quiet units, alarms are within their bound; begun anew after each. One run in 10,000 may fail."""
    it, alarms = subject.fresh(), 0
    for i, unit in enumerate(_units(subject, 5, subject.units)):
        if subject.hear(it, i, unit):
            it, alarms = subject.fresh(), alarms + 1
    assert alarms <= binom.ppf(1 - 1e-4, subject.units, subject.false_alarms), alarms


def check_delay(subject: Subject) -> None:
    """After a quiet lead, half of the changes are found in time."""
    if subject.within is None:
        return
    delays = [_delay(subject, seed, 4 * subject.within) for seed in range(9)]
    assert float(np.median(delays)) <= subject.within, sorted(delays)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_purity,
    check_refuses,
    check_continues,
    check_refuses_other_bytes,
    check_bounded,
    check_false_alarms,
    check_delay,
)


def _delay(subject: Subject, seed: int, most: int) -> float:
    it = subject.fresh()
    for i, unit in enumerate(_units(subject, 100 + seed, subject.lead)):
        if subject.hear(it, i, unit):
            it = subject.fresh()
    for i, unit in enumerate(_units(subject, 100 + seed, most, shifted=True)):
        if subject.hear(it, subject.lead + i, unit):
            return i + 1
    return math.inf


def _units(subject: Subject, seed: int, n: int, *, shifted: bool = False) -> list[Any]:
    rng = np.random.default_rng((seed, shifted))
    draw = subject.shifted if shifted else subject.quiet
    return [draw(rng) for _ in range(n)]


def _copy(unit: Any) -> Any:
    return unit.copy() if isinstance(unit, np.ndarray) else unit


def _same(one: Any, other: NDArray[Any] | float) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))
