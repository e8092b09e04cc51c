"""Hard limits as people state them, and what each counts on the grid of a reference.

Every limit is brought to one form: of the rows that count, the share that is *bad* is at most `bound`. Recall of
at least 95 % is: of the positives, at most 5 % were missed. Where the grid has no edge at the value that a limit
names, the nearest one is taken on the side that counts fewer rows as bad: a limit may then be noticed later, never
wrongly. References learnt with the limit in force have the edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES, MISSING, UNSEEN, UNSEEN_COUNTERS
from driftline.stats.grid import GridColumn
from driftline.stats.hints import hint, rule_of
from driftline.stats.segments import PREFIX as SEGMENT_PREFIX

Bools = NDArray[np.bool_]
Kind = Literal["ones", "mean", "missing", "is", "positive", "above", "below", "ratio"]

METRICS: Final[Mapping[str, tuple[str, str, Kind, bool]]] = {
    "error_rate": ("pairs", "error", "ones", False),
    "accuracy": ("pairs", "error", "ones", True),
    "false_negative_rate": ("pairs", "false_negative", "ones", False),
    "recall": ("pairs", "false_negative", "ones", True),
    "false_positive_rate": ("pairs", "false_positive", "ones", False),
    "precision": ("pairs", "false_discovery", "ones", True),
    "loss": ("pairs", "loss", "mean", False),
    "positive_rate": ("predictions", "prediction", "positive", False),
    "positive_rate_ratio": ("predictions", "", "ratio", False),
    "accuracy_ratio": ("pairs", "", "ratio", False),
    "recall_ratio": ("pairs", "", "ratio", False),
    "false_positive_rate_ratio": ("pairs", "", "ratio", False),
    "precision_ratio": ("pairs", "", "ratio", False),
    "category_share": ("predictions", "", "is", False),
    "missing_share": ("predictions", "", "missing", False),
    "share_above": ("predictions", "", "above", False),
    "share_below": ("predictions", "", "below", False),
}
"""By name: stream, column (or whichever is named), what is counted, and whether the metric is its complement."""

PAIR_COLUMNS: Final = frozenset({"error", "abs_error", "loss", "label_delay_s"})
WORDS: Final[Mapping[Kind, str]] = {"above": "above", "below": "below", "is": "equal to"}
MAX_CUTS: Final = 32
"""Edges of a column that limits may ask for."""


class LimitRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`metric` of the models that match `model` is `at_most` or `at_least` so much (a share within 0 and 1). An
    alarm rests on `min_count` rows or more. `column`, `value`: where the metric needs them; `segment`: the one whose
    groups are compared two by two, where it is a ratio. Raises ValueError on what cannot be judged."""

    metric: str
    model: str = "*"
    column: str = ""
    value: float | str | None = None
    segment: str = ""
    at_most: float | None = None
    at_least: float | None = None
    min_count: int = 100

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"there is no metric {self.metric[:60]!r}; {hint(self.metric, METRICS)}")
        _, column, kind, _ = METRICS[self.metric]
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"{self.metric}: give either at_most or at_least")
        if not 0.0 < self.level < 1.0:
            raise ValueError(
                f"{self.metric}: a limit is a share between 0 and 1, both excluded; it is {self.level}"
            )
        if self.min_count < 1:
            raise ValueError(f"{self.metric}: min_count must be 1 or more; it is {self.min_count}")
        if bool(self.segment) != (kind == "ratio"):
            raise ValueError(f"{self.metric}: {'name its segment' if not self.segment else 'it has no segment'}")
        if kind == "ratio" and self.at_least is None:
            raise ValueError(f"{self.metric}: give at_least: of any two groups one has the smaller share")
        if bool(self.column) == bool(column or self.segment):
            raise ValueError(
                f"{self.metric}: {'name its column' if not self.column else f'it is about {self.subject} anyway'}"
            )
        if (self.value is not None) != (kind in ("is", "above", "below")):
            raise ValueError(
                f"{self.metric}: {'it takes no value' if self.value is not None else 'give its value'}"
            )
        if kind in ("above", "below") and not (isinstance(self.value, float) and math.isfinite(self.value)):
            raise ValueError(f"{self.metric}: value must be a finite number")
        if kind == "missing" and self.column in PAIR_COLUMNS:
            raise ValueError(f"{self.metric}: {self.column} is missing wherever there is nothing to compare")

    @property
    def level(self) -> float:
        return float(self.at_most if self.at_most is not None else self.at_least or 0.0)

    @property
    def stream(self) -> str:
        return "pairs" if self.column in PAIR_COLUMNS else METRICS[self.metric][0]

    @property
    def subject(self) -> str:
        if self.segment:
            return SEGMENT_PREFIX + self.segment
        return METRICS[self.metric][1] or self.column

    @property
    def complement(self) -> bool:
        """Whether people are told 1 - the share of bad rows."""
        return self.at_least is not None

    @property
    def inverted(self) -> bool:
        """Whether the bad rows are those that the column does not count."""
        return METRICS[self.metric][3] != (self.at_least is not None)

    @property
    def bound(self) -> float:
        """The most that the share of bad rows may be."""
        return 1.0 - self.level if self.at_least is not None else self.level

    @property
    def monitor(self) -> str:
        what = self.metric if self.value is None else f"{self.metric} {self.shown_value}"
        return f"{self.subject}:{what} {'<=' if self.at_most is not None else '>='} {self.level:g}"

    @property
    def shown_value(self) -> str:
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value).replace(":", "?")[:40]

    @property
    def words(self) -> str:
        """What is limited, as it is called in a sentence."""
        kind = METRICS[self.metric][2]
        if kind in WORDS:
            return f"share of {self.column} {WORDS[kind]} {self.shown_value}"
        if kind == "missing":
            return f"share of rows without a usable {self.column}"
        return "mean loss" if kind == "mean" else self.metric.replace("_", " ")

    @property
    def cuts(self) -> list[float]:
        """Edges that the grid needs: with these the limit is judged exactly."""
        kind = METRICS[self.metric][2]
        if kind == "positive":
            return [1.0, math.nextafter(1.0, math.inf)]
        if not isinstance(self.value, float):
            return []
        above = math.nextafter(self.value, math.inf)
        match kind:
            case "above":
                return [above]
            case "below":
                return [self.value]
            case _:
                return [self.value, above]

    def applies(self, model: str) -> bool:
        return fnmatchcase(model, self.model)


