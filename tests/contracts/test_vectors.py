"""Lists of numbers become columns: exact, bounded, of each vector alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest

from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.contracts.limits import MAX_VECTOR
from driftline.contracts.vectors import signs, vector_columns
from driftline.stats.codes import MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.rows import Column
from driftline.stats.vectors import PARTS, part_names

RNG = np.random.default_rng(0)


def text(**features: Any) -> bytes:
    return orjson.dumps(features)


def at(columns: dict[str, Column], name: str, row: int) -> float | int | str:
    column = columns[name]
    if column.status is not None and column.status[row]:
        return int(column.status[row])
    if column.texts is not None and (found := column.texts[row]) is not None:
        return found
    return float(column.numbers[row])


def test_length_norm_and_projections() -> None:
    v = RNG.normal(size=768)
    columns = FeatureDecoder().columns([text(v=v.tolist(), x=1)]).columns
    assert set(columns) == {"x", *part_names("v")}
    assert at(columns, "v.length", 0) == 768
    assert at(columns, "v.norm", 0) == pytest.approx(float(np.linalg.norm(v)), rel=1e-5)
    for i in range(8):
        expected = float(v @ signs("v", 768)[:, i]) / math.sqrt(768)
        assert at(columns, f"v.p{i}", 0) == pytest.approx(expected, abs=1e-5)
    assert (np.abs(signs("v", 768)) == 1).all()
    assert not np.array_equal(signs("v", 768), signs("w", 768))


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1.0, 1e300])
def test_of_each_vector_alone_whatever_the_batch(scale: float) -> None:
    """To the bit. Mutation: one exponent for all vectors of a batch."""
    cells: list[Any] = [
        (RNG.normal(size=int(n)) * scale * 10.0 ** RNG.integers(-3, 3)).tolist() for n in [7, 64] * 40
    ]
    whole = vector_columns("v", cells)
    assert whole is not None
    for i, cell in enumerate(cells):
        alone = vector_columns("v", [cell])
        assert alone is not None
        for one, all_of_them in zip(alone, whole, strict=True):
            assert one.numbers[0] == all_of_them.numbers[i]
    backwards = vector_columns("v", cells[::-1])
    assert backwards is not None
    assert all(np.array_equal(a.numbers[::-1], b.numbers) for a, b in zip(backwards, whole, strict=True))


@pytest.mark.parametrize(
    "value",
    [[], [1.0], [1.0, "a"], [1.0, None], [True, False], [[1.0, 2.0]], [0.0] * (MAX_VECTOR + 1), [{"a": 1}, 1]],
)
def test_other_lists_are_of_the_wrong_type(value: Any) -> None:
    columns = FeatureDecoder().columns([text(v=[1.0, 2.0]), text(v=value), text(v=None), text(v=3.0)]).columns
    for part in part_names("v"):
        assert at(columns, part, 1) == WRONG_TYPE
        assert at(columns, part, 2) == at(columns, part, 3) == MISSING
    assert [at(columns, "v", i) for i in range(4)] == [MISSING, WRONG_TYPE, MISSING, 3.0]


def test_numbers_that_are_not_finite_make_no_vector() -> None:
    record = (
        b'{"type":"prediction","id":"1","model":"m","version":"1","time":1,"features":{"v":[1,%s],"w":[1,2,3]}}'
    )
    for token in (b"NaN", b"1e999", b"-Infinity"):
        event = Decoder().decode(record % token)
        assert isinstance(event, Prediction)
        columns = FeatureDecoder().columns([event.features]).columns
        assert at(columns, "v.norm", 0) == WRONG_TYPE
        assert at(columns, "w.length", 0) == 3.0


def test_what_leaves_float64_is_not_finite() -> None:
    columns = vector_columns("v", [[1.7e308] * 100, [0.0] * 100])
    assert columns is not None
    norm = dict(zip(PARTS, columns, strict=True))["norm"]
    assert norm.status is not None and norm.status.tolist() == [NON_FINITE, 0]
    assert norm.numbers[1] == 0.0


def test_names_known_beforehand() -> None:
    """Of a profile that knows vector v, and w as a number."""
    decoder = FeatureDecoder([*part_names("v"), "w"])
    columns = decoder.columns([text(v=[1, 2], w=[1, 2]), text(v=[3, 4], w=1)]).columns
    assert set(columns) == {*part_names("v"), "w"}
    assert [at(columns, "w", i) for i in range(2)] == [WRONG_TYPE, 1.0]
    assert at(columns, "v.norm", 1) == 5.0


def test_rows_after_a_damaged_neighbour_keep_their_vectors() -> None:
    columns = FeatureDecoder().columns([b'{"v":[1,2],"huge":1' + b"0" * 400 + b"}"]).columns
    assert at(columns, "v.length", 0) == 2.0


def test_given_names_give_way_row_by_row() -> None:
    rows = [{"v": [3, 4], "v.norm": 7}, {"v.norm": 8}, {"v.norm": "text"}, {}]
    whole = FeatureDecoder().columns([orjson.dumps(row) for row in rows]).columns
    assert [at(whole, "v.norm", i) for i in range(4)] == [5.0, 8.0, "text", MISSING]


def test_no_more_names_than_there_is_room_for() -> None:
    found = FeatureDecoder(max_names=25).columns([text(**{f"v{i}": [1, 2] for i in range(20)})])
    assert len(found.columns) <= 25 + 20
    assert sum(name.endswith(".norm") for name in found.columns) <= 2
