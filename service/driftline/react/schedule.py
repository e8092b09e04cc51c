"""Crontabs, in UTC and event time."""

from __future__ import annotations

from datetime import UTC, datetime

from croniter import croniter


def latest(schedule: str, now: int) -> int:
    """The last time at or before `now` (ms) that the crontab names."""
    after = datetime.fromtimestamp(now // 1000 + 1, UTC)
    return round(croniter(schedule, after).get_prev(float) * 1000)
