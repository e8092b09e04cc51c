"""The profiles in force, read from the compacted topic `profiles`: what ingest bins by and judge compares with.

The record of a model version is keyed `model \\x1f version`; a profile replaces its predecessor when its revision
is higher; a tombstone resets the model version: whoever holds state of it starts cold.
"""

from __future__ import annotations

import gc
from typing import Final

import msgspec

from driftline.clock import Clock
from driftline.errors import StateCorrupt
from driftline.runtime.log import LogReader, Outgoing
from driftline.stats.profile import Profile, decode_profile, encode_profile

SEPARATOR: Final = "\x1f"
ModelKey = tuple[str, str]
"""(model, version)."""


def profile_key(model: str, version: str) -> bytes:
    """The record key of a model version on the topic `profiles`."""
    return f"{model}{SEPARATOR}{version}".encode()


def profile_record(topic: str, profile: Profile) -> Outgoing:
    """The record that puts a profile in force."""
    key = profile_key(profile.model, profile.version)
    return Outgoing(topic, 0, key, encode_profile(profile), (("content-type", b"application/json"),))


class Standing(msgspec.Struct, frozen=True):
    """What the topic says of one model version: its profile, and the offset of its last reset (-1: none)."""

    profile: Profile | None = None
    reset: int = -1


class ProfileRegistry:
    """A view of `profiles` that is as fresh as its last `refresh`; one partition, read outside any group.

    `unreadable` lists the keys whose record this code cannot read; their former profile stays in force."""

    def __init__(self, reader: LogReader, topic: str, clock: Clock, every_s: float = 0.25) -> None:
        self._reader = reader
        self._topic = topic
        self._clock = clock
        self._every_s = every_s
        self._next = 0
        self._read_at: float | None = None
        self._standings: dict[ModelKey, Standing] = {}
        self.unreadable: set[bytes] = set()

    async def refresh(self, *, force: bool = False, after: float | None = None) -> None:
        """Read what is new, at most once in `every_s` unless forced; or, where `after` is given, unless we have begun
        to read after that moment (of the monotonic clock). Transient passes through."""
        now = self._clock.monotonic()
        stale = now - self._every_s if after is None else after
        if not force and self._read_at is not None and self._read_at > stale:
            return
        bounds = (await self._reader.bounds_of(self._topic, [0]))[0]
        start = max(self._next, bounds.begin)
        if start < bounds.end:
            for record in await self._reader.read(self._topic, 0, start, bounds.end):
                self._take(record.key or b"", record.value, record.offset)
                self._next = record.offset + 1
            # Thousands of profiles are a million objects, which every full collection would walk through: they are
            # kept for long, and have no cycles.
            gc.freeze()
        self._read_at = now

    def _take(self, key: bytes, value: bytes | None, offset: int) -> None:
        try:
            model, _, version = key.decode().partition(SEPARATOR)
            former = self._standings.get((model, version), Standing())
            if value is None:
                self._standings[model, version] = Standing(None, offset)
                return
            profile = decode_profile(value)
        except (UnicodeDecodeError, StateCorrupt):
            self.unreadable.add(key)
            return
        self.unreadable.discard(key)
        if former.profile is None or profile.revision >= former.profile.revision:
            self._standings[model, version] = Standing(profile, former.reset)

    def standing(self, model: str, version: str) -> Standing:
        return self._standings.get((model, version), Standing())

    def profile(self, model: str, version: str) -> Profile | None:
        standing = self._standings.get((model, version))
        return None if standing is None else standing.profile

    def all(self) -> dict[ModelKey, Standing]:
        return dict(self._standings)
