"""How the monitors of a model share its one alarm budget.

Half of the weight is on error, prediction and score monitors, half on the features, equally within; all of it on one
kind where the other is absent. Weights add up to 1, so that the model's budget holds whatever ties the monitors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Key = TypeVar("Key")


def is_about_the_model(column: str) -> bool:
    """Error, prediction and score monitors, which get half of the alarm budget."""
    return column in ("error", "abs_error", "loss", "prediction", "score") or column.startswith("scores.")


def weights(paging: Mapping[Key, str]) -> dict[Key, float]:
    """Weight of each monitor that pages; `paging` gives the name of its column."""
    kinds = {key: is_about_the_model(column) for key, column in paging.items()}
    of_kind = list(kinds.values())
    part = 0.5 if len(set(of_kind)) == 2 else 1.0
    return {key: part / of_kind.count(kind) for key, kind in kinds.items()}
