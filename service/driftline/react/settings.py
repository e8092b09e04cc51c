"""What react's policy goes by. Times in milliseconds of event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

BUDGET_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class ReactSettings:
    """`retrain`: whether requests are made by alarms (schedule and people may always). `schedule`: a crontab in
    UTC. `budget`: requests a model in 30 days, those of people counted but never refused."""

    retrain: bool = True
    cooldown_ms: int = 21_600_000
    expire_ms: int = 604_800_000
    escalate_ms: int = 3_600_000
    update_every_ms: int = 300_000
    service_quiet_ms: int = 3_600_000
    enough_events: int = 5_000
    compare_pairs: int = 500
    compare_days: int = 7
    budget: int = 10
    strategy: Literal["full", "incremental"] = "full"
    schedule: str | None = None
