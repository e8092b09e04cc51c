"""Evidence of one unit: at most 1 in expectation inside the null, growing outside, and back again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline.stats.witness import (
    EFFECTS,
    SIGNS,
    bernoulli_evidence,
    bernoulli_recovery,
    tail_variance,
    tilt_evidence,
    tilt_recovery,
    witness_values,
)

SHARES = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
VALUES = np.array([-2.0, -1.0, 0.0, 1.0, 3.0])
MU = float(SHARES @ VALUES)


def bernoulli_mean(slope: float, offset: float, p: float) -> float:
    return float(p * np.exp(slope + offset) + (1 - p) * np.exp(offset))


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("mu", [0.0005, 0.02, 0.3, 0.9])
def test_bernoulli_ratio_is_a_supermartingale_in_the_null(mu: float, sign: float) -> None:
    """Mutation: the boundary at mu instead of mu + s eps, in `bernoulli_evidence`."""
    eps = min(0.02, mu / 4)
    found = bernoulli_evidence(mu, eps, sign)
    assert found is not None
    for slope, offset in zip(*found, strict=True):
        assert bernoulli_mean(slope, offset, mu + sign * eps) == pytest.approx(1.0)
        assert bernoulli_mean(slope, offset, mu) < 1.0


def test_a_share_that_cannot_move_so_far_has_no_evidence() -> None:
    assert bernoulli_evidence(0.99, 0.02, 1.0) is None
    assert bernoulli_evidence(0.01, 0.02, -1.0) is None


@pytest.mark.parametrize("sign", SIGNS)
def test_tilt_is_a_supermartingale_in_the_null(sign: float) -> None:
    """Mutation: leave theta eps out of `tilt_evidence`."""
    eps = 0.1
    slope, offset = tilt_evidence(VALUES, SHARES, MU, eps, sign)
    for i in range(len(EFFECTS)):
        ratio = np.exp(slope[i] * VALUES + offset[i])
        shifted = np.exp(slope[i] * (VALUES + sign * eps) + offset[i])
        assert SHARES @ ratio < 1.0
        assert SHARES @ shifted == pytest.approx(1.0)


@pytest.mark.parametrize("sign", SIGNS)
def test_recovery_grows_at_the_reference_and_sinks_at_the_boundary(sign: float) -> None:
    slope, offset = bernoulli_recovery(0.2, 0.02, sign)
    assert slope * 0.2 + offset > 0.0
    assert bernoulli_mean(slope, offset, 0.2 + sign * 0.02) == pytest.approx(1.0)
    slope, offset = tilt_recovery(VALUES, SHARES, MU, 0.1, sign)
    assert slope * MU + offset > 0.0
    assert SHARES @ np.exp(slope * (VALUES + sign * 0.1) + offset) == pytest.approx(1.0)


def test_functions_of_the_bins() -> None:
    assert witness_values("below", 2, VALUES)[:4].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert witness_values("is", 3, VALUES).nonzero()[0].tolist() == [3]
    assert witness_values("spread", 0, VALUES)[:5].tolist() == [4.0, 1.0, 0.0, 1.0, 9.0]


@pytest.mark.parametrize("common", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("n", [30.0, 100.0, 1e4, 1e9])
def test_a_squared_normal_is_no_evidence(common: float, n: float) -> None:
    """The spread of n events of which `common` is all of a pane's: evidence is worth 1 at most, however many they are.

    Mutation: 0 from `tail_variance`."""
    for d in EFFECTS:
        tilt = d / (1.0 / n + common**2 + tail_variance(common, 2.0, np.array([d / 2.0]))[0])
        s = common / math.sqrt(2.0)
        assert 2.0 * tilt * s < 1.0
        cumulant = tilt**2 / n / 2.0 - tilt * s - 0.5 * math.log1p(-2.0 * tilt * s)
        assert cumulant <= tilt * d / 2.0
