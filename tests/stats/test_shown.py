"""What panes have shown adds up whatever their order, survives as bytes, and tells how much means of panes vary."""

from __future__ import annotations

import zlib
from functools import cache, reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.errors import StateCorrupt
from driftline.judge.book import SPANS, Book
from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.codec import pack
from driftline.stats.embedding import UNIT
from driftline.stats.reference import learn_section
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.shown import KIND, SQUARE_UNIT, VERSION, Shown
from stats.worlds import PANE, rows_of

PANES = 40


def equal(one: Shown, other: Shown) -> bool:
    return one.to_bytes() == other.to_bytes()


@cache
def section() -> Section:
    x = np.random.default_rng(0).normal(size=(4_000, 3))
    x[:, 1] += x[:, 0]
    return learn_section(
        "predictions", rows_of({f"features.{i}": x[:, i] for i in range(3)}), PANE, DetectionSettings()
    )


@cache
def panes(seed: int = 1) -> list[tuple[int, PaneCounts]]:
    """Of 1 to 60 rows each, some values missing."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, PaneCounts]] = []
    for pane in range(PANES):
        n = int(rng.integers(1, 60))
        x = rng.normal(size=(n, 3))
        x[rng.random((n, 3)) < 0.1] = np.nan
        rows = rows_of({f"features.{i}": x[:, i] for i in range(3)}, start=pane * PANE)
        found += fold_rows(section().grid, rows).items()
    return found


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(PANES)), cut=st.integers(1, PANES - 1), seed=st.integers(1, 5))
def test_order_and_grouping_do_not_matter(order: list[int], cut: int, seed: int) -> None:
    """Mutation: in `__add__`, the larger number of panes."""
    shown = [Shown.of(section(), counts) for _, counts in panes(seed)]
    expected = reduce(add, shown)
    mixed = [shown[i] for i in order]
    assert equal(reduce(add, mixed[:cut]) + reduce(add, mixed[cut:]), expected)
    assert expected.panes == PANES and expected.rows == sum(counts.n for _, counts in panes(seed))
    assert equal(Shown.from_bytes(expected.to_bytes()), expected)


def test_it_tells_how_much_the_means_of_panes_vary() -> None:
    """Mutation: squares over rows squared."""
    rng = np.random.default_rng(2)
    sums, n = [], rng.integers(50, 150, 2_000)
    total: Shown | None = None
    for rows in n.tolist():
        joint = np.rint(rng.normal(10.0, 40.0, (rows, 64)).clip(-UNIT, UNIT)).astype(np.int64).sum(axis=0)
        sums.append(joint)
        one = Shown.of(section(), PaneCounts(rows, panes()[0][1].counts, panes()[0][1].moments, {}, joint))
        total = one if total is None else total + one
    assert total is not None
    mean = total.sums / total.rows
    variance = (total.squares / SQUARE_UNIT - total.rows * mean**2) / (total.panes - 1)
    assert variance.mean() == pytest.approx(40.0**2, rel=0.02)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pack(KIND, VERSION, b"no zlib"),
        pack(KIND, 1, Shown.of(section(), panes()[0][1]).to_bytes()),
        pack("other", VERSION, b""),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StateCorrupt):
        Shown.from_bytes(data)


@pytest.mark.parametrize("head", [(0, 0, 64), (3, 4, 64), (9, 1, -1), (9, 1, 10**6)])
def test_numbers_that_cannot_be_are_refused(head: tuple[int, ...]) -> None:
    """Mutation: in `from_bytes`, no comparison of rows with panes."""
    numbers = np.array([*head, *range(3 * 64)], "<i8")
    with pytest.raises(StateCorrupt):
        Shown.from_bytes(pack(KIND, VERSION, zlib.compress(numbers.tobytes())))


def test_a_book_of_the_same_panes_is_the_same_in_any_order() -> None:
    straight, other = Book(10 * PANE), Book(10 * PANE)
    for pane, counts in panes():
        straight.add("predictions", section(), pane, counts)
    for pane, counts in reversed(panes()):
        other.add("predictions", section(), pane, counts)
    assert straight.flush() == other.flush()


def test_a_book_goes_on_from_its_bytes_and_stays_bounded() -> None:
    """Mutation: in `Book.add`, spans are left out by `<= newest`."""
    straight, broken = Book(PANE), Book(PANE)
    kept: dict[tuple[str, int], bytes] = {}
    for lap in range(3):
        for pane, counts in panes():
            for book in (straight, broken):
                book.add("predictions", section(), pane + lap * PANES * PANE, counts)
            for key, data in broken.flush().items():
                if data is None:
                    del kept[key]
                else:
                    kept[key] = data
            if pane % (7 * PANE) == 0:
                broken = Book(PANE)
                for (stream, span), data in kept.items():
                    broken.read(stream, span, data)
    end = 3 * PANES * PANE
    assert [s.to_bytes() for s in broken.quiet("predictions", end)] == [
        s.to_bytes() for s in straight.quiet("predictions", end)
    ]
    assert len(straight.quiet("predictions", end)) == SPANS
    assert len(kept) <= SPANS + 1
    assert max(len(data) for data in kept.values()) < 1_500
