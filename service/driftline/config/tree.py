"""The settings there are: paths and declarations."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from driftline.config.base import LIVE
from driftline.config.model import Config, Path, leaves

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
    """The names allowed directly under a section, or in the tables of a list."""
    found = [p[-1] for p, _, _ in _walk(Config, ()) if p[:-1] == path]
    if found or not path:
        return found
    listed = next((settings()[path[:n]] for n in range(len(path), 0, -1) if path[:n] in settings()), None)
    kinds = [] if listed is None else items(listed.annotation)
    return list(dict.fromkeys(key for kind in kinds for key in _keys(kind, path)))


def _keys(kind: type[BaseModel], path: Path) -> Iterator[str]:
    """Those of one kind of table; a path through a list goes by the number, and the kind where there are several."""
    for name, info in kind.model_fields.items():
        inner = section_of(info.annotation)
        if inner is not None and path[-1] == name:
            yield from inner.model_fields
            return
    kinds = [typing.get_args(info.annotation) for name, info in kind.model_fields.items() if name == "type"]
    if not kinds or path[-1] in kinds[0]:
        yield from (info.alias or name for name, info in kind.model_fields.items())


def is_live(path: Path) -> bool:
    """Whether a reload may change a setting; of what holds it, the nearest that says anything says so."""
    declared = settings() | sections()
    for n in range(len(path), 0, -1):
        extra = declared[path[:n]].json_schema_extra
        if isinstance(extra, dict) and LIVE in extra:
            return bool(extra[LIVE])
    return False


def changed(former: Config, now: Config) -> list[Path]:
    """The settings in which two configurations differ, in declared order; a section that only one has is one."""
    held, new = ({path: value for path, _, value in leaves(one)} for one in (former, now))
    differ = [path for path in held if path not in new or held[path] != new[path]]
    differ += [path for path in new if path not in held and not any(path[:n] in held for n in range(len(path)))]
    return [path for path in differ if path in new or not any(path[:n] in new for n in range(len(path)))]


def is_secret(path: Path) -> bool:
    """Whether a setting is a secret, or has one in it."""
    info = settings().get(path)
    return info is not None and _holds_secret(info.annotation)


def _holds_secret(annotation: Any) -> bool:
    if annotation is SecretStr:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_secret(info.annotation) for info in annotation.model_fields.values())
    return any(_holds_secret(inner) for inner in typing.get_args(annotation))


def items(annotation: Any) -> list[type[BaseModel]]:
    """The kinds of tables that a list holds; none where it holds something else."""
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return [m for inner in typing.get_args(annotation) for m in _models(inner)]
    return [m for inner in typing.get_args(annotation) for m in items(inner)]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [m for inner in typing.get_args(annotation) for m in _models(inner)]


def env_name(path: Path) -> str:
    return ENV_PREFIX + ENV_SEPARATOR.join(path).upper()
