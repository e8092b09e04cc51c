"""The fast lookup is the binary search, bin for bin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from driftline.stats.lookup import CELLS, CROWDED, BinLookup, _edges_below

Floats = npt.NDArray[np.float64]
LARGEST = np.finfo(np.float64).max

finite = st.floats(allow_nan=False, allow_infinity=False)
near = st.builds(
    lambda base, ulps: base * (1 + ulps * 2.0**-52), st.sampled_from([1.0, 3.0, 1e9]), st.integers(-4, 4)
)
edges = hnp.arrays(np.float64, st.integers(0, 247), elements=st.one_of(finite, near, st.floats(-3, 3))).map(
    np.unique
)


def around(own: Floats) -> Floats:
    """The edges and their neighbours on both sides."""
    with np.errstate(over="ignore"):
        beside: Floats = np.concatenate([own, np.nextafter(own, -np.inf), np.nextafter(own, np.inf)])
    return beside[np.isfinite(beside)]


@given(columns=st.lists(edges, min_size=1, max_size=4), probes=hnp.arrays(np.float64, 20, elements=finite))
@settings(deadline=None)
def test_equals_the_binary_search(columns: list[Floats], probes: Floats) -> None:
    lookup = BinLookup(columns)
    everything = np.concatenate([probes, [0.0, LARGEST, -LARGEST], *[around(own) for own in columns]])
    found = lookup.bins(np.tile(everything, (len(columns), 1)))
    for own, bins in zip(columns, found, strict=True):
        np.testing.assert_array_equal(bins, own.searchsorted(everything, side="right"))


def test_edges_too_dense_for_the_cells_are_searched() -> None:
    own = np.concatenate([[-1e6], np.linspace(0, 1e-9, 245), [1e6]])
    values = around(own)[None]
    np.testing.assert_array_equal(BinLookup([own]).bins(values)[0], own.searchsorted(values[0], side="right"))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_a_cell_without_an_edge_is_known_by_its_neighbour(seed: int) -> None:
    """Also where an edge lies on a border, so that rounding might put it on either side.

    Mutation: in `lookup._edges_below`, leave out `bordered`."""
    rng = np.random.default_rng(seed)
    places = np.sort(rng.choice(np.arange(2, CELLS - 1), 60, replace=False) + rng.choice([0, 1e-9, -1e-9, 0.5], 60))
    table = _edges_below(places)
    for at in range(CELLS - 1):
        near = (places > at - 1e-7) & (places < at + 1 + 1e-7)
        if near.any():
            assert table[at] == CROWDED or table[at] != table[at + 1]
