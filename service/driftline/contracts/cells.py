"""One feature value of one event, and the column that many of them make."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.contracts.limits import MAX_TEXT
from driftline.contracts.loose import NON_FINITE_KEY
from driftline.contracts.reasons import Reason, poison
from driftline.stats.codes import MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.rows import Column

Json = float | str | bool | list[Any] | dict[str, Any] | None
Cell = Json | int
"""A value as JSON has it, every number a float (`Json`), or a status code, which is an `int`."""

_PREFIX: Final = 64
_OBJECT: Final = ord("{")
_LIST: Final = ord("[")
_MARKER: Final = b'{"' + NON_FINITE_KEY.encode() + b'"'
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_REFUSED: Final = (msgspec.DecodeError, RecursionError, ValueError)
_PACKED: Final = np.dtype([("tag", "u1"), ("value", ">f8")])
_FLOAT64: Final = 0xCB
"""MessagePack's tag of a float64."""
_FLOAT_BYTES: Final = 9

_NOTHING: Final = {type(None)}
_FLOATS: Final = {float}
_NUMBERS: Final = {float, type(None)}
_TEXTS: Final = {str}

_pack: Final = msgspec.msgpack.Encoder().encode
_cells: Final = msgspec.json.Decoder(dict[str, Json]).decode
_cell: Final = msgspec.json.Decoder(Json).decode
_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def short(text: str) -> str:
    """`text` itself up to 256 characters, else its first 64, "#" and 64 bits of BLAKE2b in hex: equal texts stay
    equal, different ones different."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:_PREFIX]}#{hashlib.blake2b(text.encode('utf-8'), digest_size=8).hexdigest()}"


def cells_of(text: bytes) -> dict[str, Cell]:
    """The cells of a features object, by name. Poison `json` if it is no JSON object of valid UTF-8."""
    try:
        return _cells(text)
    except RecursionError:
        text = _without_depth(text)
    except _REFUSED:
        pass
    try:
        return {name: _one_cell(bytes(raw)) for name, raw in _raw(text).items()}
    except _REFUSED:
        raise poison(Reason.JSON, "features: not a JSON object") from None


def _one_cell(raw: bytes) -> Cell:
    if raw[0] == _OBJECT:
        return NON_FINITE if raw.startswith(_MARKER) else WRONG_TYPE
    try:
        cell: Cell = _cell(raw)
    except (msgspec.ValidationError, RecursionError):
        return [] if raw[0] == _LIST else NON_FINITE
    return cell


def _without_depth(text: bytes) -> bytes:
    """`text` with every nested value replaced by `[]` or `{}`: valid text stays valid, of depth two."""
    kept: list[bytes] = []
    depth = done = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
            if depth == 2:
                kept.append(text[done : token.start()] + (b"[]" if mark == b"[" else b"{}"))
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 1:
                done = token.end()
    return b"".join(kept) + text[done:]


def column_of(cells: Sequence[Cell]) -> Column | None:
    """The column of n >= 1 cells, None if there is nothing in any of them. One kind takes no loop in Python."""
    n = len(cells)
    numbers = floats_of(cells)
    if numbers is not None:
        return Column(numbers)
    kinds = set(map(type, cells))
    if kinds == _NOTHING:
        return None
    if kinds == _NUMBERS:
        numbers = np.array(cells, np.float64)
        return Column(numbers, None, np.where(np.isnan(numbers), MISSING, 0).astype(np.uint8))
    if kinds == _TEXTS:
        return Column(np.full(n, np.nan), _all_short(cells))  # type: ignore[arg-type]
    return _mixed(cells)


def floats_of(cells: Sequence[Cell]) -> NDArray[np.float64] | None:
    """At least one cell, all of them floats; None for others. MessagePack writes n floats as n times a tag and eight
    bytes."""
    n = len(cells)
    if type(cells[0]) is float:
        packed = _packed(cells)
        head = 1 if n < 16 else 3 if n < 65_536 else 5
        if len(packed) == head + 9 * n:
            table = np.frombuffer(packed, _PACKED, offset=head)
            if (table["tag"] == _FLOAT64).all():
                return table["value"].astype(np.float64)
    return None


def table_of(rows: Sequence[tuple[Cell, ...]]) -> NDArray[np.float64] | None:
    """At least one row, all of one width and at most 65,535, that hold nothing but floats, as [row, column]; None for
    others.

    MessagePack writes such rows at one length, each float as a tag and eight bytes. The first cell that is none
    stands where a float would, because all before it are floats; and its tag is another."""
    n, width = len(rows), len(rows[0])
    if set(map(type, rows[0])) != _FLOATS:
        return None
    packed = _packed(rows)
    head = 1 if n < 16 else 3
    gap = 1 if width < 16 else 3
    length = gap + _FLOAT_BYTES * width
    if len(packed) != head + n * length:
        return None
    shape, strides = (n, width), (length, _FLOAT_BYTES)
    if (np.ndarray(shape, np.uint8, packed, head + gap, strides) != _FLOAT64).any():
        return None
    return np.ndarray(shape, ">f8", packed, head + gap + 1, strides).astype(np.float64)


def _packed(cells: Sequence[Cell] | Sequence[tuple[Cell, ...]]) -> bytes:
    try:
        return _pack(cells)
    except (OverflowError, RecursionError):
        return b""


def _all_short(texts: Sequence[str]) -> list[str | None]:
    return list(texts) if max(map(len, texts)) <= MAX_TEXT else [short(text) for text in texts]


def plain(cell: Cell) -> float | str | int:
    """What a column keeps of a cell: a number (float), a text, or a status code."""
    if cell is None:
        return MISSING
    if isinstance(cell, str):
        return short(cell)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (float, int)):
        return cell
    return NON_FINITE if NON_FINITE_KEY in cell else WRONG_TYPE


def _mixed(cells: Sequence[Cell]) -> Column:
    numbers = np.full(len(cells), np.nan)
    texts: list[str | None] = [None] * len(cells)
    status = np.zeros(len(cells), np.uint8)
    for i, cell in enumerate(map(plain, cells)):
        if isinstance(cell, str):
            texts[i] = cell
        elif isinstance(cell, float):
            numbers[i] = cell
        else:
            status[i] = cell
    has_text = any(text is not None for text in texts)
    return Column(numbers, texts if has_text else None, status if status.any() else None)
