"""What happened, by segment, as a column of a stream: what limits on a ratio between segments are judged by.

A cell is the segment's value and what happened: of a prediction whether it was positive (`F +`, `F -`), of a pair
whether it was right (`F TP`, `F FN`). So a block counts each, merges and travels as of any categorical column. Such a
column is there for limits alone: no monitor asks about it. The values that the reference knows are told apart, MOST of
them, those with most rows; the rest of them together are OTHERS. A grid has all cells of a value or none: were one
unseen, only the others would be counted. A value that is new since belongs to no group: what happened to it is not
known of unseen values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES, MAX_CATEGORIES

PREFIX: Final = "segments."
MOST: Final = 8
"""Groups are compared two by two: 72 pairs with OTHERS."""
OTHERS: Final = "others"

POSITIVE: Final = "+"
NEGATIVE: Final = "-"
TP: Final = "TP"
FN: Final = "FN"
FP: Final = "FP"
TN: Final = "TN"
ON: Final = "ON"
"""Neither the outcome nor the prediction is the positive class, and they differ: there are more than two."""
RIGHT: Final = "right"
WRONG: Final = "wrong"
"""Of classes of which none is said to be positive."""
_TOLD: Final = ((POSITIVE, NEGATIVE), (TP, FN, FP, TN), (ON,), (RIGHT, WRONG))
"""Where one of these is in a reference, all beside it may come."""
_HAPPENED: Final = frozenset(happened for beside in _TOLD for happened in beside)


@dataclass(frozen=True, slots=True)
class Share:
    """Of the rows with which one of `base` happened, those with one of `good`."""

    good: frozenset[str]
    base: frozenset[str]


def _share(good: Iterable[str], bad: Iterable[str]) -> Share:
    return Share(frozenset(good), frozenset({*good, *bad}))


SHARES: Final[Mapping[str, Share]] = {
    "positive_rate_ratio": _share([POSITIVE], [NEGATIVE]),
    "accuracy_ratio": _share([TP, TN, RIGHT], [FN, FP, ON, WRONG]),
    "recall_ratio": _share([TP], [FN]),
    "false_positive_rate_ratio": _share([FP], [TN, ON]),
    "precision_ratio": _share([TP], [FP]),
}
"""By metric, what each group has a share of."""


@dataclass(frozen=True, slots=True)
class Groups:
    """`rows` and `good` [groups, 256]: which codes of the column are a group's, and which of these count."""

    names: list[str]
    rows: NDArray[np.int64]
    good: NDArray[np.int64]


def crossed(value: str, happened: str) -> str:
    return f"{value} {happened}"


def _parted(cell: str) -> tuple[str, str] | None:
    value, _, happened = cell.rpartition(" ")
    return (value, happened) if happened in _HAPPENED else None


def crossed_categories(texts: Sequence[str]) -> list[str]:
    """The categories of such a column, those with most rows first: of each value all, seen or not."""
    counts = Counter(texts)
    rows: Counter[str] = Counter()
    seen = set()
    for text, n in counts.items():
        if parted := _parted(text):
            rows[parted[0]] += n
            seen.add(parted[1])
    told = [happened for beside in _TOLD if seen.intersection(beside) for happened in beside]
    values = sorted(rows, key=lambda value: (-rows[value], value))[: MAX_CATEGORIES // max(len(told), 1)]
    cells = [crossed(value, happened) for value in values for happened in told]
    return sorted(cells, key=lambda cell: (-counts[cell], cell))


def groups_of(categories: Sequence[str], counts: NDArray[np.int64], share: Share) -> Groups:
    """The groups of a column with these categories, by name; `counts` [256] of the reference say which are the
    largest. None where the reference does not tell apart what `share` is about."""
    found: dict[str, dict[int, bool]] = {}
    told = set()
    for code, category in enumerate(categories):
        if (parted := _parted(category)) and parted[1] in share.base:
            found.setdefault(parted[0], {})[code] = parted[1] in share.good
            told.add(parted[1])
    both = bool(told & share.good) and bool(told - share.good)
    codes = {name: held for name, held in found.items() if both and len(held) == len(told)}
    largest = sorted(codes, key=lambda name: (-int(counts[list(codes[name])].sum()), name))
    groups = {name: codes[name] for name in sorted(largest[:MOST])}
    if rest := largest[MOST:]:
        others = {code: good for name in rest for code, good in codes[name].items()}
        groups[OTHERS] = groups.get(OTHERS, {}) | others  # a value may have that name
    rows, counted = np.zeros((len(groups), CODES), np.int64), np.zeros((len(groups), CODES), np.int64)
    for i, held in enumerate(groups.values()):
        for code, good in held.items():
            rows[i, code], counted[i, code] = 1, good
    return Groups(list(groups), rows, counted)
