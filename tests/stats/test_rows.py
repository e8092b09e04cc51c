"""Rows: joining parts, and their way over the wire."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contracts.blocks import RawBlock, RawColumn
from driftline.errors import StateCorrupt
from driftline.stats.codes import MISSING, NON_FINITE
from driftline.stats.rows import Column, Rows

NAN = float("nan")


def rows() -> Rows:
    return Rows(
        np.array([30, 10, 10, 20], np.int64),
        np.array([1, 9, 3, 2], np.uint64),
        {
            "x": Column(np.array([1.0, 2.0, 3.0, NAN]), None, np.array([0, 0, 0, NON_FINITE], np.uint8)),
            "c": Column(np.full(4, NAN), ["a", None, "b", "c"], np.array([0, MISSING, 0, 0], np.uint8)),
            "plain": Column(np.array([1.0, 2.0, 3.0, 4.0])),
        },
    )


def assert_equal(one: Rows, other: Rows) -> None:
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(one.ids, other.ids)
    assert one.columns.keys() == other.columns.keys()
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column.numbers, other.columns[name].numbers)
        assert column.texts == other.columns[name].texts
        np.testing.assert_equal(column.status, other.columns[name].status)


def test_sorted_by_time_then_id() -> None:
    found = rows().sorted()
    assert found.times.tolist() == [10, 10, 20, 30]
    assert found.ids.tolist() == [3, 9, 2, 1]
    assert found.columns["c"].texts == ["b", None, "c", "a"]
    assert found.sorted() is found


def test_concat_fills_what_a_part_lacks() -> None:
    one = rows()
    other = Rows(np.array([5], np.int64), np.array([5], np.uint64), {"new": Column(np.array([1.5]))})
    both = Rows.concat([one, other])
    assert both.n == 5
    new, x, c = both.columns["new"], both.columns["x"], both.columns["c"]
    assert new.status is not None and new.status.tolist() == [MISSING] * 4 + [0]
    assert x.status is not None and x.status.tolist() == [0, 0, 0, NON_FINITE, MISSING]
    assert c.texts == ["a", None, "b", "c", None]
    assert Rows.concat([]).n == 0


def test_wire_and_back() -> None:
    block = rows().to_raw_block("m", "1", "predictions")
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(block), type=RawBlock)
    assert sent.n == 4
    assert sent.columns["plain"].status == b"" and sent.columns["plain"].texts == []
    assert_equal(Rows.from_raw_block(sent), rows().sorted())


@given(order=st.permutations(range(4)))
def test_equal_rows_give_equal_bytes(order: list[int]) -> None:
    block = rows().to_raw_block("m", "1", "predictions")
    shuffled = rows().take(np.array(order))
    shuffled.columns = dict(reversed(shuffled.columns.items()))
    other = shuffled.to_raw_block("m", "1", "predictions")
    assert msgspec.msgpack.encode(other) == msgspec.msgpack.encode(block)


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": b"1234567"},
        {"ids": b""},
        {"columns": {"x": RawColumn(b"1" * 8, [], b"")}},
        {"columns": {"x": RawColumn(b"1" * 9, [], b"")}},
        {"columns": {"x": RawColumn(b"1" * 16, ["a"], b"")}},
        {"columns": {"x": RawColumn(b"1" * 16, [], b"\0")}},
        {"columns": {"x": RawColumn(b"1" * 16, [], b"\0\1")}},
        {"columns": {"x": RawColumn(np.array([1, np.inf]).tobytes(), [], b"")}},
    ],
)
def test_a_raw_block_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    block = Rows(np.arange(2, dtype=np.int64), np.arange(2, dtype=np.uint64), {}).to_raw_block("m", "1", "pairs")
    assert Rows.from_raw_block(block).n == 2
    with pytest.raises(StateCorrupt):
        Rows.from_raw_block(msgspec.structs.replace(block, **wrong))
