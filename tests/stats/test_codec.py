"""State bytes: what goes in comes out, and nothing else is believed."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.codec import pack, pack_arrays, unpack, unpack_arrays


@given(body=st.binary(max_size=200), version=st.integers(1, 65_535), kind=st.sampled_from(["", "a", "monitors"]))
def test_round_trip(body: bytes, version: int, kind: str) -> None:
    assert unpack(kind, version, pack(kind, version, body)) == (version, body)
    assert unpack(kind, 65_535, pack(kind, version, body)) == (version, body)


@given(data=st.binary(max_size=60))
def test_foreign_bytes_are_corrupt(data: bytes) -> None:
    with pytest.raises(StateCorrupt):
        unpack("pane", 1, data)


def test_faults_c28_every_cut_and_every_flipped_bit_is_noticed() -> None:
    """C28: CRC-32 over lengths, version, kind and body.

    Mutation: leave the version out of the checksum in `_lengths`.
    """
    data = pack("pane", 2, b"body")
    for at in range(len(data)):
        with pytest.raises(StateCorrupt):
            unpack("pane", 9, data[:at])
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(StateCorrupt):
                unpack("pane", 9, bytes(flipped))
    with pytest.raises(StateCorrupt):
        unpack("pane", 9, data + b"\0")


def test_faults_c28_newer_state_is_told_apart_from_corrupt_state() -> None:
    """C28: newer is refused as StateTooNew; older comes with its version, for the reader to bring up to date.

    Mutation: raise StateCorrupt where the version is newer.
    """
    with pytest.raises(StateTooNew):
        unpack("pane", 2, pack("pane", 3, b""))
    assert unpack("pane", 2, pack("pane", 1, b"old")) == (1, b"old")


@pytest.mark.parametrize("dtype", ["?", "u1", "<u2", "<u4", "<u8", "i1", "<i2", "<i4", "<i8", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3)])
def test_arrays_round_trip(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    found = unpack_arrays(pack_arrays({"a": array}))["a"]
    assert found.dtype == array.dtype and found.shape == shape
    np.testing.assert_array_equal(found, array)
    found[...] = 1


def test_what_a_state_may_hold() -> None:
    values: dict[str, Any] = {
        "int": -(2**63),
        "float": 0.1,
        "infinite": float("-inf"),
        "text": "ä",
        "bytes": b"\0",
        "none": None,
        "list": [1, {"a": b"x"}],
    }
    assert unpack_arrays(pack_arrays(values)) == values
    big_endian = np.array([1, 2], ">i8")
    assert unpack_arrays(pack_arrays({"a": big_endian}))["a"].tolist() == [1, 2]
    assert unpack_arrays(pack_arrays({"a": np.float64(0.5), "b": np.int64(3)})) == {"a": 0.5, "b": 3}
    assert np.isnan(unpack_arrays(pack_arrays({"a": float("nan")}))["a"])


@pytest.mark.parametrize("value", [object(), np.array([object()]), np.array(["a"]), np.array([1j])])
def test_what_it_may_not(value: object) -> None:
    with pytest.raises(TypeError):
        pack_arrays({"a": value})


def array_of(*content: object, code: int = 1) -> bytes:
    return msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(code, msgspec.msgpack.encode(content))})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91\x01",
        b"\x81\x01\x01",
        b"\x81\xa1a\x81\x80\x01",
        b"\x81\xa1\xff\x01",
        b"\x81\xa1a" + b"\x91" * 100_000,
        array_of("<f8", [2], b"1" * 15),
        array_of("<f8", [-1, -2], b"1" * 16),
        array_of("<f8", [2**62, 4], b""),
        array_of("<f8", [0, 2**64 - 1], b""),
        array_of("|O8", [1], b"1" * 8),
        array_of("<f8", [1] * 65, b"1" * 8),
        array_of("<f8", 1, b"1" * 8),
        array_of("<f8", [1], b"1" * 8, code=2),
        array_of(1),
    ],
)
def test_faults_c28_array_bodies_that_cannot_be_are_corrupt(body: bytes) -> None:
    """C28: sizes and types are checked before memory is taken.

    Mutation: in `unpack_arrays`, do not catch RecursionError.
    """
    with pytest.raises(StateCorrupt):
        unpack_arrays(body)


@given(junk=st.binary(max_size=80))
def test_faults_c28_no_bytes_raise_anything_else(junk: bytes) -> None:
    """C28: whatever the body is, the answer is a dictionary or StateCorrupt.

    Mutation: in `unpack_arrays`, catch RecursionError alone.
    """
    with contextlib.suppress(StateCorrupt):
        assert isinstance(unpack_arrays(junk), dict)
