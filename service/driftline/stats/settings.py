"""What a person may choose about detection; everything else is derived from the reference."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

Pager = Literal["cbe", "adwin", "page_hinkley"]
"""Who may raise an alarm: the calibrated block e-detector, or one of river's (which else only annotate)."""


class DetectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`arl0_days` and the smallest effects are the promise (at most one false alarm per model in so many days of
    traffic, no alarm for less than that); the rest are the constants of the method.

    `min_effect_sd` is in reference SDs (means, spreads, and quantile shares in SDs of their indicator);
    `min_rate_effect` is a share: errors and categories count from the smaller of it and a quarter of their
    reference share. `coalesce` is the least number of values one judgement rests on, `z_ref` how many standard
    errors of the reference itself are allowed for, `min_reference_panes` what a reference must hold to page.
    `errors_pager` is for the monitors of the pairs stream, `features_pager` for all others.
    Raises ValueError on a setting that no reading makes sense of.
    """

    arl0_days: float = 30.0
    min_effect_sd: float = 0.05
    min_rate_effect: float = 0.02
    coalesce: int = 30
    z_ref: float = 3.0
    min_reference_panes: int = 30
    features_pager: Pager = "cbe"
    errors_pager: Pager = "cbe"

    def __post_init__(self) -> None:
        for name in ("arl0_days", "min_effect_sd", "min_rate_effect", "z_ref"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} must be a finite number, 0 or more; it is {value}")
        if self.arl0_days == 0:
            raise ValueError("arl0_days must be positive: 0 would allow an alarm on every pane")
        if self.min_rate_effect >= 1:
            raise ValueError(f"min_rate_effect is a share below 1; it is {self.min_rate_effect}")
        if self.coalesce < 1:
            raise ValueError(f"coalesce must be 1 or more; it is {self.coalesce}")
        if self.min_reference_panes < 8:
            raise ValueError(
                f"min_reference_panes must be 8 or more (pane-level variance needs 8 aggregates); "
                f"it is {self.min_reference_panes}"
            )
