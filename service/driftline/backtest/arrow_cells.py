"""Columns of pyarrow as Python values: text that stands for numbers becomes numbers, timestamps become ms."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

from driftline.backtest.cells import PER_MS, time_of
from driftline.backtest.columns import TimeUnit

Stands = Literal["integer", "number", "boolean", "text"]
_BOOLEANS: Final = {"true": True, "false": False}


class FirstGuess:
    """What the text of each column stands for, decided by the first rows that have any: as every reader of CSV
    does, but a later cell that does not fit stays text instead of ending the reading."""

    def __init__(self) -> None:
        self.of: dict[str, Stands] = {}


def cells(column: Any, name: str, guess: FirstGuess | None, *, label: bool = False) -> list[Any]:
    """One value a row, None where there is none. Without a `guess` text is text. Whole numbers of a `label` stay
    whole where others are missing: they are classes."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _plain(column) if guess is None else _texts(column, name, guess, label=label)
    if pa.types.is_floating(kind) or (pa.types.is_integer(kind) and not label):
        return list(column.to_numpy(zero_copy_only=False).tolist())
    if pa.types.is_temporal(kind):
        column = column.cast(pa.string())
    return list(column.to_pylist())


def _texts(column: Any, name: str, guess: FirstGuess, *, label: bool) -> list[Any]:
    stands = guess.of.get(name)
    if stands is None:
        stands = _stands_for(column)
        if column.null_count < len(column):
            guess.of[name] = stands
    if stands == "text":
        return _plain(column)
    return _numbers(column, stands, label=label) if stands != "boolean" else [_boolean(c) for c in _plain(column)]


def _stands_for(column: Any) -> Stands:
    import pyarrow as pa

    if column.null_count == len(column):
        return "text"
    for stands, kind in (("integer", pa.int64()), ("number", pa.float64())):
        try:
            column.cast(kind)
            return stands  # type: ignore[return-value]
        except pa.ArrowInvalid:
            continue
    held = {text.lower() for text in _plain(column) if text is not None}
    return "boolean" if held <= _BOOLEANS.keys() else "text"


def _numbers(column: Any, stands: Stands, *, label: bool) -> list[Any]:
    import pyarrow as pa

    if stands == "integer" and label:
        try:
            return list(column.cast(pa.int64()).to_pylist())
        except pa.ArrowInvalid:
            return [_number(cell, whole=True) for cell in _plain(column)]
    try:
        return list(column.cast(pa.float64()).to_numpy(zero_copy_only=False).tolist())
    except pa.ArrowInvalid:
        return [_number(cell, whole=False) for cell in _plain(column)]


def _number(cell: str | None, *, whole: bool) -> Any:
    if cell is None:
        return None
    try:
        return int(cell) if whole else float(cell)
    except ValueError:
        pass
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if math.isfinite(number) else cell


def _boolean(cell: str | None) -> Any:
    return None if cell is None else _BOOLEANS.get(cell.lower(), cell)


def _plain(column: Any) -> list[str | None]:
    """Texts; bytes that are no UTF-8 are replaced."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [
            None if raw is None else raw.decode("utf-8", "replace") for raw in column.cast(pa.binary()).to_pylist()
        ]


def times_of(column: Any, unit: TimeUnit) -> list[Any]:
    """ms a row; the cell itself where it is no time. Times without a zone are UTC."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return list(column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64()).to_pylist())
    if pa.types.is_integer(kind) and unit == "ms":
        return list(column.to_pylist())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _times_of_texts(column, unit)
    return [None if cell is None else time_of(cell, unit) for cell in column.to_pylist()]


def _times_of_texts(column: Any, unit: TimeUnit) -> list[Any]:
    import pyarrow as pa

    try:
        whole = column.cast(pa.int64()).to_pylist()
        return whole if unit == "ms" else [None if c is None else int(c // PER_MS[unit]) for c in whole]
    except pa.ArrowInvalid:
        pass
    for kind in (pa.timestamp("us", tz="UTC"), pa.timestamp("us")):
        try:
            moments = column.cast(kind)
        except pa.ArrowInvalid:
            continue
        return list(moments.cast(pa.timestamp("ms"), safe=False).cast(pa.int64()).to_pylist())
    return [None if cell is None else time_of(cell, unit) for cell in _plain(column)]
