"""Panes and blocks: one content, one count, one string of bytes, whatever the way there."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.contracts.blocks import BinnedBlock
from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.block import MAX_EXTRA, OTHERS, PaneCounts, add_block, fold_rows, read_block, rows_to_blocks
from driftline.stats.codec import pack, unpack
from driftline.stats.codes import CODES, MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.embedding import FEATURES, UNIT, learn_embedding
from driftline.stats.encode import CHUNK, encode_cells
from driftline.stats.grid import MOMENT_UNIT, Grid, learn_grid
from driftline.stats.layout import CELLS, DENSE, FEW, ROWS, SPARSE, encode_moments
from driftline.stats.rows import Column, Rows

PANE = 10_000


def make_rows(n: int, seed: int, *, panes: int = 3, dirty: bool = True, extra: bool = True) -> Rows:
    """Rows of every kind of column and cell, around time 0."""
    rng = np.random.default_rng(seed)

    def status(share: float) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        codes = rng.choice([MISSING, WRONG_TYPE, NON_FINITE], n).astype(np.uint8)
        return np.where(rng.random(n) < share, codes, 0).astype(np.uint8)

    lost = status(0.1) if dirty else np.zeros(n, np.uint8)
    spoken = dirty & (rng.random(n) < 0.1) & (lost == 0)
    number = np.where((lost != 0) | spoken, np.nan, rng.normal(5, 2, n))
    words: list[str | None] = ["odd" if said else None for said in spoken.tolist()]
    category: list[str | None] = [f"v{i}" for i in rng.integers(0, 12, n)]
    columns = {
        "number": Column(number, words if dirty else None, lost if dirty else None),
        "clean": Column(rng.lognormal(0, 1, n)),
        "category": Column(np.full(n, np.nan), category),
        "error": Column(rng.integers(0, 2, n).astype(np.float64)),
    }
    if extra:
        columns["new"] = Column(np.where(rng.random(n) < 0.5, 1.0, np.nan))
    times = rng.integers(-panes * PANE // 2, panes * PANE // 2 + 1, n)
    return Rows(times.astype(np.int64), rng.integers(0, 2**63, n).astype(np.uint64), columns)


def embedded(rows: Rows) -> Grid:
    """A grid that also sums up what all of its columns do together."""
    grid = learn_grid(rows, PANE)
    codes = np.ascontiguousarray(encode_cells(grid, rows).T)
    counts = np.stack([np.bincount(column, minlength=CODES) for column in codes])
    return msgspec.structs.replace(grid, embedding=learn_embedding(counts, [c.codes for c in grid.columns], codes))


GRID = embedded(make_rows(2_000, 0, extra=False))
F = len(GRID.columns)


def joined(blocks: Iterable[BinnedBlock]) -> dict[int, PaneCounts]:
    panes: dict[int, PaneCounts] = {}
    for block in blocks:
        add_block(panes.setdefault(block.pane, PaneCounts.empty(F, FEATURES)), block, GRID)
    return panes


def blocks_of(rows: Rows) -> list[BinnedBlock]:
    return rows_to_blocks(GRID, rows, "m", "1", "predictions")


def joint_by_hand(codes: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The features of one row: cosines of 4,096ths of a turn, of whole numbers."""
    embedding = GRID.embedding
    assert embedding is not None
    scores = [int(embedding.table[i, codes[column]]) for i, column in enumerate(embedding.columns)]
    *w, phases = embedding.frequencies.astype(int).tolist()
    found = []
    for j in range(FEATURES):
        turned = sum(score * w[i][j] for i, score in enumerate(scores)) + phases[j]
        found.append(round(math.cos(2.0 * math.pi * (turned // 16 % 4_096) / 4_096) * UNIT))
    return np.array(found, np.int64)


def by_hand(rows: Rows) -> dict[int, PaneCounts]:
    """The same counts, one cell at a time."""
    panes: dict[int, PaneCounts] = {}
    for i in range(rows.n):
        start = int(rows.times[i]) // PANE * PANE
        pane = panes.setdefault(start, PaneCounts.empty(F, FEATURES))
        pane.n += 1
        row = []
        for j, column in enumerate(GRID.columns):
            cells = rows.columns[column.name]
            number = float(cells.numbers[i])
            text = cells.texts[i] if cells.texts else None
            status = int(cells.status[i]) if cells.status is not None else 0
            if column.kind == "categorical":
                code = column.table[text] if text is not None else status or MISSING
            elif number == number:
                code = (
                    sum(edge <= number for edge in column.edge_values) if column.kind == "numeric" else int(number)
                )
                z = round((number - column.center) / column.scale * MOMENT_UNIT)
                pane.moments[j] += (z, round(z * z / MOMENT_UNIT))
            else:
                code = status or (WRONG_TYPE if text is not None else MISSING)
            pane.counts[j, code] += 1
            row.append(code)
        pane.joint += joint_by_hand(row)
        if "new" in rows.columns and not np.isnan(rows.columns["new"].numbers[i]):
            pane.extra["new"] = pane.extra.get("new", 0) + 1
    return panes


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


def as_rows(rows: Rows) -> list[BinnedBlock]:
    """One block a pane in layout ROWS."""
    codes = encode_cells(GRID, rows)
    blocks = []
    for pane, counts in fold_rows(GRID, rows).items():
        there = rows.times // PANE * PANE == pane
        moments = encode_moments(counts.moments[GRID.measured])
        blocks.append(
            BinnedBlock(
                *("m", "1", "predictions", GRID.id, pane, counts.n, ROWS),
                *(codes[there].tobytes(), b"", moments, counts.extra),
            )
        )
    return blocks


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


def some_block(n: int = 60) -> BinnedBlock:
    rows = make_rows(n, 1)
    rows.times[:] = 0
    return blocks_of(rows)[0]


def refused(block: BinnedBlock, **wrong: object) -> None:
    pane = PaneCounts.empty(F, FEATURES)
    with pytest.raises(StateCorrupt):
        add_block(pane, msgspec.structs.replace(block, **wrong), GRID)
    assert pane == PaneCounts.empty(F, FEATURES)


def sparse(cells: dict[int, int]) -> dict[str, object]:
    codes = np.array(list(cells), "<u2").tobytes()
    return {"layout": SPARSE, "codes": codes, "counts": np.array(list(cells.values()), "<u1").tobytes()}


def test_faults_c28_block_bytes_that_cannot_be_are_refused_whole() -> None:
    """C28: corrupt bytes end in StateCorrupt before anything is indexed or added.

    Mutation: in `layout._from_sparse`, drop the check of range and order.
    """
    block = some_block()
    refused(block, codes=block.codes[:-1])
    refused(block, codes=block.codes + b"\0")
    refused(block, codes=b"\xff" * len(block.codes))
    refused(block, counts=b"\1")
    refused(block, moments=block.moments[:-1])
    refused(block, joint=block.joint[:-1])
    refused(block, joint=b"")
    refused(block, joint=np.full(FEATURES, UNIT * block.n + 1, "<i4").tobytes())
    refused(block, n=block.n + 1)
    refused(block, n=-1)
    refused(block, n=2**62)
    refused(block, layout=4)
    refused(block, extra={"a": block.n + 1})
    refused(block, extra={"a": -1})
    refused(block, extra={OTHERS: 2**63})
    refused(block, extra={f"a{i}": 1 for i in range(MAX_EXTRA + 2)})
    missing = {f * CODES + MISSING: 60 for f in range(F)}
    add_block(PaneCounts.empty(F, FEATURES), msgspec.structs.replace(block, n=60, **sparse(missing)), GRID)
    refused(block, **sparse({**missing, F * CODES: 1}))
    refused(block, **sparse(dict(reversed(missing.items()))))
    refused(block, **sparse({**missing, (F - 1) * CODES + MISSING: 59}))
    refused(block, **(sparse(missing) | {"counts": b"\1"}))
    refused(block, **(sparse(missing) | {"codes": b"\1"}))
    refused(block, layout=DENSE, codes=b"", counts=b"\1" * 100)
    refused(block, layout=DENSE, codes=b"", counts=b"\xff" * F * CODES * 8)


def test_faults_c28_rows_that_cannot_be_are_refused_whole() -> None:
    """C28: the codes of layout ROWS are of a grid's width and columns, and few.

    Mutation: in `layout.decode_rows`, do not ask which codes are allowed."""
    rows = make_rows(FEW, 1)
    rows.times[:] = 0
    [block] = as_rows(rows)
    add_block(PaneCounts.empty(F, FEATURES), block, GRID)
    refused(block, codes=block.codes[:-1])
    refused(block, codes=block.codes + b"\0")
    refused(block, codes=b"\xff" * len(block.codes))
    refused(block, codes=bytes([GRID.columns[0].codes]) + block.codes[1:])
    refused(block, counts=b"\1")
    refused(block, joint=some_block().joint)
    refused(block, moments=block.moments[:-1])
    refused(block, n=FEW - 1)
    refused(block, n=0, codes=b"")
    refused(block, n=-1, codes=b"")
    refused(block, n=FEW + 1, codes=block.codes + block.codes[:F])
    assert [c.kind for c in GRID.columns] == ["categorical", "numeric", "rate", "numeric"]


def test_a_block_of_another_grid_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="grid"):
        add_block(PaneCounts.empty(F, FEATURES), some_block(), Grid(GRID.columns, PANE + 1))


def test_faults_c28_pane_state_that_is_corrupt_cut_newer_or_of_another_kind() -> None:
    """C28: any single wrong byte and any cut is noticed; a newer version is refused as newer.

    Mutation: in `codec.unpack`, drop the comparison of the checksum.
    """
    pane = fold_rows(GRID, make_rows(60, 1, panes=1))[0]
    data = pane.to_bytes()
    for at in range(len(data)):
        with pytest.raises(StateCorrupt):
            PaneCounts.from_bytes(GRID, data[:at])
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(StateCorrupt):
            PaneCounts.from_bytes(GRID, bytes(flipped))
    version, body = unpack("pane", 1, data)
    with pytest.raises(StateTooNew):
        PaneCounts.from_bytes(GRID, pack("pane", version + 1, body))
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(GRID, pack("windows", version, body))
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(GRID, pack("pane", 0, body))
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(Grid(GRID.columns[:-1], PANE), data)


@given(junk=st.binary(max_size=60))
def test_faults_c28_a_body_with_a_valid_checksum_is_still_not_trusted(junk: bytes) -> None:
    """C28: a well-packed body of the wrong shape is StateCorrupt, never IndexError.

    Mutation: in `PaneCounts.from_bytes`, decode without `type=`.
    """
    with pytest.raises(StateCorrupt):
        PaneCounts.from_bytes(GRID, pack("pane", 1, junk))
