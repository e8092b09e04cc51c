"""What was probably meant by a key that there is not. Keys of the same section go before all others."""

from __future__ import annotations

import difflib

from pydantic import BaseModel

from driftline.config.model import Path
from driftline.config.tree import env_name, items, keys_at, sections, settings


def hint(path: Path) -> str:
    """What to write in place of a key of the file."""
    near = nearest(path)
    return _known(path) if near is None else f"did you mean {'.'.join(near)}?"


def hint_of_variable(path: Path) -> str:
    """What to set in place of a variable, by its path. Only settings have variables; a list or table is one."""
    whole = next((path[:n] for n in range(1, len(path)) if path[:n] in settings()), None)
    near = whole or nearest(path)
    if near is None:
        return _known(path)
    return f"did you mean {env_name(near)}?" if near in settings() else of_section(near)


def of_section(path: Path) -> str:
    """What to set in place of a section, which has no variable of its own."""
    held = [env_name(p) for p in settings() if p[: len(path)] == path]
    more = " and so on" if len(held) > 3 else ""
    return f"{'.'.join(path)} is a section, and each of its settings has a variable: {', '.join(held[:3])}{more}"


def nearest(path: Path) -> Path | None:
    """The setting or section most probably meant: misspelt at its own level, else the same name below it, else
    the same name elsewhere, else, where there is no such section either, the nearest path of all.

    Out of a section that exists leads only a name of several words (`arl0_days`): one of a single word (`url`,
    `group`) any section may have.
    """
    parent, name = path[:-1], path[-1]
    near = difflib.get_close_matches(name, keys_at(parent), 1, 0.6)
    if near:
        return (*parent, near[0])
    known = (*settings(), *sections())
    exists = parent in sections()
    named = [p for p in known if p[-1] == name]
    below = [p for p in named if _within(p, parent)]
    for candidates in (below, named if "_" in name or not exists else ()):
        if len(candidates) == 1:
            return candidates[0]
    if exists:
        return None
    dotted = {".".join(p): p for p in known}
    found = difflib.get_close_matches(".".join(path), dotted, 1, 0.75)
    return dotted[found[0]] if found else None


def _within(path: Path, section: Path) -> bool:
    return path[: len(section)] == section


def _keys(table: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in table.model_fields.items()}


def _known(path: Path) -> str:
    """The keys of the section, and the list in it whose tables have this one."""
    parent, name = path[:-1], path[-1]
    lists = [
        f"; a table of {'.'.join(p)} has {name}"
        for p, info in settings().items()
        if parent and _within(p, parent) and any(name in _keys(kind) for kind in items(info.annotation))
    ]
    allowed = keys_at(parent)
    return f"known here: {', '.join(allowed)}{''.join(lists)}" if allowed else "see docs/configuration.md"
