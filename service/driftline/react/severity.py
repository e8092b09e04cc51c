"""How grave an alarm is: what it is about, how much has moved, how much that matters, how much goes through it.

Judge says what it is about: an error is critical, what the model says an error, what it is told a warning. A large
effect, an important column or a busy stream make it one step graver, their opposites one less; at most one step in
all, because an alarm of one kind should not outgrow the next but one. Never `info`: an alarm is told.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from driftline.contracts.records import Effect, Severity, Signal
from driftline.react.causes import column_of
from driftline.react.settings import Importance, ReactSettings

ORDER: Final[tuple[Severity, ...]] = ("warning", "error", "critical")
LARGE: Final = 0.2
"""A share that moves by so much, error bar included, is a large effect; SMALL: by at most so little, a small one."""
SMALL: Final = 0.02
DAY_MS: Final = 86_400_000
_STEP: Final[dict[Importance, int]] = {"high": 1, "normal": 0, "low": -1}


def grade(signal: Signal, settings: ReactSettings) -> Severity:
    """The severity of an alarm; a signal that is none keeps its own."""
    if signal.state != "alarm" or signal.severity not in ORDER:
        return signal.severity
    step = (
        _effect(signal.effect)
        + _STEP[importance(settings, signal.model, column_of(signal.monitor))]
        + _traffic(signal, settings)
    )
    place = ORDER.index(signal.severity) + max(-1, min(step, 1))
    return ORDER[max(0, min(place, len(ORDER) - 1))]


def importance(settings: ReactSettings, model: str, column: str) -> Importance:
    """By the first pattern that fits `model/column`; one without a slash is of models."""
    for pattern, how in settings.importance.items():
        if fnmatchcase(f"{model}/{column}" if "/" in pattern else model, pattern):
            return how
    return "normal"


def _effect(effect: Effect | None) -> int:
    """Only shares are judged: of other units nobody knows what is much. Where the error bar allows both, neither."""
    if effect is None or effect.current.unit != "share":
        return 0
    low, high, reference = effect.current.low, effect.current.high, effect.reference
    least = max(low - reference, reference - high, 0.0)
    most = max(abs(low - reference), abs(high - reference))
    return int(least >= LARGE) - int(most <= SMALL)


def _traffic(signal: Signal, settings: ReactSettings) -> int:
    n = signal.evidence.n if signal.evidence else 0
    if not n or signal.onset is None or signal.onset >= signal.time:
        return 0
    per_day = n * DAY_MS / (signal.time - signal.onset)
    busy, idle = settings.busy_per_day, settings.idle_per_day
    return int(busy is not None and per_day >= busy) - int(idle is not None and per_day < idle)
