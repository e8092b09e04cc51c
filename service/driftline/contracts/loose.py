"""A forgiving JSON reader for what the fast decoder refuses: it finds out why, and keeps what can be kept.

Python's own `json` writes NaN, Infinity, 1e400 and integers of any length. Here such a number becomes a
`NonFinite` instead of ending the reading; `features_text` writes it as `{"$nonfinite": "NaN"}`, which
`features.py` counts as a non-finite value.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from driftline.contracts.limits import Limits, is_vector
from driftline.contracts.reasons import Reason, poison

NON_FINITE_KEY: Final = "$nonfinite"
_DIGITS: Final = 300
"""Digits of an integer that surely fits a float64."""


class NonFinite(str):
    """A number that JSON or float64 cannot hold; the text is its kind: NaN, Infinity, -Infinity or range."""


def _integer(text: str) -> int | NonFinite:
    return int(text) if len(text) <= _DIGITS else NonFinite("range")


def _float(text: str) -> float | NonFinite:
    number = float(text)
    return number if math.isfinite(number) else NonFinite("range")


_encode: Final = msgspec.json.Encoder().encode
_strictly: Final = msgspec.json.Decoder().decode
_READER: Final = json.JSONDecoder(parse_float=_float, parse_int=_integer, parse_constant=NonFinite)


def read_object(value: bytes) -> dict[str, Any]:
    """The object `value` holds. Poison `encoding`, `json`, `nesting` or `not_an_object` if there is none."""
    try:
        found = _strictly(value)
    except (msgspec.DecodeError, RecursionError, ValueError):
        found = _forgivingly(value)
    if not isinstance(found, dict):
        raise poison(Reason.NOT_AN_OBJECT, "the value is JSON but no object")
    return found


def _forgivingly(value: bytes) -> Any:
    if value.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise poison(Reason.ENCODING, "the value begins with a byte-order mark")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise poison(Reason.ENCODING, f"byte {error.start} is not UTF-8") from None
    if not text.strip(" \t\r\n"):
        raise poison(Reason.EMPTY, "the value is white space")
    try:
        found = _READER.decode(text)
    except RecursionError:
        raise poison(Reason.NESTING, "arrays or objects are nested too deeply") from None
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise poison(Reason.JSON, f"not JSON{where}") from None
    if "\\u" in text:
        _refuse_half_pairs(found)
    return found


def _refuse_half_pairs(found: Any) -> None:
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise poison(Reason.ENCODING, "a string holds half of a surrogate pair") from None
    except RecursionError:
        raise poison(Reason.NESTING, "arrays or objects are nested too deeply") from None


def features_text(features: Mapping[str, Any], limits: Limits) -> bytes:
    """JSON text of a features object as `features.py` reads it. Vectors stay; other nested values, which are of the
    wrong type whatever they hold, become `[]` and `{}`. Poison `too_many`."""
    if len(features) > limits.max_features:
        raise poison(Reason.TOO_MANY, f"features: more than {limits.max_features}")
    plain = {name: _scalar(value) for name, value in features.items()}
    try:
        return _encode(plain)
    except OverflowError:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False).encode("utf-8")


def _scalar(value: Any) -> Any:
    if isinstance(value, NonFinite):
        return {NON_FINITE_KEY: str(value)}
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get(NON_FINITE_KEY), str):
        return value
    if isinstance(value, dict):
        return {}
    return [] if isinstance(value, list) and not is_vector(value) else value
