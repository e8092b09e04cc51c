"""The grid: its bins, its identity, its pane length."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from driftline.stats.encode import encode_cells
from driftline.stats.grid import (
    FINE,
    MAX_CATEGORIES,
    MISSING,
    NON_FINITE,
    UNSEEN,
    WRONG_TYPE,
    Grid,
    GridColumn,
    choose_pane_ms,
    learn_grid,
)
from driftline.stats.rows import Column, Rows

N = 10_000


def rows_of(**columns: Column) -> Rows:
    n = len(next(iter(columns.values())).numbers)
    return Rows(np.arange(n, dtype=np.int64), np.arange(n, dtype=np.uint64), columns)


def numbers(values: npt.ArrayLike) -> Column:
    return Column(np.asarray(values, np.float64))


def texts(values: list[str | None]) -> Column:
    return Column(np.full(len(values), np.nan), values)


def streams() -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(7)
    lognormal = rng.lognormal(0, 1, N)
    return {
        "normal": rng.normal(size=N),
        "uniform": rng.uniform(size=N),
        "lognormal": lognormal,
        "t3": rng.standard_t(3, N),
        "pareto": rng.pareto(1.5, N) + 1,
        "poisson": rng.poisson(3, N).astype(np.float64),
        "zero_inflated": np.where(rng.random(N) < 0.7, 0, lognormal),
        "scaled": rng.normal(1000, 100, N),
        "tiny": rng.normal(0, 1e-300, N),
        "huge": rng.uniform(-1, 1, N) * 1.7e308,
        "thousand_integers": rng.integers(0, 1000, N).astype(np.float64),
        "largest": np.full(N, np.finfo(np.float64).max),
        "constant": np.full(N, 0.1),
        "zeros": np.zeros(N),
        "many_atoms": np.where(rng.random(N) < 0.9, rng.integers(0, 60, N), rng.normal(size=N)),
    }


@pytest.mark.parametrize("name", streams())
def test_bins_are_fine_and_atoms_stand_alone(name: str) -> None:
    """Every heavy value is alone in its bin, and no other bin holds more than 1/64 and its ties."""
    values = streams()[name]
    rows = rows_of(x=numbers(values))
    grid = learn_grid(rows, 10_000)
    column = grid.columns[0]
    edges = column.edge_values
    assert len(edges) < FINE
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert np.isfinite(column.center) and 0 < column.scale < np.inf
    codes = encode_cells(grid, rows)[:, 0]
    np.testing.assert_array_equal(codes, np.searchsorted(edges, values, side="right"))
    distinct, counts = np.unique(values, return_counts=True)
    heavy = distinct[counts * 64 >= N]
    for value in heavy:
        held = np.unique(values[codes == codes[values == value][0]])
        np.testing.assert_array_equal(held, [value])
    light = ~np.isin(values, heavy)
    if light.any():
        assert np.bincount(codes[light]).max() <= N // 32


def test_few_distinct_values_leave_bins_for_what_lies_between_them() -> None:
    grid = learn_grid(rows_of(x=numbers(np.repeat([1.0, 2.0, 3.0], 50))), 10_000)
    probe = rows_of(x=numbers([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]))
    assert encode_cells(grid, probe)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_kinds() -> None:
    half: list[str | None] = ["a", "b", None, None]
    grid = learn_grid(
        rows_of(
            error=numbers([0, 1, 1, 0]),
            rate_like=numbers([0, 1, 1, 0]),
            mixed=Column(np.array([np.nan, np.nan, 1, 2]), half),
            mostly_text=Column(np.array([np.nan, np.nan, 1, np.nan]), half),
            nothing=Column.missing(4),
            infinite=Column(np.full(4, np.nan), None, np.full(4, NON_FINITE, np.uint8)),
        ),
        60_000,
    )
    assert [(column.name, column.kind) for column in grid.columns] == [
        ("error", "rate"),
        ("infinite", "numeric"),
        ("mixed", "numeric"),
        ("mostly_text", "categorical"),
        ("rate_like", "numeric"),
    ]
    assert learn_grid(rows_of(error=numbers([0, 1, 0.5])), 1).columns[0].kind == "numeric"


def test_codes_of_every_kind_of_cell() -> None:
    """Every cell has a code, and every non-value a status code of its own."""
    grid = Grid(
        [
            GridColumn("c", "categorical", categories=["a", "b"]),
            GridColumn("gone", "numeric"),
            GridColumn("gone_c", "categorical"),
            GridColumn("n", "numeric", np.array([0.0, 1.0]).astype("<f8").tobytes()),
            GridColumn("r", "rate"),
        ],
        10_000,
    )
    status = np.array([0, 0, 0, MISSING, WRONG_TYPE, NON_FINITE, 0], np.uint8)
    cells = Column(
        np.array([0.0, 1.0, np.nan, np.nan, np.nan, np.nan, np.nan]),
        [None, None, "b", None, None, None, None],
        status,
    )
    codes = encode_cells(grid, rows_of(c=cells, n=cells, r=cells))
    tail = [MISSING, WRONG_TYPE, NON_FINITE, MISSING]
    assert codes[:, 0].tolist() == [WRONG_TYPE, WRONG_TYPE, 1, *tail]
    assert codes[:, 1].tolist() == [MISSING] * 7
    assert codes[:, 2].tolist() == [MISSING] * 7
    assert codes[:, 3].tolist() == [1, 2, WRONG_TYPE, *tail]
    assert codes[:, 4].tolist() == [0, 1, WRONG_TYPE, *tail]
    assert encode_cells(grid, rows_of(r=numbers([0.5, -1, 2])))[:, 4].tolist() == [WRONG_TYPE] * 3


def test_category_table_is_by_count_then_name_and_the_rest_is_hashed() -> None:
    values: list[str | None] = [f"v{i:03}" for i in range(300)]
    grid = learn_grid(rows_of(c=texts([*values, "v299", "v299", "v298"])), 10_000)
    table = grid.columns[0].categories
    assert table[:4] == ["v299", "v298", "v000", "v001"]
    assert len(table) == MAX_CATEGORIES
    codes = encode_cells(grid, rows_of(c=texts(["v299", "never", "v290", "never"])))[:, 0]
    assert codes[0] == 0
    assert codes[1] == codes[3]
    assert (codes[1:] >= UNSEEN).all() and (codes[1:] < UNSEEN + 64).all()


def test_grid_does_not_depend_on_the_order_of_rows() -> None:
    rng = np.random.default_rng(3)
    values = streams()
    rows = rows_of(
        **{name: numbers(column) for name, column in values.items()},
        c=texts([f"v{i}" for i in rng.integers(0, 400, N)]),
        signed_zero=numbers(np.where(rng.random(N) < 0.5, 0.0, -0.0)),
    )
    grid = learn_grid(rows, 10_000)
    assert learn_grid(rows.take(rng.permutation(N)), 10_000) == grid
    assert learn_grid(rows.take(rng.permutation(N)), 10_000).id == grid.id


def test_id_is_a_function_of_the_content_in_any_process() -> None:
    grid = Grid([GridColumn("x", "numeric", b"\0" * 8, [], 1.5, 0.1), GridColumn("c", "categorical")], 10_000)
    text = msgspec.json.encode(grid)
    assert msgspec.json.decode(text, type=Grid).id == grid.id
    script = (
        "import sys, msgspec; from driftline.stats.grid import Grid;"
        "print(msgspec.json.decode(sys.stdin.buffer.read(), type=Grid).id)"
    )
    path = ":".join(entry for entry in sys.path if entry)
    other = subprocess.run(
        [sys.executable, "-c", script],
        input=text,
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "4711", "PYTHONPATH": path},
    )
    assert other.stdout.decode().strip() == grid.id
    assert Grid(grid.columns, 60_000).id != grid.id
    assert Grid([msgspec.structs.replace(grid.columns[0], scale=0.2), grid.columns[1]], 10_000).id != grid.id


def test_scale_is_the_spread_and_a_constant_has_one_too() -> None:
    values = np.random.default_rng(0).normal(50, 4, N)
    column = learn_grid(rows_of(x=numbers(values)), 1).columns[0]
    assert column.center == pytest.approx(values.mean())
    assert column.scale == pytest.approx(values.std())
    assert learn_grid(rows_of(x=numbers(np.full(9, 0.1))), 1).columns[0].scale == 0.1
    assert learn_grid(rows_of(x=numbers(np.zeros(9))), 1).columns[0].scale == 1.0


@pytest.mark.parametrize(
    ("every_ms", "length"),
    [(100, 10_000), (1_000, 60_000), (19_000, 600_000), (60_000, 3_600_000), (3_600_000, 86_400_000)],
)
def test_pane_is_the_shortest_with_thirty_events(every_ms: int, length: int) -> None:
    assert choose_pane_ms(np.arange(-500, 500, dtype=np.int64) * every_ms) == length


def test_quiet_hours_do_not_lengthen_the_pane() -> None:
    bursts = np.concatenate([day * 86_400_000 + np.arange(0, 60_000, 100) for day in range(10)])
    assert choose_pane_ms(bursts.astype(np.int64)) == 10_000
    assert choose_pane_ms(np.empty(0, np.int64)) == 86_400_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": b"1234567"},
        {"edges": np.arange(248.0).tobytes()},
        {"edges": np.array([2.0, 1.0]).tobytes()},
        {"edges": np.array([1.0, 1.0]).tobytes()},
        {"edges": np.array([np.nan]).tobytes()},
        {"edges": np.array([np.inf]).tobytes()},
        {"categories": ["a", "a"]},
        {"categories": [f"{i}" for i in range(MAX_CATEGORIES + 1)]},
        {"scale": 0.0},
        {"scale": -1.0},
        {"scale": 1e-300},
        {"center": 1e999},
    ],
)
def test_a_column_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    column = {"name": "x", "kind": "numeric", "edges": b"", "categories": [], "center": 0.0, "scale": 1.0}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(column), type=GridColumn).name == "x"
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(column | wrong), type=GridColumn)


def test_a_grid_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="grid"):
        Grid([GridColumn("x", "rate"), GridColumn("x", "rate")], 10_000)
    with pytest.raises(ValueError, match="grid"):
        Grid([], 0)
