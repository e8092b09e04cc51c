"""What a metric and its labels are declared by: so many series there can be, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

OTHER: Final = "other"
MAX_VALUE: Final = 120
"""Characters of a label's value; longer ones are cut."""


@dataclass(frozen=True, slots=True)
class Label:
    """`values`: all there are, beside `other`; none listed: any, `cap` of them at the most in one process."""

    name: str
    values: tuple[str, ...] = ()
    cap: int = 0

    @property
    def most(self) -> int:
        """Values it can take, `other` not among them."""
        return len(self.values) or self.cap


def closed(name: str, *values: str) -> Label:
    return Label(name, values=values)


def capped(name: str, cap: int) -> Label:
    return Label(name, cap=cap)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: what it says, and what an operator does about it (nothing, where it is only for looking at)."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[Label, ...]
    meaning: str
    action: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def most_series(self) -> int:
        """Sets of label values there can be in one process, `other` included."""
        return prod(label.most + 1 for label in self.labels)
