"""References that are made from what a model version, or its predecessor, has shown: rolling and inherited ones.

Rolling: at every multiple of `every_ms` of event time the last spans of the book become the reference, unless that
could learn the drift itself: `Kept` then says why it was left as it was. All of it is a function of what was judged
before that moment, so it does not matter when, or in what batches, it was judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.judge.book import SPANS
from driftline.judge.model import ModelState
from driftline.judge.span import STREAMS
from driftline.stats.joint import BESIDE
from driftline.stats.joint import MONITOR as JOINT
from driftline.stats.profile import Profile, make_profile
from driftline.stats.relearn import moved_by, relearn_section
from driftline.stats.relearn_joint import moved_together
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.shown import Shown
from driftline.stats.succession import aligned

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Rolling:
    """`every_ms` 0: references stay as they are. `window_ms`: how far back one is learnt from. It is left as it was
    while a monitor has more than `max_evidence` of the evidence it takes to alarm, and where a column, or what columns
    do together, would be further than `max_distance` (total variation) from the original's."""

    every_ms: int = 0
    window_ms: int = 14 * DAY_MS
    max_evidence: float = 0.1
    max_distance: float = 0.1

    @property
    def span_ms(self) -> int:
        return max(1, self.window_ms // SPANS)

    def boundary(self, since: int, watermark: int) -> int | None:
        """The first moment to roll at after `since` that the watermark has passed."""
        if not self.every_ms:
            return None
        found = (since // self.every_ms + 1) * self.every_ms
        return found if found <= watermark else None


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a stream's reference was left as it was."""

    stream: str
    why: str


def roll(
    model: ModelState,
    original: Profile | None,
    at: int,
    revision: int,
    rolling: Rolling,
    settings: DetectionSettings,
) -> tuple[Profile | None, list[Kept]]:
    """The reference in force from `at` on, or None; and the streams that keep theirs, with why. Everything before
    `at` must have been judged, and nothing after."""
    ours = model.profile
    assert ours is not None and model.book is not None
    if original is None:
        return None, [Kept(PREDICTIONS, "the reference it was first judged by is no longer known")]
    at = aligned(ours, ours, at)
    sections: dict[str, Section] = {}
    kept: list[Kept] = []
    for stream in STREAMS:
        first = original.section(stream) or ours.section(stream)
        if first is None or ours.section(stream) is None:
            continue
        quiet = model.book.quiet(stream, at)
        why = (
            _loud(model, stream, rolling)
            or _too_little(quiet, settings)
            or _too_far(first, quiet, rolling)
            or _too_far_together(first, quiet, rolling, settings)
        )
        if why:
            kept.append(Kept(stream, why))
        else:
            start = at - rolling.window_ms
            sections[stream] = relearn_section(first, quiet, start, at, rolling.span_ms, settings)
    if not sections:
        return None, kept
    profile = make_profile(
        model=ours.model,
        version=ours.version,
        source="rolling",
        created=at,
        judged_from=at,
        predictions=sections.get(PREDICTIONS, ours.predictions),
        pairs=sections.get(PAIRS, ours.pairs),
        revision=revision,
        parent=original.id,
    )
    return profile, kept


def _loud(model: ModelState, stream: str, rolling: Rolling) -> str:
    assert model.monitors is not None
    watching = model.monitors.streams[stream]
    mine = {column.monitor for column in watching.columns} | ({JOINT} if watching.joint is not None else set())
    for status in model.monitors.describe():
        if status.monitor not in mine:
            continue
        if status.alarm:
            return f"{status.monitor} is in alarm"
        if status.log_evidence - status.log_threshold > np.log(rolling.max_evidence):
            share = float(np.exp(status.log_evidence - status.log_threshold))
            return f"{status.monitor} has {share:.0%} of the evidence it takes to alarm"
    return ""


def _too_little(quiet: list[Shown], settings: DetectionSettings) -> str:
    if len(quiet) >= settings.min_reference_panes:
        return ""
    return (
        f"{len(quiet)} of {SPANS} spans of the window hold events outside of alarms; "
        f"{settings.min_reference_panes} are needed"
    )


def _too_far(original: Section, quiet: list[Shown], rolling: Rolling) -> str:
    total = np.sum([shown.counts for shown in quiet], axis=0)
    for j, column in enumerate(original.monitored):
        if total[j].any() and (moved := moved_by(column, total[j])) > rolling.max_distance:
            return _distance_of(column.name, moved, rolling)
    return ""


def _too_far_together(original: Section, quiet: list[Shown], rolling: Rolling, settings: DetectionSettings) -> str:
    if original.joint is None:
        return ""
    moved, columns = moved_together(original.joint, quiet, settings)
    if moved <= rolling.max_distance:
        return ""
    return _distance_of(f"what {' and '.join(columns)} do together", moved, rolling)


def _distance_of(what: str, moved: float, rolling: Rolling) -> str:
    return (
        f"{what} is {moved:.2f} from the reference it was first judged by, and "
        f"{rolling.max_distance:g} is allowed: pin a new reference if this is the new normal"
    )


def predecessor(models: Iterable[ModelState], of: ModelState, at: int) -> ModelState | None:
    """The version of the same model that has shown most in its book before `at` (ms), and has a reference of its
    own; None where there is none."""
    best: tuple[int, str] | None = None
    found = None
    for other in models:
        ours = other.profile
        if other.model != of.model or other is of or other.book is None or ours is None or ours.provisional:
            continue
        shown = sum(span.rows for span in other.book.quiet(PREDICTIONS, at))
        if ours.judged_from <= at and (best is None or (shown, other.version) > best):
            best, found = (shown, other.version), other
    return found


def inherited(
    model: ModelState, former: ModelState, at: int, revision: int, settings: DetectionSettings
) -> Profile:
    """What `model` is judged by from `at` on, until it has a reference of its own: what `former` showed last, or
    where that is too little, the reference of `former`. Pairs are learnt anew. What the prediction and the score do
    together with features is each version's own, and not asked about."""
    assert former.profile is not None and former.book is not None
    section = former.profile.predictions
    quiet = former.book.quiet(PREDICTIONS, at)
    if len(quiet) >= settings.min_reference_panes:
        span_ms = former.book.span_ms
        section = relearn_section(section, quiet, at - SPANS * span_ms, at, span_ms, settings)
    # A successor starts with as little traffic as it is given: silence and floods are its own reference's to tell.
    joint = None if section.joint is None else section.joint.without(BESIDE)
    section = msgspec.structs.replace(section, traffic=None, joint=joint)
    return make_profile(
        model=model.model,
        version=model.version,
        source="previous_version",
        created=at,
        judged_from=at,
        predictions=section,
        revision=revision,
        parent=former.profile.id,
        provisional=True,
    )
