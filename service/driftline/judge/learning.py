"""When a model version learns a reference, from what, and the order of things while it does.

Panes are judged up to every moment at which the reference changes, by the one before; so verdicts do not depend on
how far the watermark goes at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.judge.model import ModelState
from driftline.judge.onboarding import ONBOARDING_PANE_MS, first_events, first_pairs
from driftline.judge.rebaseline import Rolling, inherited, predecessor, roll
from driftline.judge.signals import Speaker
from driftline.registry import ModelKey, Standing, forgotten_record, profile_record
from driftline.runtime.log import Outgoing
from driftline.stats.grid import choose_pane_ms
from driftline.stats.profile import Profile, in_force_from, make_profile, with_pairs
from driftline.stats.reference import learn_section
from driftline.stats.settings import DetectionSettings
from driftline.stats.succession import aligned

NewVersion = Literal["first_events", "previous_version", "training"]
ROLLED_KEPT: Final = 20
"""Rolling references that stay in the history; older ones are taken out of it."""


@dataclass(frozen=True, slots=True)
class Learning:
    """`reference_events` and `reference_pairs`: what a reference is learnt from. `new_version`: what a version
    without one is judged by first: its own first events; its predecessor's, until it has its own; or nothing
    until a reference is built for it."""

    reference_events: int = 10_000
    reference_pairs: int = 1_000
    new_version: NewVersion = "first_events"
    rolling: Rolling = field(default_factory=Rolling)

    @property
    def span_ms(self) -> int:
        """Length of the spans of the book; 0 where none is needed."""
        return self.rolling.span_ms if self.rolling.every_ms or self.new_version == "previous_version" else 0


class Learner:
    """One fold's: takes models to a watermark, says what changed, and keeps the profiles to be published."""

    def __init__(
        self,
        settings: Learning,
        detection: DetectionSettings,
        standings: Mapping[ModelKey, Standing],
        speaker: Speaker,
    ) -> None:
        self._settings = settings
        self._detection = detection
        self._standings = standings
        self._speaker = speaker
        self._learnt: list[Profile] = []
        self._forgotten: list[Profile] = []

    def records(self, topic: str) -> list[Outgoing]:
        """What is to be published."""
        published = [profile_record(topic, profile) for profile in self._learnt]
        return [*published, *(forgotten_record(topic, profile) for profile in self._forgotten)]

    def advance(self, models: Collection[ModelState], watermark: int) -> None:
        """Learn what there is to learn, and judge every pane that ends at or before the watermark."""
        for model in models:
            self._first_events(model, watermark)
            self._roll(model, watermark)
            self._first_pairs(model, watermark)
            self._close(model, watermark)
        if self._settings.new_version == "previous_version":
            # When all are closed: what a predecessor has shown by then is complete.
            for model in models:
                self._inherit(models, model, watermark)

    def _close(self, model: ModelState, watermark: int) -> None:
        for change in model.close(watermark):
            self._speaker.say(model, change)

    def _settings_of(self, model: ModelState) -> DetectionSettings:
        return self._detection.for_model(model.model)

    def _revision(self, model: ModelState) -> int:
        """The next of the model version."""
        standing = self._standings.get(model.key, Standing())
        known = [p.revision for p in (*standing.profiles, *self._learnt) if (p.model, p.version) == model.key]
        return max(standing.void, model.profile.revision if model.profile else 0, *known, 0) + 1

    def _first_events(self, model: ModelState, closed: int) -> None:
        ours = model.profile
        if self._settings.new_version == "training" or model.ahead or not (ours is None or ours.provisional):
            return
        wanted = self._settings.reference_events
        if model.raw_rows(PREDICTIONS) < wanted:
            return
        found = first_events(model.raw[PREDICTIONS], closed, wanted)
        if found is None:
            return
        rows, end = found
        profile = make_profile(
            model=model.model,
            version=model.version,
            source="first_events",
            created=end,
            judged_from=end,
            predictions=learn_section(
                PREDICTIONS,
                rows,
                choose_pane_ms(rows.times),
                self._settings_of(model),
                live=True,
                duplicates=model.duplicates.before(end),
            ),
            revision=self._revision(model),
        )
        if ours is None:
            model.forget_waiting_before(PREDICTIONS, end)
            model.adopt(profile)
        else:
            profile = in_force_from(profile, profile.revision, aligned(profile, ours, end), pinned=False)
            model.expect(profile)
        self._say(model, profile, PREDICTIONS)

    def _first_pairs(self, model: ModelState, closed: int) -> None:
        ours, wanted = model.profile, self._settings.reference_pairs
        if (
            ours is None
            or ours.pairs is not None
            or ours.provisional
            or model.ahead
            or model.raw_rows(PAIRS) < wanted
        ):
            return
        found = first_pairs(model.raw[PAIRS], closed, wanted, ours.pane_ms)
        if found is None:
            return
        rows, end = found
        model.forget_waiting_before(PAIRS, end)
        section = learn_section(
            PAIRS,
            rows,
            ours.pane_ms,
            self._settings_of(model),
            from_first_events=True,
            live=True,
            scores=ours.predictions.scores,
        )
        model.write_down(section, rows)
        profile = with_pairs(ours, section, end)
        model.adopt(profile)
        self._say(model, profile, PAIRS)

    def _say(self, model: ModelState, profile: Profile, stream: str) -> None:
        self._speaker.learnt(model, profile, stream)
        self._learnt.append(profile)

    def _roll(self, model: ModelState, watermark: int) -> None:
        """At every boundary on the way, what could be known there is known, and no more."""
        rolling = self._settings.rolling
        since = model.closed.get(PREDICTIONS)
        if since is None:
            since = _first_open(model)
        while since is not None and (at := rolling.boundary(since, watermark)) is not None:
            self._first_pairs(model, at)
            self._close(model, at)
            if model.last_judged >= at - rolling.every_ms:
                self._roll_at(model, at)
            # Where there is nothing for long, boundaries are not gone through one by one.
            following = _first_open(model)
            since = at if model.ahead or following is None else max(at, following - 1)
            if following is None and not model.ahead:
                return

    def _roll_at(self, model: ModelState, at: int) -> None:
        ours = model.profile
        if ours is None or ours.provisional or model.ahead or model.book is None or at <= ours.judged_from:
            return
        standing = self._standings.get(model.key, Standing())
        original = standing.known(ours.parent) if ours.source == "rolling" and not ours.pinned else ours
        profile, kept = roll(
            model, original, at, self._revision(model), self._settings.rolling, self._settings_of(model)
        )
        for one in kept:
            self._speaker.kept(model, one.stream, one.why, at)
        if profile is None:
            return
        model.expect(profile)
        self._say(model, profile, PREDICTIONS)
        rolled = [p for p in standing.profiles if p.source == "rolling"]
        self._forgotten += rolled[: max(0, len(rolled) + 1 - ROLLED_KEPT)]

    def _inherit(self, models: Collection[ModelState], model: ModelState, watermark: int) -> None:
        if model.profile is not None or model.ahead or not model.raw_rows(PREDICTIONS):
            return
        first = min(int(rows.times.min()) for rows in model.raw[PREDICTIONS])
        at = first // ONBOARDING_PANE_MS * ONBOARDING_PANE_MS
        if at + ONBOARDING_PANE_MS > watermark:
            return
        former = predecessor(models, model, at)
        if former is None:
            return
        profile = inherited(model, former, at, self._revision(model), self._settings_of(model))
        model.adopt(profile)
        self._say(model, profile, PREDICTIONS)
        self._close(model, watermark)


def _first_open(model: ModelState) -> int | None:
    """Start of the first pane that is not judged yet."""
    return min((pane for panes in model.panes.values() for pane in panes), default=None)
