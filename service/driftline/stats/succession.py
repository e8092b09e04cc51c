"""Which profile of a model version is in force when: each has its span of event time, and no two overlap.

Ingest bins by it and judge judges by it, so both come to the same answer for every event, whenever they heard of a
profile. Of two profiles that begin at the same time the later revision counts, and hides the other; of equal
revisions the one that a person has pinned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.stats.profile import Profile

SAFE_MARGIN_MS: Final = 10_000
"""Beyond `future_ms`: for a batch that was being folded, with older profiles, when the new one was published."""


def order(profile: Profile) -> tuple[int, bool, str]:
    """Ascending: what comes later counts more. Total, so every process agrees."""
    return profile.revision, profile.pinned, profile.id


def epochs(profiles: Iterable[Profile]) -> tuple[Profile, ...]:
    """Those that are in force at some time, ascending in `judged_from`. Each ends where the next begins."""
    found: list[Profile] = []
    for profile in sorted(profiles, key=order, reverse=True):
        if not found or profile.judged_from < found[-1].judged_from:
            found.append(profile)
    return tuple(reversed(found))


def epoch_of(spans: Sequence[Profile], times: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """For each time (ms), the index of the epoch it lies in; what is older than all lies in the first."""
    starts = np.array([profile.judged_from for profile in spans[1:]], np.int64)
    return np.searchsorted(starts, times, side="right")


def switch_time(profile: Profile, former: Profile, now: int, future_ms: int) -> int:
    """From when on `profile` can take over from `former` with no event lost: ms, a multiple of both pane lengths.

    An event further ahead of the wall clock `now` than `future_ms` is refused, so a range that holds one of this
    time was read after the profile was published, and is binned by it."""
    return aligned(profile, former, now + future_ms + SAFE_MARGIN_MS)


def aligned(profile: Profile, former: Profile, time: int) -> int:
    """The first moment from `time` on at which panes of both begin."""
    step = int(np.lcm(profile.pane_ms, former.pane_ms))
    return -(-time // step) * step


def extends(profile: Profile, ours: Profile) -> bool:
    """Whether `profile` is ours and a section more."""
    if profile.judged_from != ours.judged_from or profile.provisional != ours.provisional:
        return False
    pairs = ours.pairs is None or (
        profile.pairs is not None and profile.pairs.fingerprint == ours.pairs.fingerprint
    )
    return pairs and profile.predictions.fingerprint == ours.predictions.fingerprint


def hides(spans: Sequence[Profile], profile: Profile) -> bool:
    """Whether a later revision is in force for all of the time of `profile`."""
    return any(order(e) > order(profile) and e.judged_from <= profile.judged_from for e in spans)
