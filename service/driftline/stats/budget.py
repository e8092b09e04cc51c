"""How the monitors of a model share its one alarm budget.

Five parts in ten are the model's, four the features', one is for data quality. Of the model's five two thirds are on
errors and losses of labelled pairs, one third on predictions and scores, however many columns tell of them: a model
of twenty classes has twenty score columns, and its error must not be found later for that. Shares are equal within;
what is absent leaves its part to the other of the model's two, else to all others in proportion. Weights add up to 1,
so that the model's budget holds whatever ties the monitors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

Key = TypeVar("Key")
Kind = Literal["errors", "outputs", "features", "quality"]

MODEL: Final = 0.5
PARTS: Final[dict[Kind, float]] = {"errors": MODEL * 2 / 3, "outputs": MODEL / 3, "features": 0.4, "quality": 0.1}
QUALITY: Final = frozenset({"quality", "freshness", "duplicates"})
"""What monitors of data quality are called after their column."""
ERRORS: Final = frozenset({"error", "abs_error", "loss"})


def is_about_the_model(column: str) -> bool:
    """Error, prediction and score monitors, which get half of the alarm budget."""
    return _of_column(column) in ("errors", "outputs")


def _of_column(column: str) -> Kind:
    if column in ERRORS:
        return "errors"
    return "outputs" if column in ("prediction", "score") or column.startswith("scores.") else "features"


def _kind(monitor: str) -> Kind:
    column, _, about = monitor.rpartition(":")
    return "quality" if about in QUALITY else _of_column(column)


def weights(paging: Mapping[Key, str]) -> dict[Key, float]:
    """Weight of each monitor that pages; `paging` gives its name."""
    kinds = {key: _kind(monitor) for key, monitor in paging.items()}
    of_kind = Counter(kinds.values())
    parts = {kind: PARTS[kind] for kind in of_kind}
    for kind in ("errors", "outputs"):
        if kind in parts and not {"errors", "outputs"} <= parts.keys():
            parts[kind] = MODEL
    whole = sum(parts.values())
    return {key: parts[kind] / whole / of_kind[kind] for key, kind in kinds.items()}
