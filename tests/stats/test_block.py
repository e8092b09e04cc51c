"""Panes and blocks: one content, one count, one string of bytes, whatever the way there."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.stats.block import MAX_EXTRA, OTHERS, PaneCounts, add_block, fold_rows, read_block, rows_to_blocks
from driftline.stats.codes import MISSING
from driftline.stats.embedding import FEATURES
from driftline.stats.encode import CHUNK
from driftline.stats.grid import MOMENT_UNIT, learn_grid
from driftline.stats.layout import CELLS, DENSE, FEW, SPARSE
from driftline.stats.rows import Column, Rows
from stats.block_making import (
    GRID,
    PANE,
    F,
    as_rows,
    blocks_of,
    by_hand,
    joined,
    make_rows,
)


def test_counts_are_those_of_a_count_by_hand() -> None:
    rows = make_rows(400, 1)
    assert fold_rows(GRID, rows) == by_hand(rows)
    assert sum(rows.times < 0) > 50, "panes before the epoch are meant to be among them"


@pytest.mark.parametrize("n", [1, 2, 30, 300, 1_000, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_binning_at_ingest_equals_binning_at_judge(n: int) -> None:
    rows = make_rows(n, n)
    assert joined(blocks_of(rows)) == fold_rows(GRID, rows)
    for pane in fold_rows(GRID, rows).values():
        np.testing.assert_array_equal(pane.counts.sum(axis=1), pane.n)


@given(n=st.integers(1, FEW), seed=st.integers(0, 2**32 - 1), shuffle=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_rows_mean_the_same_in_any_order_and_beside_other_layouts(n: int, seed: int, shuffle: int) -> None:
    rows = make_rows(n, seed)
    order = np.random.default_rng(shuffle).permutation(n)
    some, others = rows.take(order[: n // 2]), rows.take(order[n // 2 :])
    assert joined(as_rows(rows.take(order))) == joined(blocks_of(rows)) == fold_rows(GRID, rows)
    assert joined([*as_rows(some), *blocks_of(others)]) == fold_rows(GRID, rows)
    assert joined([*as_rows(others), *as_rows(some)]) == fold_rows(GRID, rows)


def test_no_rows_no_blocks() -> None:
    assert blocks_of(make_rows(0, 0)) == []
    assert fold_rows(GRID, make_rows(0, 0)) == {}


@given(n=st.integers(1, 120), seed=st.integers(0, 2**32 - 1), shuffle=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_equal_rows_give_equal_bytes(n: int, seed: int, shuffle: int) -> None:
    rows = make_rows(n, seed)
    other = rows.take(np.random.default_rng(shuffle).permutation(n))
    assert msgspec.msgpack.encode(blocks_of(other)) == msgspec.msgpack.encode(blocks_of(rows))


@given(n=st.integers(1, 200), seed=st.integers(0, 2**32 - 1), parts=st.lists(st.integers(0, 4), min_size=200))
@settings(max_examples=50, deadline=None)
def test_any_partitioning_gives_the_same_counts(n: int, seed: int, parts: list[int]) -> None:
    rows = make_rows(n, seed)
    part = np.array(parts[:n])
    blocks = [block for p in range(5) for block in blocks_of(rows.take(np.flatnonzero(part == p)))]
    assert joined(blocks) == fold_rows(GRID, rows)
    assert joined(reversed(blocks)) == fold_rows(GRID, rows)


counts = (
    st.integers(0, 2**32 - 1)
    .map(lambda seed: fold_rows(GRID, make_rows(1 + seed % 40, seed, panes=1)))
    .map(lambda panes: next(iter(panes.values())))
)
names = st.dictionaries(st.sampled_from([f"n{i:02}" for i in range(60)]), st.integers(1, 9), max_size=MAX_EXTRA)
panes = st.builds(
    lambda pane, extra: PaneCounts(pane.n, pane.counts, pane.moments, extra, pane.joint), counts, names
)


@given(a=panes, b=panes, c=panes)
@settings(max_examples=60, deadline=None)
def test_merge_is_associative_and_commutative_and_keeps_its_bytes(
    a: PaneCounts, b: PaneCounts, c: PaneCounts
) -> None:
    left = a.copy().merge(b).merge(c)
    right = a.copy().merge(b.copy().merge(c))
    turned = c.copy().merge(a).merge(b)
    assert left == right == turned
    assert left.to_bytes() == right.to_bytes() == turned.to_bytes()
    assert len(left.extra) <= MAX_EXTRA + 1
    assert sum(left.extra.values()) == sum(sum(pane.extra.values()) for pane in (a, b, c))
    assert a.copy().merge(PaneCounts.empty(F, FEATURES)) == a


@given(a=panes, b=panes)
@settings(max_examples=60, deadline=None)
def test_serialise_then_continue(a: PaneCounts, b: PaneCounts) -> None:
    a.extra = {name: min(rows, a.n) for name, rows in a.extra.items()}
    restored = PaneCounts.from_bytes(GRID, a.to_bytes())
    assert restored == a
    assert restored.to_bytes() == a.to_bytes()
    assert restored.merge(b) == a.merge(b)


def test_merge_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="do not merge"):
        PaneCounts.empty(2).merge(PaneCounts.empty(3))


@pytest.mark.parametrize(("n", "layout"), [(1, CELLS), (200, CELLS), (CHUNK, DENSE)])
def test_layout_of_numeric_columns(n: int, layout: int) -> None:
    rows = Rows(
        np.zeros(n, np.int64), np.zeros(n, np.uint64), {"x": Column(np.random.default_rng(n).normal(size=n))}
    )
    grid = learn_grid(rows, PANE) if n > 1 else learn_grid(Rows.concat([rows] * 9), PANE)
    [block] = rows_to_blocks(grid, rows, "m", "1", "predictions")
    assert block.layout == layout
    pane = PaneCounts.empty(1)
    add_block(pane, block, grid)
    assert {0: pane} == fold_rows(grid, rows)


@pytest.mark.parametrize("n", [50, 5_000, 70_000])
def test_layout_of_few_categories_is_sparse(n: int) -> None:
    values: list[str | None] = ["a" if i % 3 else "b" for i in range(n)]
    rows = Rows(np.zeros(n, np.int64), np.zeros(n, np.uint64), {"c": Column(np.full(n, np.nan), values)})
    grid = learn_grid(rows, PANE)
    [block] = rows_to_blocks(grid, rows, "m", "1", "predictions")
    assert block.layout == SPARSE
    assert len(block.codes) + len(block.counts) <= 12
    pane = PaneCounts.empty(1)
    add_block(pane, block, grid)
    assert {0: pane} == fold_rows(grid, rows)


def test_a_block_read_is_what_it_adds() -> None:
    for block in blocks_of(make_rows(300, 5)):
        alone = PaneCounts.empty(F, FEATURES)
        add_block(alone, block, GRID)
        assert read_block(block, GRID) == alone


def test_more_than_256_columns_fit() -> None:
    n = 300
    columns = {f"c{i:03}": Column(np.full(n, np.nan), list("ab" * (n // 2))) for i in range(300)}
    rows = Rows(np.zeros(n, np.int64), np.zeros(n, np.uint64), columns)
    grid = learn_grid(rows, PANE)
    [block] = rows_to_blocks(grid, rows, "m", "1", "predictions")
    assert block.layout == SPARSE
    pane = PaneCounts.empty(300)
    add_block(pane, block, grid)
    assert {0: pane} == fold_rows(grid, rows)


def test_thirty_rows_of_twenty_columns_take_at_most_fifty_bytes_an_event() -> None:
    rng = np.random.default_rng(0)
    columns = {f"features.f{i}": Column(rng.normal(i, 1 + i, 2_000)) for i in range(20)}
    rows = Rows(np.zeros(2_000, np.int64), np.arange(2_000, dtype=np.uint64), columns)
    grid = learn_grid(rows, PANE)
    [block] = rows_to_blocks(grid, rows.take(np.arange(30)), "a-model", "a-version", "predictions")
    assert len(msgspec.msgpack.encode(block)) / 30 <= 50


def test_unknown_columns_are_counted_with_a_cap_that_does_not_know_who_came_first() -> None:
    rows = make_rows(10, 1, panes=1, extra=False)
    rows.times[:] = 0
    for i in range(40):
        rows.columns[f"x{i:02}"] = Column(np.ones(10))
    rows.columns["text"] = Column(np.full(10, np.nan), ["a", *[None] * 9])
    rows.columns["void"] = Column.missing(10)
    [block] = blocks_of(rows)
    assert block.extra == {OTHERS: 90, "text": 1, **{f"x{i:02}": 10 for i in range(31)}}
    assert joined([block, block])[0].extra[OTHERS] == 180


def test_a_missing_column_is_missing_in_every_row_of_its_block() -> None:
    rows = make_rows(20, 1, panes=1)
    del rows.columns["clean"], rows.columns["category"]
    for pane in fold_rows(GRID, rows).values():
        for name in ("clean", "category"):
            assert pane.counts[GRID.index[name], MISSING] == pane.n


def test_a_z_out_of_all_bounds_is_clipped() -> None:
    rows = make_rows(2, 1, panes=1)
    rows.times[:] = 0
    rows.columns["clean"] = Column(np.array([1.7e308, -1.7e308]))
    pane = fold_rows(GRID, rows)[0]
    assert pane.moments[GRID.index["clean"]].tolist() == [0, 2 * 1_000_000 * MOMENT_UNIT]
    assert joined(blocks_of(rows))[0] == pane
