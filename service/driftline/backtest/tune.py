"""Settings for a wanted number of alarms, from history: the same blocks judged by one setting after the other.

Alarms of history are not all false. What is proposed is the most sensitive setting that would have raised no more
than so many: the smallest effect first, then the shortest `arl0_days`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from driftline.backtest.blockfile import BlockFile
from driftline.backtest.reference import Reference
from driftline.backtest.result import Result, per_month
from driftline.backtest.run import rejudge
from driftline.config import Config

ARL0_DAYS: Final = (10.0, 30.0, 100.0, 300.0)
EFFECTS: Final = ((0.02, 0.01), (0.05, 0.02), (0.1, 0.03), (0.2, 0.05))
"""(min_effect_sd, min_rate_effect), from the most sensitive to the least."""


class Setting(msgspec.Struct, frozen=True):
    """What is tuned."""

    arl0_days: float
    min_effect_sd: float
    min_rate_effect: float

    def of(self, config: Config) -> Config:
        """The configuration with these in place of its own."""
        detection = config.detection.model_copy(update=msgspec.structs.asdict(self))
        return config.model_copy(update={"detection": detection})

    def yaml(self) -> str:
        return (
            f"detection:\n  arl0_days: {self.arl0_days:g}\n  min_effect_sd: {self.min_effect_sd:g}\n"
            f"  min_rate_effect: {self.min_rate_effect:g}\n"
        )


@dataclass(frozen=True)
class Candidate:
    """`delay`: values until a shift of 0.2 SD is seen, about, by the median monitor; None where that one cannot."""

    setting: Setting
    alarms: int
    per_month: float
    monitors_in_alarm: int
    delay: int | None


def settings_around(config: Config) -> list[Setting]:
    """The grid, and what is set now."""
    now = config.detection
    found = [Setting(days, sd, rate) for sd, rate in EFFECTS for days in ARL0_DAYS]
    own = Setting(now.arl0_days, now.min_effect_sd, now.min_rate_effect)
    return sorted({*found, own}, key=lambda s: (s.min_effect_sd, s.min_rate_effect, s.arl0_days))


def judge_all(
    file: BlockFile,
    config: Config,
    reference: Reference,
    settings: Sequence[Setting],
    advanced: Callable[[int], None] = lambda done: None,
) -> list[Candidate]:
    """A candidate for each setting, in their order."""
    found = []
    for number, setting in enumerate(settings):
        found.append(candidate(setting, rejudge(file, setting.of(config), reference)))
        advanced(number + 1)
    return found


def candidate(setting: Setting, result: Result) -> Candidate:
    alarms = result.alarms()
    delays = sorted(result.delays, key=lambda delay: math.inf if delay is None else delay)
    return Candidate(
        setting=setting,
        alarms=len(alarms),
        per_month=per_month(len(alarms), result.days),
        monitors_in_alarm=len({(alarm.model, alarm.version, alarm.monitor) for alarm in alarms}),
        delay=delays[len(delays) // 2] if delays else None,
    )


def proposed(candidates: Sequence[Candidate], wanted: float, delay: int | None) -> Candidate | None:
    """The most sensitive of those with at most `wanted` alarms in 30 days and, where a delay is wanted, one that is
    no longer. None: there is none."""
    fit = [
        c
        for c in candidates
        if c.per_month <= wanted and (delay is None or (c.delay is not None and c.delay <= delay))
    ]
    return min(fit, key=lambda c: (c.setting.min_effect_sd, c.setting.arl0_days), default=None)
