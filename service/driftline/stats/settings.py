"""What a person may choose about detection; everything else is derived from the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from driftline.stats.detector_rules import DetectorRule
from driftline.stats.distance_rules import DistanceRule
from driftline.stats.limit_rules import LimitRule

Pager = Literal["cbe", "adwin", "page_hinkley"]
"""Who may raise an alarm: the calibrated block e-detector, or one of river's (which else only annotate)."""
SeasonWanted = Literal["auto", "none", "daily", "weekly"]
ARL0_DAYS: Final = 30.0


class DetectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`arl0_days` and the smallest effects are the promise (at most one false alarm per model version in so many days
    of traffic, no alarm for less than that); the rest are the constants of the method. `arl0_events`, where given,
    stands in the place of `arl0_days`: one false alarm in so many events of a stream. `fleet_models`, where given, is
    how many model versions share that budget: each alarms at so many times the run length, `arl0` (decision 17).

    `min_effect_sd` is in reference SDs (means, spreads, and quantile shares in SDs of their indicator);
    `min_rate_effect` is a share: errors and categories count from the smaller of it and a quarter of their
    reference share. `coalesce` is the least number of values one judgement rests on, `z_ref` how many standard
    errors of the reference itself are allowed for, `min_reference_panes` what a reference must hold to page.
    `errors_pager` is for the monitors of the pairs stream, `features_pager` for all others. `season`: what is taken
    out of a column whose reference holds four periods of it ("auto": the one the reference gives evidence of).
    `limits`, `detectors` and `distances` (fixed thresholds) are those asked for by name; `positive_class`: by pattern
    of the model's name, the outcome that counts as positive (1 and true without); `importance`: by pattern of a
    column's name, how much its drift matters beside others' (1 without): for the order in which alarms are shown,
    never for whether there is one.
    `multivariate`: whether references learn what columns do together.
    Raises ValueError on a setting that no reading makes sense of.
    """

    arl0_days: float = ARL0_DAYS
    arl0_events: float | None = None
    fleet_models: int | None = None
    min_effect_sd: float = 0.05
    min_rate_effect: float = 0.02
    coalesce: int = 30
    z_ref: float = 3.0
    min_reference_panes: int = 30
    features_pager: Pager = "cbe"
    errors_pager: Pager = "cbe"
    season: SeasonWanted = "auto"
    multivariate: bool = True
    limits: tuple[LimitRule, ...] = ()
    detectors: tuple[DetectorRule, ...] = ()
    distances: tuple[DistanceRule, ...] = ()
    positive_class: Mapping[str, str] = MappingProxyType({})
    importance: Mapping[str, float] = MappingProxyType({})

    def __post_init__(self) -> None:
        for name in ("arl0_days", "min_effect_sd", "min_rate_effect", "z_ref"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} must be a finite number, 0 or more; it is {value}")
        if self.arl0_days == 0:
            raise ValueError("arl0_days must be positive: 0 would allow an alarm on every pane")
        if self.arl0_events is not None:
            if not (math.isfinite(self.arl0_events) and self.arl0_events > 0):
                raise ValueError(f"arl0_events must be a positive number; it is {self.arl0_events}")
            if self.arl0_days != ARL0_DAYS:
                raise ValueError("give arl0_days or arl0_events: the budget has one unit")
        if self.fleet_models is not None and self.fleet_models < 1:
            raise ValueError(f"fleet_models is how many model versions share the budget; it is {self.fleet_models}")
        if self.min_rate_effect >= 1:
            raise ValueError(f"min_rate_effect is a share below 1; it is {self.min_rate_effect}")
        if self.coalesce < 1:
            raise ValueError(f"coalesce must be 1 or more; it is {self.coalesce}")
        if self.min_reference_panes < 8:
            raise ValueError(
                f"min_reference_panes must be 8 or more (pane-level variance needs 8 aggregates); "
                f"it is {self.min_reference_panes}"
            )

    @property
    def asked(self) -> float:
        """The run length that a person states, in `unit`: of each model version, or of all of the fleet together."""
        return self.arl0_days if self.arl0_events is None else self.arl0_events

    @property
    def arl0(self) -> float:
        """The run length of one model version, in `unit`. With v_i = 1/N the sum of v_i M_i over a fleet of N less the
        mean of their clocks is a supermartingale, whatever ties them: an alarm at M_i >= N A is M_i v_i >= A."""
        return self.asked * (self.fleet_models or 1)

    @property
    def unit(self) -> Literal["days", "events"]:
        return "days" if self.arl0_events is None else "events"

    def for_model(self, model: str) -> DetectionSettings:
        """What of it concerns one model: of limits and detectors those whose pattern its name matches."""
        limits = tuple(rule for rule in self.limits if rule.applies(model))
        detectors = tuple(rule for rule in self.detectors if rule.applies(model))
        distances = tuple(rule for rule in self.distances if rule.applies(model))
        positive = positive_of(self.positive_class, model)
        return msgspec.structs.replace(
            self,
            limits=limits,
            detectors=detectors,
            distances=distances,
            positive_class={} if positive is None else {"*": positive},
        )


def positive_of(patterns: Mapping[str, str], model: str) -> str | None:
    """The positive class of a model: that of the first pattern its name matches."""
    return next((label for pattern, label in patterns.items() if fnmatchcase(model, pattern)), None)
