"""All monitors of a model version under one alarm budget.

Guarantee: at most one false alarm per model in `arl0_days` days of traffic on average, whatever the number of
features and whatever ties them: monitor j has weight v_j (they sum to 1) and alarms at ln M_j >= ln(arl0 / v_j).
Half of the weight is on error, prediction and score monitors, half on the features, equally within; all of it on
one kind where the other is absent. The two streams keep their own clocks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.change import Change
from driftline.stats.codec import pack, pack_arrays, unpack, unpack_arrays
from driftline.stats.profile import Profile
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.stream_monitors import MonitorStatus, StreamMonitors, is_about_the_model

__all__ = ["Change", "ModelMonitors", "MonitorStatus"]

KIND = "monitors"
VERSION = 1


class ModelMonitors:
    """`update` with every closed pane of either stream, each stream in order of time. About 6 kB of state a
    numeric feature, of which 3.4 kB are the detector's; it never grows with traffic."""

    def __init__(self, profile: Profile, settings: DetectionSettings) -> None:
        self.profile = profile
        self.settings = settings
        self.streams = {
            stream: StreamMonitors(section, settings, profile.since(stream))
            for stream, section in _sections(profile).items()
        }
        self._share_budget()

    def update(self, stream: str, pane_start: int, counts: PaneCounts) -> list[Change]:
        """What changed with this pane. Raises ValueError for a stream without a reference, for counts of another
        shape, and for a pane that is no later than the stream's last."""
        if stream not in self.streams:
            raise ValueError(f"profile {self.profile.id} has no reference for {stream}")
        monitors = self.streams[stream]
        alone = stream == PREDICTIONS and pane_start + monitors.pane_ms < self.profile.since(PAIRS)
        thresholds = self._alone if alone else self._thresholds[stream]
        return monitors.update(pane_start, counts, thresholds)

    def adopt(self, profile: Profile) -> None:
        """Go on with a revision that adds a section: what was watched goes on as it was, only the shares of the
        budget change. Raises ValueError where the revision changes what is watched already."""
        sections = _sections(profile)
        for stream, monitors in self.streams.items():
            section = sections.get(stream)
            if section is None or section.fingerprint != monitors.section.fingerprint:
                raise ValueError(f"profile {profile.id} has another {stream} reference than {self.profile.id}")
        if profile.judged_from != self.profile.judged_from:
            raise ValueError(f"profile {profile.id} is judged from another time than {self.profile.id}")
        for stream in sections.keys() - self.streams.keys():
            self.streams[stream] = StreamMonitors(sections[stream], self.settings, profile.since(stream))
        self.profile = profile
        self._share_budget()

    def describe(self) -> list[MonitorStatus]:
        """Where every monitor stands."""
        return [
            status
            for stream in sorted(self.streams)
            for status in self.streams[stream].describe(self._thresholds[stream])
        ]

    def _share_budget(self) -> None:
        """Predictions have the whole of it until pairs are judged, in event time: when their reference became
        known must not matter."""
        self._thresholds = self._share_out(tuple(self.streams))
        self._alone = self._share_out((PREDICTIONS,))[PREDICTIONS]

    def _share_out(self, streams: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        paging = {
            (stream, j): is_about_the_model(column.name)
            for stream, monitors in self.streams.items()
            if stream in streams
            for j, column in enumerate(monitors.columns)
            if not column.why_not
        }
        kinds = list(paging.values())
        both = len(set(kinds)) == 2
        thresholds = {stream: np.full(len(m.columns), math.inf) for stream, m in self.streams.items()}
        for (stream, j), kind in paging.items():
            weight = (0.5 if both else 1.0) / kinds.count(kind)
            thresholds[stream][j] = math.log(self.settings.arl0_days / weight)
        return thresholds

    def to_bytes(self) -> bytes:
        state = {stream: self.streams[stream].to_state() for stream in sorted(self.streams)}
        return pack(KIND, VERSION, pack_arrays(state))

    @staticmethod
    def from_bytes(profile: Profile, settings: DetectionSettings, data: bytes) -> ModelMonitors:
        """Continues where `to_bytes` left off, bit for bit; a section that a later revision of the profile has
        added starts cold. Raises StateCorrupt for bytes that are damaged or belong to another reference,
        StateTooNew for those of a later version."""
        _, body = unpack(KIND, VERSION, data)
        state = unpack_arrays(body)
        monitors = ModelMonitors(profile, settings)
        for stream, held in state.items():
            if stream not in monitors.streams or not isinstance(held, dict):
                raise StateCorrupt(f"monitors: the profile {profile.id} knows no {stream!r}")
            section = monitors.streams[stream].section
            monitors.streams[stream] = StreamMonitors.from_state(section, settings, profile.since(stream), held)
        return monitors


def _sections(profile: Profile) -> dict[str, Section]:
    found = {PREDICTIONS: profile.predictions}
    if profile.pairs is not None:
        found[PAIRS] = profile.pairs
    return found
