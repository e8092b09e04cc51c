"""A list of numbers as a feature: its length, its norm, and eight random projections.

Whatever the dimension, ten columns (`stats.vectors`), each a function of the one vector alone: numbers are rounded to
2^-20 of the vector's largest, so that every sum is one of whole numbers below 2^53, exact in any order. Signs are drawn
by name and dimension. 768 numbers take about 30 us.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.limits import is_vector
from driftline.stats.codes import MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.rows import Column
from driftline.stats.vectors import PARTS, PROJECTIONS

if TYPE_CHECKING:
    from driftline.contracts.cells import Cell

_BITS: Final = 20
"""4,096 squares of so many bits add up to less than 2^53."""
_AT_ONCE: Final = 256

Floats = NDArray[np.float64]


def vector_columns(name: str, cells: Sequence[Cell]) -> list[Column] | None:
    """The columns of `PARTS` for the lists among n cells; None where there is no list. A list that is no vector has
    values of the wrong type; where a projection or a norm leaves float64, it is not finite."""
    by_length: dict[int, list[int]] = {}
    wrong = []
    for i, cell in enumerate(cells):
        if is_vector(cell):
            assert isinstance(cell, list)
            by_length.setdefault(len(cell), []).append(i)
        elif isinstance(cell, list):
            wrong.append(i)
    if not by_length and not wrong:
        return None
    numbers = np.full((len(PARTS), len(cells)), np.nan)
    status = np.full(numbers.shape, MISSING, np.uint8)
    status[:, wrong] = WRONG_TYPE
    for length, rows in by_length.items():
        for low in range(0, len(rows), _AT_ONCE):
            part = rows[low : low + _AT_ONCE]
            numbers[:, part] = _measured(np.array([cells[i] for i in part], np.float64), signs(name, length))
            status[:, part] = 0
    broken = np.isinf(numbers)
    numbers[broken] = np.nan
    status[broken] = NON_FINITE
    return [Column(held, None, told if told.any() else None) for held, told in zip(numbers, status, strict=True)]


def _measured(vectors: Floats, directions: Floats) -> Floats:
    """[PARTS, n] of vectors [n, length]."""
    length = vectors.shape[1]
    _, exponent = np.frexp(np.abs(vectors).max(axis=1))
    whole = np.rint(np.ldexp(vectors, _BITS - exponent[:, None]))
    with np.errstate(over="ignore"):
        norm = np.ldexp(np.sqrt(np.square(whole).sum(axis=1)), exponent - _BITS)
        projected = np.ldexp(whole @ directions / np.sqrt(length), exponent[:, None] - _BITS)
    return np.vstack([np.full(len(vectors), float(length)), norm, projected.T])


@lru_cache(maxsize=64)
def signs(name: str, length: int) -> Floats:
    """1 and -1 [length, PROJECTIONS], the same everywhere and for ever (numpy promises `RandomState`'s stream)."""
    seed = zlib.crc32(f"{length} {name}".encode("utf-8", "surrogatepass"))
    return np.random.RandomState(seed).choice([-1.0, 1.0], (length, PROJECTIONS))
