"""The profile of a model version: the reference it is judged against, immutable and named by its content.

`id` is BLAKE2b over everything else, so that two processes that learn from the same rows learn the same profile,
and a damaged one is noticed. JSON on the wire; a profile of 20 numeric columns is about 300 kB.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from driftline.contracts.blocks import PREDICTIONS
from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.section import Section

PROFILE_VERSION: Final = 1

Source = Literal["training", "first_events"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """`revision` counts from 1; the highest is in force. `source`: where the rows came from. Events
    before `judged_from` (ms) belong to the reference and are not judged; pairs before `pairs_from`, where their
    reference was learnt from the stream. Times are ms since the epoch."""

    model: str
    version: str
    source: Source
    created: int
    judged_from: int
    pane_ms: int
    predictions: Section
    pairs: Section | None = None
    pairs_from: int | None = None
    revision: int = 1
    id: str = ""
    v: int = PROFILE_VERSION

    def section(self, stream: str) -> Section | None:
        """What is known of a stream; None while its reference is not learnt."""
        return self.predictions if stream == PREDICTIONS else self.pairs

    def since(self, stream: str) -> int:
        """Events of a stream before this time (ms) belong to its reference, and are not judged."""
        return self.judged_from if stream == PREDICTIONS or self.pairs_from is None else self.pairs_from


class _Header(msgspec.Struct):
    v: int


def make_profile(
    *,
    model: str,
    version: str,
    source: Source,
    created: int,
    judged_from: int,
    predictions: Section,
    pairs: Section | None = None,
) -> Profile:
    """Revision 1. Raises ValueError where the sections have panes of different lengths."""
    profile = Profile(
        model=model,
        version=version,
        source=source,
        created=created,
        judged_from=judged_from,
        pane_ms=predictions.grid.pane_ms,
        predictions=predictions,
        pairs=pairs,
    )
    return _named(profile)


def with_pairs(profile: Profile, pairs: Section, since: int | None = None) -> Profile:
    """The next revision, which also knows the pairs stream, from `since` on (None: from its reference's end). What
    it knew stays as it was, to the bit."""
    since = pairs.end + 1 if since is None else since
    revision = profile.revision + 1
    return _named(msgspec.structs.replace(profile, pairs=pairs, pairs_from=since, revision=revision))


def with_revision(profile: Profile, revision: int) -> Profile:
    """The same reference at another place in the order of its model version's profiles."""
    return _named(msgspec.structs.replace(profile, revision=revision))


def _named(profile: Profile) -> Profile:
    if profile.pairs is not None and profile.pairs.grid.pane_ms != profile.pane_ms:
        raise ValueError(f"panes of {profile.pairs.grid.pane_ms} ms for pairs, {profile.pane_ms} for predictions")
    return msgspec.structs.replace(profile, id=_content_id(profile))


def _content_id(profile: Profile) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(profile, id=""))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def encode_profile(profile: Profile) -> bytes:
    return msgspec.json.encode(profile)


def decode_profile(data: bytes) -> Profile:
    """Raises StateTooNew for a later format, StateCorrupt for bytes that are not the profile they name."""
    try:
        version = msgspec.json.decode(data, type=_Header).v
        if version > PROFILE_VERSION:
            raise StateTooNew(f"profile: written as version {version}, this code reads up to {PROFILE_VERSION}")
        profile = msgspec.json.decode(data, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateCorrupt(f"profile: {error}") from None
    if _content_id(profile) != profile.id:
        raise StateCorrupt(f"profile {profile.id}: its content is another's")
    return profile
