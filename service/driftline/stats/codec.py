"""State as bytes: magic, kind, version, length, CRC-32. Never pickle.

A single flipped bit, a cut or a foreign record raises StateCorrupt; a whole record of a later version raises
StateTooNew, so that nobody overwrites what he cannot read.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.errors import StateCorrupt, StateTooNew

MAGIC: Final = b"DRFT"
_HEAD: Final = struct.Struct("<4sHBII")
"""Magic, version, length of the kind, length of the body, CRC-32 of everything but itself."""
_ARRAY: Final = 1
"""MessagePack extension code of an array."""
MAX_SIZE: Final = 1 << 40
_DTYPES: Final = {
    name: np.dtype(name) for name in ("|b1", "|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f4", "<f8")
}


def pack(kind: str, version: int, body: bytes) -> bytes:
    name = kind.encode("ascii")
    check = zlib.crc32(body, zlib.crc32(name, zlib.crc32(_lengths(version, name, body))))
    return b"".join((_HEAD.pack(MAGIC, version, len(name), len(body), check), name, body))


def unpack(kind: str, version: int, data: bytes) -> tuple[int, bytes]:
    """(version found, body). `version` is the newest that can be read; what older ones mean is the caller's."""
    if len(data) < _HEAD.size:
        raise StateCorrupt(f"{kind}: {len(data)} bytes are no state")
    magic, found, name_length, length, check = _HEAD.unpack_from(data)
    if magic != MAGIC or len(data) != _HEAD.size + name_length + length:
        raise StateCorrupt(f"{kind}: not a state record, or cut short")
    name = data[_HEAD.size : _HEAD.size + name_length]
    body = data[_HEAD.size + name_length :]
    if check != zlib.crc32(body, zlib.crc32(name, zlib.crc32(_lengths(found, name, body)))):
        raise StateCorrupt(f"{kind}: checksum does not match")
    if name != kind.encode("ascii"):
        raise StateCorrupt(f"{kind}: these are the bytes of a {name!r}")
    if found > version:
        raise StateTooNew(f"{kind}: written as version {found}, this code reads up to {version}")
    if found < 1:
        raise StateCorrupt(f"{kind}: version {found}")
    return found, body


def _lengths(version: int, name: bytes, body: bytes) -> bytes:
    return struct.pack("<HBI", version, len(name), len(body))


def pack_arrays(values: Mapping[str, Any]) -> bytes:
    """A body for `pack`: numpy arrays among numbers, strings, bytes, None, and lists and dicts of these."""
    return _encoder.encode(values)


def unpack_arrays(body: bytes) -> dict[str, Any]:
    """The inverse; arrays come back as fresh, writable, little-endian ones. Raises StateCorrupt."""
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise StateCorrupt(f"state: {error}") from None


def _enc_hook(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        wire = value.dtype.newbyteorder("<").str
        if wire not in _DTYPES:
            raise TypeError(f"arrays of {value.dtype} cannot be kept")
        data = np.ascontiguousarray(value, dtype=wire).tobytes()
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((wire, value.shape, data)))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be kept")


def _ext_hook(code: int, data: memoryview) -> npt.NDArray[Any]:
    if code != _ARRAY:
        raise ValueError(f"extension {code} is unknown")
    wire, shape, content = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...], bytes])
    dtype = _DTYPES.get(wire)
    if dtype is None or len(shape) > 8 or any(not 0 <= size <= MAX_SIZE for size in shape):
        raise ValueError(f"an array of {wire!r} and shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"{len(content)} bytes for an array of {wire} and shape {shape}")
    return np.frombuffer(content, dtype).reshape(shape).copy()


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_enc_hook)
_decoder: Final = msgspec.msgpack.Decoder(dict[str, Any], ext_hook=_ext_hook)