def segments_of(limits: Iterable[LimitRule], stream: str) -> tuple[str, ...]:
    """The segments that limits compare on a stream: of these, what happened is counted."""
    return tuple(sorted({rule.segment for rule in limits if rule.segment and rule.stream == stream}))


@dataclass(frozen=True, slots=True)
class Counted:
    """`bad` and `base` mask the 256 codes of a column: of the rows in `base`, those in `bad` are bad. `mean`: the
    bad ones are the sum of a number in [0, 1]. `nearest` is the grid's edge where it is not the limit's own."""

    bad: Bools
    base: Bools
    mean: bool = False
    nearest: float | None = None


def limit_of(given: Mapping[str, Any]) -> LimitRule:
    """A rule from plain data. ValueError with what is wrong and what was meant."""
    return rule_of(given, LimitRule, "limit")


def cuts_of(limits: tuple[LimitRule, ...], stream: str) -> dict[str, list[float]]:
    """Edges by column, the first 32 of each."""
    found: dict[str, set[float]] = {}
    for rule in limits:
        if rule.stream == stream:
            found.setdefault(rule.subject, set()).update(rule.cuts)
    return {name: sorted(cuts)[:MAX_CUTS] for name, cuts in sorted(found.items())}


def counted(rule: LimitRule, column: GridColumn, positive: str | None) -> Counted | str:
    """What `rule` counts on a grid's column; in words why it cannot be judged on it."""
    kind = METRICS[rule.metric][2]
    values = np.arange(CODES) < column.codes
    if column.kind == "categorical":
        values[UNSEEN : UNSEEN + UNSEEN_COUNTERS] = True
    nearest = None
    hit = np.zeros(CODES, np.bool_)
    match kind:
        case "missing":
            hit = np.arange(CODES) >= MISSING
            values = values | hit
        case "mean" | "ones":
            if (kind == "ones") != (column.kind == "rate"):
                return f"{column.name} is {column.kind} in the reference"
            hit[1] = kind == "ones"
        case "is" | "positive":
            codes = _codes_of(rule.value if kind == "is" else positive, column, kind == "positive")
            if not codes:
                return f"the reference tells no such value of {column.name} apart"
            hit[codes] = True
        case "above" | "below":
            if column.kind != "numeric":
                return f"{column.name} is {column.kind} in the reference, not numeric"
            found = _beyond(rule, column)
            if found is None:
                return f"the reference has no edge beyond {rule.shown_value} for {column.name}"
            upwards, first, edge = found
            bad = (np.arange(CODES) >= first) == upwards
            nearest = None if edge == rule.cuts[0] else edge
            return Counted(bad & values, values, nearest=nearest)
    return Counted((~hit if rule.inverted else hit) & values, values, mean=kind == "mean")


def _codes_of(value: float | str | None, column: GridColumn, positive: bool) -> list[int]:
    """The codes that hold this value and no other."""
    if column.kind == "categorical":
        wanted = {value} if value is not None else {"1", "true", "True", "TRUE"} if positive else set()
        names = {str(w) if isinstance(w, str) else f"{w:g}" for w in wanted}
        return [code for code, name in enumerate(column.categories) if name in names]
    try:
        number = 1.0 if value is None else float(value)
    except ValueError:
        return []
    if column.kind == "rate":
        return [int(number)] if number in (0.0, 1.0) else []
    edges = column.edge_values
    at = int(np.searchsorted(edges, number))
    own = at + 1 < len(edges) and edges[at] == number and edges[at + 1] == np.nextafter(number, np.inf)
    return [at + 1] if own else []


def _beyond(rule: LimitRule, column: GridColumn) -> tuple[bool, int, float] | None:
    """(bad rows lie upwards?, first code above the edge, the edge), with no more bad rows than there are."""
    edges, cut = column.edge_values, rule.cuts[0]
    upwards = (METRICS[rule.metric][2] == "above") != rule.inverted
    at = int(np.searchsorted(edges, cut)) if upwards else int(np.searchsorted(edges, cut, side="right")) - 1
    return (upwards, at + 1, float(edges[at])) if 0 <= at < len(edges) else None
