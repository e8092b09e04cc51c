"""Fixed thresholds on conventional distances: PSI, Jensen-Shannon, KS, Wasserstein.

For those whose rules ask for them. No budget bounds their alarms, and what a threshold means hangs on how many values
stand behind it: two samples of one law are never at distance 0. So a distance is taken of batches of whole panes that
hold `events` values or more (`distance_limits`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, get_args

import msgspec

from driftline.stats.hints import hint, rule_of

Distance = Literal["psi", "js", "ks", "wasserstein_sd"]
NAMES: Final[Mapping[Distance, str]] = {
    "psi": "PSI",
    "js": "Jensen-Shannon divergence",
    "ks": "KS distance",
    "wasserstein_sd": "Wasserstein distance in SDs",
}
ORDERED: Final = frozenset({"ks", "wasserstein_sd"})
"""Distances along an axis, which categories have not."""


class DistanceRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm while `distance` of a column that matches `column`, of a model that matches `model`, is more than
    `above`, in batches of `events` values. Raises ValueError on what cannot be judged."""

    distance: Distance
    above: float
    column: str = "features.*"
    model: str = "*"
    events: int = 1_000

    def __post_init__(self) -> None:
        if not (math.isfinite(self.above) and self.above > 0.0):
            raise ValueError(f"{self.distance}: above must be a positive number; it is {self.above}")
        if self.distance in ("js", "ks") and self.above >= 1.0:
            raise ValueError(f"{self.distance}: it is never above 1; above is {self.above}")
        if not 30 <= self.events <= 1_000_000_000:
            raise ValueError(f"{self.distance}: events must be 30 or more; it is {self.events}")

    def applies(self, model: str) -> bool:
        return fnmatchcase(model, self.model)

    def monitor(self, column: str) -> str:
        return f"{column}:{self.distance} > {self.above:g}"


def distance_rule_of(given: Mapping[str, Any]) -> DistanceRule:
    """A rule from plain data. ValueError with what is wrong and what was meant."""
    distance = given.get("distance")
    if distance not in get_args(Distance):
        raise ValueError(f"no distance is called {str(distance)[:40]!r}; {hint(str(distance), get_args(Distance))}")
    return rule_of(given, DistanceRule, "threshold")
