"""Names of the topics, and what they are created with."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import field_validator, model_validator

from driftline.config.base import LEGAL_NAME, Names, Section, Whole, section, setting


class Partitions(Section):
    """Partitions to create topics with. Existing topics are taken as they are."""

    events: Whole = setting(4, "Partitions of each `events` topic: the most ingest workers there can be.", ge=1)
    blocks: Whole = setting(
        32,
        "Partitions of `blocks`: the most judge workers there can be. Fixed for good at creation.",
        ge=1,
        le=1024,
    )
    deadletter: Whole = setting(1, "Partitions of `deadletter`.", ge=1)


class Retention(Section):
    """How long created topics keep records, in hours. -1 keeps them for ever."""

    events: Whole = setting(168, "Hours of `events`: how far back a lost store can be rebuilt.", ge=-1)
    blocks: Whole = setting(720, "Hours of `blocks`. Longer than `events`: it is the ledger.", ge=-1)
    signals: Whole = setting(2160, "Hours of `signals`.", ge=-1)
    deadletter: Whole = setting(336, "Hours of `deadletter`.", ge=-1)
    lifecycle: Whole = setting(-1, "Hours of `lifecycle`.", ge=-1)
    commands: Whole = setting(720, "Hours of `commands`.", ge=-1)
    alerts: Whole = setting(2160, "Hours of `alerts`.", ge=-1)
    retraining: Whole = setting(2160, "Hours of `retraining`.", ge=-1)

    @model_validator(mode="after")
    def _ledger_outlives_events(self) -> Self:
        zero = [name for name in type(self).model_fields if getattr(self, name) == 0]
        if zero:
            raise ValueError(f"{zero[0]} is 0 hours: nothing would be kept; use -1 for ever")
        if self.blocks != -1 and (self.events == -1 or self.events >= self.blocks):
            raise ValueError(
                f"blocks ({self.blocks} h) must be kept longer than events ({self.events} h), "
                "else events could be counted twice after the store is lost"
            )
        return self


PREFIX = r"^[A-Za-z0-9._-]{0,200}$"
_TOPICS = (
    *("blocks", "profiles", "signals", "deadletter", "lifecycle"),
    *("commands", "alerts", "retraining"),
)


class Topics(Section):
    """Names of the topics, and what to create them with. A name that is not given is prefix + its own."""

    prefix: str = setting("driftline.", "Begins the names that are not given.", pattern=PREFIX)
    events: Names = setting(
        ("{prefix}events",),
        "What serving systems publish to. One topic for now.",
        min_length=1,
        max_length=1,
        affects=("ingest",),
    )
    blocks: str = setting("{prefix}blocks", "From ingest to judge, and the ledger.", pattern=LEGAL_NAME)
    profiles: str = setting("{prefix}profiles", "References, compacted.", pattern=LEGAL_NAME)
    signals: str = setting("{prefix}signals", "Verdicts that changed.", pattern=LEGAL_NAME)
    deadletter: str = setting("{prefix}deadletter", "Refused records, with why.", pattern=LEGAL_NAME)
    lifecycle: str = setting("{prefix}lifecycle", "What happened to model versions.", pattern=LEGAL_NAME)
    commands: str = setting(
        "{prefix}commands", "What react is to do: ticks, and requests by hand.", pattern=LEGAL_NAME
    )
    alerts: str = setting("{prefix}alerts", "What people are told of incidents.", pattern=LEGAL_NAME)
    retraining: str = setting("{prefix}retraining", "Requests to retrain a model.", pattern=LEGAL_NAME)
    replication: Whole | None = setting(
        None, "Copies to create topics with. Without it, what the brokers do by default.", ge=1, le=32
    )
    partitions: Partitions = section(Partitions, "Partitions to create topics with.")
    retention_hours: Retention = section(Retention, "How long created topics keep records.")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        prefix = data.get("prefix", cls.model_fields["prefix"].default)
        if not isinstance(prefix, str) or not re.match(PREFIX, prefix):
            prefix = cls.model_fields["prefix"].default  # refused under its own name, not under every topic's
        defaults = {"events": (f"{prefix}events",)} | {name: prefix + name for name in _TOPICS}
        return defaults | data

    @field_validator("events")
    @classmethod
    def _legal(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.match(LEGAL_NAME, name) or name in {".", ".."}:
                raise ValueError(f"{name[:60]!r} is not a topic name: letters, digits, dot, hyphen and underscore")
        return value

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [*self.events, *(getattr(self, name) for name in _TOPICS)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named twice; every topic needs a name of its own")
        return self
