"""Loading: file, environment and command line into one validated object, or one message with every mistake."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from driftline.config.hints import hint
from driftline.config.model import Config, Path
from driftline.config.sources import Given, add_environment, read_file
from driftline.config.tree import is_secret, keys_at, sections, settings
from driftline.errors import Misconfigured

NEVER_SHOWN = frozenset({("redis", "url"), ("kafka", "bootstrap")})
"""Settings that people put passwords into although they should not."""


@dataclass(frozen=True)
class Loaded:
    """A configuration and where each setting comes from (settings at their default are not listed)."""

    config: Config
    origins: Mapping[Path, str]


def load(
    file: File | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Defaults, under `file`, under `environ` (the process's own if None), under `overrides` by dotted path.

    Misconfigured with every mistake at once, each with its path, its origin and what to do. It never repeats a
    secret, nor any value of an unknown key.
    """
    given = read_file(file) if file is not None else Given()
    add_environment(given, os.environ if environ is None else environ)
    for dotted, value in (overrides or {}).items():
        given.put(tuple(dotted.split(".")), value, "command line")
    problems = list(given.problems)
    config: Config | None = None
    try:
        config = Config.model_validate(given.data)
    except ValidationError as error:
        problems += [_explain(detail, given.origins) for detail in error.errors(include_url=False)]
    if config is None or problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise Misconfigured("\n".join([f"configuration refused, {count}:", *(f"  {p}" for p in problems)]))
    return Loaded(config, {path: o for path, o in given.origins.items() if path in settings()})


def _explain(detail: ErrorDetails, origins: Mapping[Path, str]) -> str:
    """One mistake: path, origin, what is wrong, what to do."""
    path = tuple(str(part) for part in detail["loc"])
    known = _known_part(path)
    origin = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), "")
    where = f"{'.'.join(path)[:100] or 'configuration'}{f' ({origin})' if origin else ''}"
    if detail["type"] == "extra_forbidden":
        return f"{where}: there is no such setting; {hint(path)}"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] == "union_tag_invalid":  # it would repeat what was given
        message = f"its type is one of {detail['ctx']['expected_tags']}"
    info = settings().get(known)
    if info is None:
        if known in sections() and detail["type"] in {"model_type", "model_attributes_type"}:
            return f"{where}: a section is wanted, with keys such as {', '.join(keys_at(known)[:3])}"
        return f"{where}: {message}"
    default = "" if info.is_required() or info.default in (None, {}, ()) else f" Default: {info.default!r}."
    return f"{where}: {message}{_shown(known, detail)}. {info.description}{default}"


def _known_part(path: Path) -> Path:
    """The longest beginning that is a setting or a section: an index into a list is not."""
    return next((path[:n] for n in range(len(path), 0, -1) if path[:n] in settings() or path[:n] in sections()), ())


def _shown(path: Path, detail: ErrorDetails) -> str:
    value = detail["input"]
    if is_secret(path) or path in NEVER_SHOWN or detail["type"] == "value_error":
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return f", and {value} is none"
    return f", given {value!r}" if isinstance(value, bool | int | float) or _short(value) else ""


def _short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 60
