"""How the monitors of a model share its one alarm budget.

Five parts in ten are on error, prediction and score monitors, four on the features, one on data quality, equally
within; what is absent leaves its part to the others, in proportion. Weights add up to 1, so that the model's budget
holds whatever ties the monitors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, TypeVar

Key = TypeVar("Key")
Kind = Literal["model", "features", "quality"]

PARTS: Final[dict[Kind, float]] = {"model": 0.5, "features": 0.4, "quality": 0.1}
QUALITY: Final = frozenset({"quality", "freshness"})
"""What monitors of data quality are called after their column."""


def is_about_the_model(column: str) -> bool:
    """Error, prediction and score monitors, which get half of the alarm budget."""
    return column in ("error", "abs_error", "loss", "prediction", "score") or column.startswith("scores.")


def _kind(monitor: str) -> Kind:
    column, _, about = monitor.rpartition(":")
    if about in QUALITY:
        return "quality"
    return "model" if is_about_the_model(column) else "features"


def weights(paging: Mapping[Key, str]) -> dict[Key, float]:
    """Weight of each monitor that pages; `paging` gives its name."""
    kinds = {key: _kind(monitor) for key, monitor in paging.items()}
    of_kind = Counter(kinds.values())
    whole = sum(PARTS[kind] for kind in of_kind)
    return {key: PARTS[kind] / whole / of_kind[kind] for key, kind in kinds.items()}
