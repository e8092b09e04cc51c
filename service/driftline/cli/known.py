"""Which model versions there are, for commands that name one: those react has heard of, and those with a reference."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from driftline.cli.connect import patiently, reading
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.errors import Misconfigured, Transient
from driftline.react.slot import SLOT
from driftline.react.state import State, from_fields
from driftline.registry import ModelKey, ProfileRegistry, Standing
from driftline.wiring import redis_store

SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Known:
    """`react`: what react remembers; `profiles`: what the topic says; None: it could not be read."""

    react: State | None
    profiles: Mapping[ModelKey, Standing] | None
    unread: list[str] = field(default_factory=list)
    """What could not be read, and why."""

    def versions(self, model: str) -> list[str]:
        """Those of a model, in order; empty where no such model is known."""
        return sorted({version for name, version in self._all() if name == model})

    def meant(self, model: str) -> str | None:
        """The version that is meant where none is named: None where react knows the one in use, else the one whose
        reference takes force last."""
        remembered = self.react.models.get(model) if self.react is not None else None
        if remembered is not None and remembered.current() is not None:
            return None
        dated = [
            (standing.profile.judged_from, version)
            for (name, version), standing in (self.profiles or {}).items()
            if name == model and standing.profile is not None
        ]
        return max(dated, default=(0, None))[1]

    def check(self, model: str, version: str | None) -> None:
        """Misconfigured, with names that are near, where there is no such model or version. Where something could not
        be read nothing is refused: it may be there."""
        if self.unread:
            return
        versions = self.versions(model)
        if not versions:
            names = sorted({name for name, _ in self._all()})
            called = f"no model with a reference, or that react has heard of, is called {model[:60]!r}"
            raise Misconfigured(called + _near(model, names, "`driftline status` lists all"))
        if version is not None and version not in versions:
            there = f"its last versions are {', '.join(versions[-SHOWN:])}"
            raise Misconfigured(f"{model} has no version {version[:60]!r}{_near(version, versions, there)}")

    def _all(self) -> set[ModelKey]:
        models = self.react.models.values() if self.react is not None else ()
        return {
            *((model.name, version) for model in models if model.name for version in model.versions),
            *(key for key, standing in (self.profiles or {}).items() if standing.profile is not None),
        }


def _near(wanted: str, names: list[str], otherwise: str) -> str:
    near = difflib.get_close_matches(wanted, names, SHOWN)
    return f"; did you mean {' or '.join(near)}?" if near else f"; {otherwise}" if names else "; none is known yet"


async def known(config: Config) -> Known:
    """What there is, as far as it can be read."""
    react, profiles = await asyncio.gather(_remembered(config), _referred(config), return_exceptions=True)
    for found in (react, profiles):
        if isinstance(found, BaseException) and not isinstance(found, Transient):
            raise found
    return Known(
        None if isinstance(react, BaseException) else react,
        None if isinstance(profiles, BaseException) else profiles,
        [str(found) for found in (react, profiles) if isinstance(found, BaseException)],
    )


async def _remembered(config: Config) -> State:
    store = redis_store(config)
    try:
        snapshot = await patiently(lambda: store.read(SLOT))
    finally:
        await store.close()
    state, broken = from_fields(snapshot.fields)
    if broken:
        raise Transient("part of what react remembers cannot be read")
    return state or State()


async def _referred(config: Config) -> Mapping[ModelKey, Standing]:
    async with reading(config) as reader:
        registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
        await patiently(lambda: registry.refresh(force=True))
    if registry.unreadable:
        raise Transient("some profiles cannot be read")
    return registry.all()
