"""The whole configuration: one frozen object, validated as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Self

import orjson
from pydantic import BaseModel, SecretStr, model_validator
from pydantic.fields import FieldInfo

from driftline.config.base import AFFECTS, Section, Stage, section
from driftline.config.connections import Kafka, Redis
from driftline.config.notify import Notify
from driftline.config.reactions import React
from driftline.config.stages import Detection, Ingest, Join, Judge, Logging, Runtime
from driftline.config.topics import Topics

HIDDEN = "(hidden)"
Path = tuple[str, ...]


class Config(Section):
    """Every setting Driftline has. Built by `driftline.config.load`; equal objects behave equally."""

    kafka: Kafka = section(Kafka, "The log.")
    topics: Topics = section(Topics, "Topics and what they are created with.")
    redis: Redis = section(Redis, "The store.")
    ingest: Ingest = section(Ingest, "From events to blocks.")
    join: Join = section(Join, "Outcomes to predictions.")
    judge: Judge = section(Judge, "From blocks to signals.")
    detection: Detection = section(Detection, "What an alarm is.")
    react: React = section(React, "From signals to alerts and retraining requests.", live=True)
    notify: Notify = section(Notify, "Who is told of alerts.", live=True)
    runtime: Runtime = section(Runtime, "How the process behaves.")
    logging: Logging = section(Logging, "What is logged.", live=True)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.runtime.revoke_deadline_s * 1000 >= self.kafka.rebalance_timeout_ms:
            raise ValueError(
                f"runtime.revoke_deadline_s ({self.runtime.revoke_deadline_s:g} s) must be shorter than "
                f"kafka.rebalance_timeout_ms ({self.kafka.rebalance_timeout_ms} ms), else the work in hand is lost"
            )
        if self.ingest.max_bundle_bytes > self.kafka.max_message_bytes:
            raise ValueError(
                f"ingest.max_bundle_bytes ({self.ingest.max_bundle_bytes}) must not exceed "
                f"kafka.max_message_bytes ({self.kafka.max_message_bytes}), else blocks cannot be published"
            )
        return self

    def redacted(self) -> dict[str, Any]:
        """All settings as plain data, secrets as "(hidden)". Safe to print, log and serve."""
        return _plain(self)

    def secrets(self) -> frozenset[str]:
        """Every secret's text, for the log to blot out wherever else it turns up."""
        return frozenset(secret for _, _, value in leaves(self) for secret in _secrets(value))

    def fingerprint(self, *stages: Stage) -> str:
        """32 hex digits, the same if and only if the settings that change the given stages' results are
        (all stages' without any). Addresses, deadlines and batch sizes are not among them."""
        wanted = set(stages)
        chosen = {
            ".".join(path): value
            for path, info, value in leaves(self)
            if (affects := affected(info)) and (not wanted or wanted & affects)
        }
        text = orjson.dumps(chosen, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(text, digest_size=16).hexdigest()


def affected(info: FieldInfo) -> set[str]:
    """The stages whose results change with this setting."""
    extra = info.json_schema_extra
    return set(extra.get(AFFECTS, [])) if isinstance(extra, dict) else set()  # type: ignore[arg-type]


def leaves(section: BaseModel, path: Path = ()) -> Iterator[tuple[Path, FieldInfo, Any]]:
    """Every setting that is no section, with its path and value. A section that is left out is a None."""
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), info, value


def plain(value: Any) -> Any:
    """A setting's value as plain data, its secrets hidden, those in lists and tables too."""
    if isinstance(value, BaseModel):
        return _plain(value)
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _plain(section: BaseModel) -> dict[str, Any]:
    fields = type(section).model_fields
    return {info.alias or name: plain(getattr(section, name)) for name, info in fields.items()}


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets(item)
