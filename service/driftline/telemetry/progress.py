"""Whether the loops get on: what `/healthz` and `/readyz` answer from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from driftline.clock import Clock


@dataclass(frozen=True, slots=True)
class Stall:
    """A stage that had work and made no progress for so long."""

    stage: str
    seconds: float


class Progress:
    """Liveness by progress, not by process: a loop that hangs, or turns without getting on, is unhealthy after
    `watchdog_s`. A loop without work is getting on. A stage that has never beaten is not watched."""

    def __init__(self, watchdog_s: float, clock: Clock) -> None:
        self._watchdog_s = watchdog_s
        self._clock = clock
        self._last: dict[str, float] = {}

    def beat(self, stage: str, *, moved: bool = True) -> None:
        """The loop has gone round. `moved=False`: it had work and none of it got done."""
        if moved or stage not in self._last:
            self._last[stage] = self._clock.monotonic()

    def leave(self, stage: str) -> None:
        """The stage has stopped on purpose: silence is right now."""
        self._last.pop(stage, None)

    def ages(self) -> dict[str, float]:
        """Seconds since each watched stage last got on."""
        now = self._clock.monotonic()
        return {stage: now - at for stage, at in self._last.items()}

    def stalled(self) -> list[Stall]:
        """The stages past the watchdog; none: healthy."""
        return [Stall(stage, age) for stage, age in self.ages().items() if age > self._watchdog_s]


class Readiness:
    """Named conditions, all of which must hold before we say that we are ready. They begin as not met."""

    def __init__(self, conditions: Iterable[str] = ("started", "state", "store", "log")) -> None:
        self._why: dict[str, str | None] = dict.fromkeys(conditions, "not yet")

    def met(self, condition: str) -> None:
        self._set(condition, None)

    def unmet(self, condition: str, why: str) -> None:
        """`why` is shown to whoever asks: a short sentence without ids or secrets."""
        self._set(condition, why)

    def _set(self, condition: str, why: str | None) -> None:
        if condition not in self._why:
            raise LookupError(f"{condition} is not among {sorted(self._why)}")
        self._why[condition] = why

    @property
    def ready(self) -> bool:
        return all(why is None for why in self._why.values())

    def conditions(self) -> dict[str, str]:
        """Each condition: "met", or why not."""
        return {name: "met" if why is None else why for name, why in self._why.items()}
