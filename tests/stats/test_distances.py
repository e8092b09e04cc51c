"""Distances against scipy, and at their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from driftline.stats.distances import FLOOR, Counts, distances, js, ks, psi, wasserstein_sd

distance = pytest.importorskip("scipy.spatial.distance")
stats = pytest.importorskip("scipy.stats")
rel_entr = pytest.importorskip("scipy.special").rel_entr

VALUES = np.array([-2.0, -1.0, 0.5, 1.0, 7.0])
SAMPLES = [
    (np.array([10, 20, 40, 20, 10]), np.array([5, 10, 30, 30, 25])),
    (np.array([1, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 9])),
    (np.array([3, 1, 4, 1, 5]), np.array([300, 100, 400, 100, 500])),
]


@pytest.mark.parametrize(("reference", "current"), SAMPLES)
def test_against_scipy(reference: Counts, current: Counts) -> None:
    one, other = np.repeat(VALUES, reference), np.repeat(VALUES, current)
    assert js(reference, current) == pytest.approx(
        distance.jensenshannon(reference, current, base=2) ** 2, abs=1e-15
    )
    assert ks(reference, current) == pytest.approx(stats.ks_2samp(one, other).statistic)
    wanted = stats.wasserstein_distance(one, other) / 2.5
    assert wasserstein_sd(reference, current, VALUES, 2.5) == pytest.approx(wanted)
    p = np.maximum(reference / reference.sum(), FLOOR)
    q = np.maximum(current / current.sum(), FLOOR)
    assert psi(reference, current) == pytest.approx(float(np.sum(rel_entr(p, q) + rel_entr(q, p))), abs=1e-15)


def test_known_values() -> None:
    half, skewed = np.array([50, 50]), np.array([90, 10])
    assert psi(half, skewed) == pytest.approx(0.4 * math.log(1.8) - 0.4 * math.log(0.2))
    assert js(np.array([1, 0]), np.array([0, 5])) == 1
    assert ks(half, skewed) == pytest.approx(0.4)
    assert wasserstein_sd(half, skewed, np.array([0.0, 3.0]), 2.0) == pytest.approx(0.6)


def test_a_shift_of_one_sd_is_a_wasserstein_distance_of_one() -> None:
    rng = np.random.default_rng(0)
    edges = np.linspace(-6, 7, 300)
    one, other = (np.histogram(rng.normal(mu, 1, 50_000), edges)[0].astype(np.int64) for mu in (0, 1))
    assert wasserstein_sd(one, other, (edges[1:] + edges[:-1]) / 2, 1.0) == pytest.approx(1, abs=0.02)
    assert ks(one, other) == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=0.02)


@given(
    sides=hnp.arrays(np.int64, (2, 6), elements=st.integers(0, 10**6)).filter(lambda a: bool(a.sum(axis=1).all())),
    factor=st.integers(1, 1_000),
)
def test_bounds_symmetry_and_scale(sides: Counts, factor: int) -> None:
    one, other = sides
    assert 0 <= js(one, other) <= 1
    assert 0 <= ks(one, other) <= 1 + 1e-12
    assert 0 <= psi(one, other) <= 2 * math.log(1 / FLOOR)
    assert js(one, other) == js(other, one)
    assert psi(one, other) == pytest.approx(psi(other, one))
    for measure in (psi, js, ks):
        assert measure(one, one * factor) == 0


def test_record() -> None:
    values = np.array([0.0, 1.0, 2.0])
    reference, current = np.array([2, 5, 3, 0]), np.array([0, 5, 5, 10])
    found = distances(reference, current, values, 2.0)
    assert found is not None
    assert found.n == 20
    assert found.ks == pytest.approx(0.2)
    assert found.wasserstein_sd == pytest.approx(0.2)
    assert found.psi == psi(reference, current) and found.js == js(reference, current)
    categories = distances(reference, current)
    assert categories is not None and categories.ks is None and categories.wasserstein_sd is None
    gone = distances(reference, np.array([0, 0, 0, 7]), values, 2.0)
    assert gone is not None and gone.ks is None and gone.n == 7
    assert distances(reference, np.zeros(4, np.int64), values, 2.0) is None
    assert distances(np.zeros(4, np.int64), current, values, 2.0) is None
