"""What is in alarm, ranked, and grouped by what looks like one cause: one upstream column that feeds many.

Two monitors belong together if they began at about the same time and either their columns go together in the
reference (`ties`), or both tell of data quality: a source that breaks takes many columns with it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

import msgspec

QUALITY: Final = frozenset({"quality", "schema", "cardinality", "constant"})


class Moved(msgspec.Struct, frozen=True):
    """A monitor in alarm: since when (ms), and with how much evidence (nats) it was raised. `columns`: those that it
    says go together in another way; of other monitors none."""

    monitor: str
    onset: int
    log_evidence: float
    columns: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        return self.monitor.rpartition(":")[0]

    @property
    def about(self) -> str:
        return self.monitor.rpartition(":")[2]


def rank(moved: Iterable[Moved], importance: Mapping[str, float]) -> list[Moved]:
    """By evidence times importance, most first; what columns do together behind the last of these that have moved by
    themselves. `importance`: by pattern of the column's name, 1 where none fits."""

    def weight(one: Moved) -> float:
        return next((w for pattern, w in importance.items() if fnmatchcase(one.column, pattern)), 1.0)

    ranked = sorted(moved, key=lambda one: (-weight(one) * one.log_evidence, one.monitor))
    for one in [one for one in ranked if one.columns]:
        behind = max((i for i, other in enumerate(ranked) if other.column in one.columns), default=-1)
        at = ranked.index(one)
        if behind > at:
            ranked.insert(behind, ranked.pop(at))
    return ranked


def group(ranked: Sequence[Moved], tied: Iterable[tuple[str, str]], within_ms: int) -> list[list[Moved]]:
    """Groups in the order of their first, each in the order given. `within_ms`: onsets that coincide."""
    ties = {frozenset(pair) for pair in tied}
    group_of = list(range(len(ranked)))
    for i, one in enumerate(ranked):
        for j, other in enumerate(ranked[:i]):
            if abs(one.onset - other.onset) <= within_ms and _together(one, other, ties):
                old, new = group_of[i], group_of[j]
                group_of = [new if g == old else g for g in group_of]
    groups: dict[int, list[Moved]] = {}
    for one, g in zip(ranked, group_of, strict=True):
        groups.setdefault(g, []).append(one)
    return list(groups.values())


def _together(one: Moved, other: Moved, ties: set[frozenset[str]]) -> bool:
    if one.column in other.columns or other.column in one.columns:
        return True
    if one.column == other.column or frozenset((one.column, other.column)) in ties:
        return True
    return one.about in QUALITY and other.about in QUALITY
