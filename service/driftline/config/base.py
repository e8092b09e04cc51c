"""What every section of the configuration has in common: frozen, finite, and closed to unknown keys."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

Stage = Literal["ingest", "judge"]
LEGAL_NAME: Final = r"^[A-Za-z0-9._-]{1,249}$"
"""What Kafka takes as the name of a topic or a group."""
AFFECTS: Final = "affects"
"""Key of a field's extra: the stages whose results change with this setting (see `Config.fingerprint`)."""
LIVE: Final = "live"
"""Key of a field's extra: whether a reload may change it. Said of a section, it holds for all in it but what says
otherwise itself; said nowhere, a restart is needed (see `tree.is_live`)."""


class Section(BaseModel):
    """Part of the configuration. Immutable; unknown keys and non-finite numbers are refused; errors never
    repeat what was given, because it may be a secret."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
    )


def setting(
    default: Any, description: str, *, affects: tuple[Stage, ...] = (), live: bool | None = None, **bounds: Any
) -> Any:
    """A field with its default, its meaning, the stages whose results depend on it, and whether a reload may change
    it (None: as its section)."""
    extra: JsonDict = {AFFECTS: list(affects)} if affects else {}
    return Field(default, description=description, json_schema_extra=extra | _live(live) or None, **bounds)


def section(model: type[Section], description: str, *, live: bool | None = None) -> Any:
    return Field(default_factory=model, description=description, json_schema_extra=_live(live) or None)


def _live(said: bool | None) -> JsonDict:
    return {} if said is None else {LIVE: said}


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    return value


def parsed(value: object) -> object:
    """Lists and tables are JSON where only text is possible: in the environment."""
    return json.loads(value) if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"} else value


def _listed(value: object) -> object:
    """Lists may be written `a,b` or `["a", "b"]` where only text is possible: in the environment."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return parsed(value)
    return [item.strip() for item in value.split(",") if item.strip()]


Whole = Annotated[int, BeforeValidator(_no_bool)]
Number = Annotated[float, BeforeValidator(_no_bool)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
