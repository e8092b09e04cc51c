"""The worked example: a false-negative rate that goes from 0.2 % to 0.6 % while at most 0.5 % is allowed."""

from __future__ import annotations

import pytest

from bench.detection.limits import CHANGES, floor, rows


def test_the_limit_is_proved_near_the_floor_and_never_while_it_is_kept() -> None:
    """ADWIN is no slower, because any change will do: it alarms on 0.1 % to 0.4 % as well, which is allowed.
    Mutation: `ODDS` ten times as large."""
    rows_found = [row for change in CHANGES for row in rows(*change, 5, ("limit", "ADWIN"))]
    found = {(row.detector, row.after): row for row in rows_found if row.arl0 in (None, 1e6)}
    assert floor(0.006, 1e6) == pytest.approx(37_571, rel=1e-3)
    for after, most in ((0.006, 67_000), (0.01, 6_100), (0.02, 1_200)):
        row = found["limit", after]
        assert (row.found, row.early) == (1.0, 0)
        assert row.median <= most  # 1.8 times the floor
    assert found["limit", 0.004].found == 0.0
    assert found["ADWIN", 0.004].found == 1.0
