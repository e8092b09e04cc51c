"""Decisions by segment, as a column of the predictions: what limits on a ratio between segments are judged by.

A cell is the segment's value and whether the prediction was positive (`F +`, `F -`), so a block counts each, merges
and travels as of any categorical column. Such a column is there for limits alone: no monitor asks about it. The values
that the reference knows, up to 92, are told apart, MOST of them, those with most rows; the rest of them together are
OTHERS. A grid has both cells of a value or neither: were one unseen, only the other would be counted. A value that is
new since belongs to no group: whether its predictions were positive is not known of unseen values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES, MAX_CATEGORIES

PREFIX: Final = "segments."
MOST: Final = 8
"""Groups are compared two by two: 72 pairs with OTHERS."""
OTHERS: Final = "others"
_POSITIVE: Final = {" +": True, " -": False}


@dataclass(frozen=True, slots=True)
class Groups:
    """`rows` and `positive` [groups, 256]: which codes of the column are a group's, and which of these positive."""

    names: list[str]
    rows: NDArray[np.int64]
    positive: NDArray[np.int64]


def crossed(value: str, positive: bool) -> str:
    return f"{value} {'+' if positive else '-'}"


def crossed_categories(texts: Sequence[str]) -> list[str]:
    """The categories of such a column, those with most rows first: of each value both, seen or not."""
    counts = Counter(texts)
    rows = Counter(text[:-2] for text in texts if text[-2:] in _POSITIVE)
    values = sorted(rows, key=lambda value: (-rows[value], value))[: MAX_CATEGORIES // 2]
    cells = [crossed(value, positive) for value in values for positive in (True, False)]
    return sorted(cells, key=lambda cell: (-counts[cell], cell))


def groups_of(categories: Sequence[str], counts: NDArray[np.int64]) -> Groups:
    """The groups of a column with these categories, by name; `counts` [256] of the reference say which are the
    largest."""
    codes: dict[str, dict[int, bool]] = {}
    for code, category in enumerate(categories):
        if category[-2:] in _POSITIVE:
            codes.setdefault(category[:-2], {})[code] = _POSITIVE[category[-2:]]
    codes = {name: both for name, both in codes.items() if len(both) == len(_POSITIVE)}
    largest = sorted(codes, key=lambda name: (-int(counts[list(codes[name])].sum()), name))
    told = {name: codes[name] for name in sorted(largest[:MOST])}
    if rest := largest[MOST:]:
        others = {code: positive for name in rest for code, positive in codes[name].items()}
        told[OTHERS] = told.get(OTHERS, {}) | others  # a value may have that name
    rows, good = np.zeros((len(told), CODES), np.int64), np.zeros((len(told), CODES), np.int64)
    for i, held in enumerate(told.values()):
        for code, positive in held.items():
            rows[i, code], good[i, code] = 1, positive
    return Groups(list(told), rows, good)
