"""The profile of a model version: the reference it is judged against, immutable and named by its content.

`id` is BLAKE2b over everything else, so that two processes that learn from the same rows learn the same profile,
and a damaged one is noticed. On the wire a line of JSON that says what it is, then the content as MessagePack under
zlib: about 3 kB a numeric column, so that 200 features fit a record of 1 MB with room.
"""

from __future__ import annotations

import hashlib
import zlib
from functools import cached_property
from typing import Final, Literal

import msgspec

from driftline.contracts.blocks import PREDICTIONS
from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.calibration import Scores, scores_of
from driftline.stats.graded import COLUMN as GRADED
from driftline.stats.section import Section

PROFILE_VERSION: Final = 1
MAX_SIZE: Final = 1 << 28
"""No profile is unpacked beyond this, whatever a damaged record says."""

Source = Literal["training", "first_events", "time_range", "rolling", "previous_version"]
BY_HAND: Final[frozenset[Source]] = frozenset(("training", "time_range"))


class Profile(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """`revision` counts from 1; `stats.succession` says which is in force when. `source`: where the rows came from.
    Events before `judged_from` (ms) belong to the reference, or to the profile that was in force until then; pairs
    before `pairs_from` to their reference, where it was learnt from the stream; `before_pairs`: the id of the revision
    that did not know it yet. `parent`: the id of the profile it was made from. A `provisional` one serves until the
    version has a reference of its own: rows go on travelling raw. `pinned`: put in force by a person. Times are ms
    since the epoch."""

    model: str
    version: str
    source: Source
    created: int
    judged_from: int
    pane_ms: int
    predictions: Section
    pairs: Section | None = None
    pairs_from: int | None = None
    before_pairs: str = ""
    revision: int = 1
    parent: str = ""
    provisional: bool = False
    pinned: bool = False
    id: str = ""
    v: int = PROFILE_VERSION

    def section(self, stream: str) -> Section | None:
        """What is known of a stream; None while its reference is not learnt."""
        return self.predictions if stream == PREDICTIONS else self.pairs

    def since(self, stream: str) -> int:
        """Events of a stream before this time (ms) belong to its reference, and are not judged."""
        return self.judged_from if stream == PREDICTIONS or self.pairs_from is None else self.pairs_from

    def id_at(self, time: int) -> str:
        """Of the revision that verdicts of `time` (ms) rest on: until pairs are judged, that without them."""
        early = self.pairs_from is not None and time < self.pairs_from
        return self.before_pairs if early and self.before_pairs else self.id

    @cached_property
    def scores(self) -> Scores | None:
        """What its scores say of outcomes; None where they say nothing."""
        graded = self.pairs.grid_column(GRADED) if self.pairs is not None else None
        scores, calibration = self.predictions.scores, self.pairs.calibration if self.pairs is not None else None
        return scores_of(scores, graded, calibration) if scores and graded and calibration else None

    @property
    def self_check(self) -> float | None:
        """The lowest ratio of realised to requested ARL0 of its references; None where none was checked."""
        sections = (self.predictions, self.pairs)
        return min((s.check.ratio for s in sections if s is not None and s.check is not None), default=None)


class _Header(msgspec.Struct):
    v: int
    id: str = ""
    model: str = ""
    version: str = ""
    revision: int = 0


def make_profile(
    *,
    model: str,
    version: str,
    source: Source,
    created: int,
    judged_from: int,
    predictions: Section,
    pairs: Section | None = None,
    revision: int = 1,
    parent: str = "",
    provisional: bool = False,
) -> Profile:
    """Raises ValueError where the sections have panes of different lengths."""
    profile = Profile(
        model=model,
        version=version,
        source=source,
        created=created,
        judged_from=judged_from,
        pane_ms=predictions.grid.pane_ms,
        predictions=predictions,
        pairs=pairs,
        revision=revision,
        parent=parent,
        provisional=provisional,
        pinned=source in BY_HAND,
    )
    return _named(profile)


def with_pairs(profile: Profile, pairs: Section, since: int | None = None) -> Profile:
    """The next revision, which also knows the pairs stream, from `since` on (None: from its reference's end). What
    it knew stays as it was, to the bit."""
    since = pairs.end + 1 if since is None else since
    revision = profile.revision + 1
    return _named(
        msgspec.structs.replace(profile, pairs=pairs, pairs_from=since, before_pairs=profile.id, revision=revision)
    )


def in_force_from(
    profile: Profile, revision: int, start: int, *, pinned: bool = True, parent: str | None = None
) -> Profile:
    """The same reference as another revision, in force from event time `start` (ms) on. `parent`: None keeps it."""
    changed = msgspec.structs.replace(
        profile,
        revision=revision,
        judged_from=start,
        pairs_from=None,
        before_pairs="",
        parent=profile.parent if parent is None else parent,
        provisional=False,
        pinned=pinned,
    )
    return _named(changed)


def _named(profile: Profile) -> Profile:
    if profile.pairs is not None and profile.pairs.grid.pane_ms != profile.pane_ms:
        raise ValueError(f"panes of {profile.pairs.grid.pane_ms} ms for pairs, {profile.pane_ms} for predictions")
    return msgspec.structs.replace(profile, id=_content_id(profile))


def _content_id(profile: Profile) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(profile, id=""))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def encode_profile(profile: Profile) -> bytes:
    header = _Header(profile.v, profile.id, profile.model, profile.version, profile.revision)
    return msgspec.json.encode(header) + b"\n" + zlib.compress(msgspec.msgpack.encode(profile))


def decode_profile(data: bytes) -> Profile:
    """Raises StateTooNew for a later format, StateCorrupt for bytes that are not the profile they name."""
    head, _, body = data.partition(b"\n")
    try:
        version = msgspec.json.decode(head, type=_Header).v
        if version > PROFILE_VERSION:
            raise StateTooNew(f"profile: written as version {version}, this code reads up to {PROFILE_VERSION}")
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(body, MAX_SIZE)
        if not unpacker.eof:
            raise StateCorrupt(f"profile: cut short, or of more than {MAX_SIZE} bytes")
        profile = msgspec.msgpack.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, zlib.error) as error:
        raise StateCorrupt(f"profile: {error}") from None
    if _content_id(profile) != profile.id:
        raise StateCorrupt(f"profile {profile.id}: its content is another's")
    return profile
