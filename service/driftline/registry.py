"""The profiles of all model versions, read from the compacted topic `profiles`: what ingest bins by and judge
compares with, and all that came before.

Every revision has a key of its own, so that none is compacted away: earlier ones can be listed, compared and pinned
again. `stats.succession` says which is in force when. A reset voids the revisions it names, and all that the log
holds before it: whoever has state of that model version starts cold.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import cached_property
from typing import Final

import msgspec

from driftline.clock import Clock
from driftline.errors import StateCorrupt
from driftline.runtime.log import LogReader, Outgoing
from driftline.stats.profile import Profile, decode_profile, encode_profile
from driftline.stats.succession import epochs, order

SEPARATOR: Final = "\x1f"
RESET: Final = "reset"
CONTENT_TYPE: Final = b"application/vnd.driftline.profile"
ModelKey = tuple[str, str]
"""(model, version)."""


class Reset(msgspec.Struct, frozen=True):
    """The record of a reset: revisions up to `void` are in force no longer."""

    void: int


def profile_key(profile: Profile) -> bytes:
    """`model \\x1f version \\x1f revision \\x1f id`: the record key on the topic `profiles`."""
    return SEPARATOR.join((profile.model, profile.version, str(profile.revision), profile.id)).encode()


def profile_record(topic: str, profile: Profile) -> Outgoing:
    """The record that puts a profile in force."""
    return Outgoing(topic, 0, profile_key(profile), encode_profile(profile), (("content-type", CONTENT_TYPE),))


def forgotten_record(topic: str, profile: Profile) -> Outgoing:
    """The record that takes a revision out of the history."""
    return Outgoing(topic, 0, profile_key(profile), None)


def reset_record(topic: str, model: str, version: str, void: int) -> Outgoing:
    """The record that voids the revisions up to `void`."""
    key = SEPARATOR.join((model, version, RESET)).encode()
    return Outgoing(topic, 0, key, msgspec.json.encode(Reset(void)), (("content-type", b"application/json"),))


class Standing(msgspec.Struct, frozen=True, dict=True):
    """What the topic says of one model version: its profiles in their order, the offset of its last reset (-1: none)
    and the highest revision that is void."""

    profiles: tuple[Profile, ...] = ()
    reset: int = -1
    void: int = 0

    @cached_property
    def epochs(self) -> tuple[Profile, ...]:
        """The profiles that are in force, one after the other in event time."""
        return epochs(p for p in self.profiles if p.revision > self.void)

    @property
    def profile(self) -> Profile | None:
        """The last of them."""
        return self.epochs[-1] if self.epochs else None

    def known(self, id_: str) -> Profile | None:
        return next((p for p in self.profiles if p.id == id_), None)


class ProfileRegistry:
    """A view of `profiles` that is as fresh as its last `refresh`; one partition, read outside any group.

    `unreadable` lists the keys whose record this code cannot read; the other profiles stay in force."""

    def __init__(self, reader: LogReader, topic: str, clock: Clock, every_s: float = 0.25) -> None:
        self._reader = reader
        self._topic = topic
        self._clock = clock
        self._every_s = every_s
        self._next = 0
        self._read_at: float | None = None
        self._standings: dict[ModelKey, Standing] = {}
        self._epochs: dict[ModelKey, tuple[Profile, ...]] = {}
        self.unreadable: set[bytes] = set()
        self.lowest_self_check: float | None = None
        """Of the profiles in force; below 1 one of them promises too much."""

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
            checks = [s.profile.self_check for s in self._standings.values() if s.profile is not None]
            self.lowest_self_check = min((ratio for ratio in checks if ratio is not None), default=None)
            # Thousands of profiles are a million objects, which every full collection would walk through: they are
            # kept for long, and have no cycles. What has is freed first: frozen, it would be there for ever.
            gc.collect()
            gc.freeze()
        self._read_at = now

    def _take(self, key: bytes, value: bytes | None, offset: int) -> None:
        try:
            model, version, what, *id_ = key.decode().split(SEPARATOR)
            former = self._standings.get((model, version), Standing())
            if what == RESET and value is not None:
                self._void(former, (model, version), msgspec.json.decode(value, type=Reset), offset)
            elif value is None:
                kept = tuple(p for p in former.profiles if [p.id] != id_)
                self._put((model, version), Standing(kept, former.reset, former.void))
            else:
                self._add(former, decode_profile(value))
        except (ValueError, StateCorrupt):
            self.unreadable.add(key)
            return
        self.unreadable.discard(key)

    def _void(self, former: Standing, key: ModelKey, reset: Reset, offset: int) -> None:
        void = max(reset.void, former.void, *(p.revision for p in former.profiles), 0)
        self._put(key, Standing(former.profiles, offset, void))

    def _add(self, former: Standing, profile: Profile) -> None:
        others = [p for p in former.profiles if p.id != profile.id]
        profiles = tuple(sorted([*others, profile], key=order))
        self._put((profile.model, profile.version), Standing(profiles, former.reset, former.void))

    def _put(self, key: ModelKey, standing: Standing) -> None:
        self._standings[key] = standing
        self._epochs[key] = standing.epochs

    def standing(self, model: str, version: str) -> Standing:
        return self._standings.get((model, version), Standing())

    def profile(self, model: str, version: str) -> Profile | None:
        standing = self._standings.get((model, version))
        return None if standing is None else standing.profile

    def epochs(self, model: str, version: str) -> tuple[Profile, ...]:
        """The profiles in force, one after the other in event time."""
        return self._epochs.get((model, version), ())

    def epochs_of(self, keys: Iterable[ModelKey]) -> dict[ModelKey, tuple[Profile, ...]]:
        """The same of many model versions, without those that have none."""
        known = self._epochs.get
        return {key: found for key in keys if (found := known(key))}

    def all(self) -> dict[ModelKey, Standing]:
        return dict(self._standings)
