"""The settings there are: paths, declarations, and the nearest to a misspelt one."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from driftline.config.model import Config, Path

ENV_PREFIX = "DRIFTLINE_"
ENV_SEPARATOR = "__"


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section a field holds, also where it may be left out; None for a plain setting."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _walk(model: type[BaseModel], path: Path) -> Iterator[tuple[Path, FieldInfo, bool]]:
    for name, info in model.model_fields.items():
        inner = section_of(info.annotation)
        yield (*path, name), info, inner is not None
        if inner is not None:
            yield from _walk(inner, (*path, name))


@cache
def settings() -> dict[Path, FieldInfo]:
    """Every plain setting by its path, in declared order."""
    return {path: info for path, info, inner in _walk(Config, ()) if not inner}


@cache
def sections() -> dict[Path, FieldInfo]:
    """Every section by its path, in declared order."""
    return {path: info for path, info, inner in _walk(Config, ()) if inner}


def keys_at(path: Path) -> list[str]:
    """The names allowed directly under a section."""
    return [p[-1] for p, _, _ in _walk(Config, ()) if p[:-1] == path]


def is_secret(path: Path) -> bool:
    info = settings().get(path)
    return info is not None and SecretStr in (info.annotation, *typing.get_args(info.annotation))


def env_name(path: Path) -> str:
    return ENV_PREFIX + ENV_SEPARATOR.join(path).upper()


def nearest(path: Path) -> Path | None:
    """The setting or section most probably meant: misspelt at its own level, else the same name elsewhere,
    else the nearest path of all."""
    parent, name = path[:-1], path[-1]
    near = difflib.get_close_matches(name, keys_at(parent), 1, 0.6)
    if near:
        return (*parent, near[0])
    known = (*settings(), *sections())
    elsewhere = [p for p in known if p[-1] == name]
    if len(elsewhere) == 1:
        return elsewhere[0]
    dotted = {".".join(p): p for p in known}
    found = difflib.get_close_matches(".".join(path), dotted, 1, 0.75)
    return dotted[found[0]] if found else None
