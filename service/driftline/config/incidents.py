"""How incidents are told: what belongs together, how grave it is, when nobody is told. Seconds are of event time."""

from __future__ import annotations

from typing import Annotated, Literal

from croniter import croniter
from pydantic import BeforeValidator, field_validator

from driftline.config.base import Number, Section, Whole, parsed, section, setting
from driftline.contracts.reactions import Cause

Severity = Literal["critical", "error", "warning", "info"]


class Silenced(Section):
    """What a window is for: everything given has to fit. Names are patterns (`*`, `?`, `[ab]`)."""

    model: str | None = setting(None, "Models.")
    version: str | None = setting(None, "Versions.")
    team: str | None = setting(None, "Teams, as `notify.teams` names them.")
    cause: Cause | None = setting(None, "The cause.")
    monitor: str | None = setting(None, "Monitors; each of those in alarm has to fit: `features.income:*`.")
    up_to: Severity | None = setting(None, "The gravest that fits; what is graver is told all the same.")


class Window(Section):
    """A maintenance window that comes again. What it holds is told when it ends, if it lasts."""

    match: Silenced = section(Silenced, "What it is for; everything without.")
    schedule: str = setting(..., "When it begins, as a crontab (UTC, event time): `0 2 * * 6`.")
    lasts_s: Number = setting(..., "How long it lasts, seconds.", gt=0, le=31_536_000)
    reason: str = setting(..., "Why; what is held says so.", min_length=1, max_length=200)
    by: str = setting("", "Who made it.", max_length=200)

    @field_validator("schedule")
    @classmethod
    def _crontab(cls, value: str) -> str:
        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ValueError("write a crontab of five fields, such as `0 2 * * 6`")
        return value


class Incidents(Section):
    """What belongs together, how grave it is, how often it is told, and when not at all."""

    reopen_s: Number = setting(
        21_600.0, "Seconds after its end in which an incident that alarms again is the same one.", ge=0
    )
    quietest_s: Number = setting(
        86_400.0,
        "Seconds between two messages of an incident that keeps changing, at most: the gap begins with "
        "`update_every_s` and doubles with each.",
        gt=0,
    )
    together_s: Number = setting(
        600.0,
        "Seconds within which incidents of several models that share a feature opened, to be told together.",
        ge=0,
    )
    upstream: Annotated[dict[str, str], BeforeValidator(parsed)] = setting(
        {},
        "What fills features, by patterns of their names: `{'txn_*': payments}`. The first that fits; else the "
        "feature's own name.",
    )
    importance: Annotated[dict[str, Literal["high", "normal", "low"]], BeforeValidator(parsed)] = setting(
        {}, "How much models matter, or columns of them: `{'fraud*': high, '*/features.debug_*': low}`."
    )
    busy_per_day: Whole | None = setting(
        None, "Events a day from which on an alarm is one step graver; null: traffic makes none graver.", ge=1
    )
    idle_per_day: Whole | None = setting(
        None, "Events a day below which an alarm is one step less grave; null: traffic makes none less grave.", ge=1
    )
    maintenance: Annotated[tuple[Window, ...], BeforeValidator(parsed)] = setting(
        (),
        "Windows in which nobody is told: `[{match: {model: fraud}, schedule: '0 2 * * 6', lasts_s: 7200, "
        "reason: 'weekly load'}]`.",
        max_length=100,
    )
