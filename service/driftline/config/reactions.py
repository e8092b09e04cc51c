"""What react does: when people are told, and when a model is to be retrained. Its seconds are of event time."""

from __future__ import annotations

from typing import Literal

from croniter import croniter
from pydantic import field_validator

from driftline.config.base import Number, Section, Whole, section, setting
from driftline.config.incidents import Incidents


class Retraining(Section):
    """When a model is to be retrained, and what with."""

    enabled: bool = setting(True, "Whether alarms ask for retraining. A schedule and people may in any case.")
    cooldown_s: Number = setting(21_600.0, "Seconds after a request has ended until the next one.", ge=0)
    expire_s: Number = setting(604_800.0, "Seconds after which a request is void.", gt=0)
    escalate_s: Number = setting(
        3_600.0, "Seconds after which a request that nobody has started is critical.", gt=0
    )
    budget: Whole = setting(
        10, "Most requests a model in 30 days, those made by hand not limited.", ge=0, le=10_000
    )
    enough_events: Whole = setting(
        5_000, "Events since the change that are enough to train on alone; with fewer, older ones are added.", ge=1
    )
    strategy: Literal["full", "incremental"] = setting("full", "What jobs are told: train anew, or go on training.")
    schedule: str | None = setting(
        None, "Crontab (UTC, event time) by which every model in use is retrained: `0 3 * * 0`."
    )
    compare_pairs: Whole = setting(
        500, "Pairs of a deployed version before its error is compared with its predecessor's.", ge=1
    )
    compare_days: Whole = setting(
        7,
        "Whole days (UTC) of these pairs, too: days differ more than events do, and a week has all its days.",
        ge=5,
        le=30,
    )

    @field_validator("schedule")
    @classmethod
    def _crontab(cls, value: str | None) -> str | None:
        if value is not None and (len(value.split()) != 5 or not croniter.is_valid(value)):
            raise ValueError("write a crontab of five fields, such as `0 3 * * 0`")
        return value


class React(Section):
    """From signals to alerts and retraining requests."""

    tick_s: Number = setting(
        10.0, "How often event time is told to react, seconds of the wall clock.", ge=0.1, le=3_600, live=False
    )
    update_every_s: Number = setting(
        300.0, "Least seconds between two messages of an incident; it doubles with each.", ge=0
    )
    incidents: Incidents = section(Incidents, "What belongs together, how grave it is, and when nobody is told.")
    retraining: Retraining = section(Retraining, "When a model is to be retrained.")
