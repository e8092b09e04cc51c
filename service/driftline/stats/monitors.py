"""All monitors of a model version under one alarm budget.

Guarantee: at most one false alarm per model in `arl0_days` days of traffic (or `arl0_events` predictions) on average,
whatever the number of features and whatever ties them: monitor j has weight v_j (they sum to 1, see `budget`) and
alarms at ln M_j >= ln(arl0 / v_j). The two streams keep their own clocks; that of pairs is never the faster one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.budget import weights
from driftline.stats.change import Change
from driftline.stats.codec import pack, pack_arrays, unpack, unpack_arrays
from driftline.stats.common_causes import Moved, group, rank
from driftline.stats.limits import Limits
from driftline.stats.profile import Profile
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.standing import MonitorStatus, standing_of
from driftline.stats.stream_monitors import StreamMonitors

__all__ = ["Change", "ModelMonitors", "MonitorStatus"]

KIND = "monitors"
VERSION = 1


class ModelMonitors:
    """`update` with every closed pane of either stream, each stream in order of time. About 6 kB of state a
    numeric feature, of which 3.4 kB are the detector's; it never grows with traffic."""

    def __init__(self, profile: Profile, settings: DetectionSettings) -> None:
        self.profile = profile
        self.settings = settings = settings.for_model(profile.model)
        self.streams = {
            stream: StreamMonitors(section, settings, profile.since(stream))
            for stream, section in _sections(profile).items()
        }
        self._share_budget()

    def update(self, stream: str, pane_start: int, counts: PaneCounts, duplicates: int = 0) -> list[Change]:
        """What changed with this pane, which also saw so many `duplicates` of rows. Raises ValueError for a stream
        without a reference, for counts of another shape, and for a pane that is no later than the stream's last."""
        if stream not in self.streams:
            raise ValueError(f"profile {self.profile.id} has no reference for {stream}")
        monitors = self.streams[stream]
        end = pane_start + monitors.pane_ms
        alone = stream == PREDICTIONS and end < self.profile.since(PAIRS)
        thresholds = self._alone if alone else self._thresholds[stream]
        changes = [
            change for other in sorted(self.streams.keys() - {stream}) for change in self.streams[other].elapse(end)
        ]
        return changes + monitors.update(pane_start, counts, thresholds, duplicates)

    def elapse(self, until: int) -> list[Change]:
        """What changed because no other pane ends by `until` (ms): silence."""
        changes = [change for stream in sorted(self.streams) for change in self.streams[stream].elapse(until)]
        return sorted(changes, key=lambda change: change.time)

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

    def succeeded(self, profile: Profile) -> ModelMonitors:
        """Those of a profile that takes force in place of ours. They begin anew, but for hard limits where the grid
        stays: what a limit asks is no matter of the reference."""
        after = ModelMonitors(profile, self.settings)
        for stream, monitors in after.streams.items():
            former = self.streams.get(stream)
            if former is not None and former.section.grid.id == monitors.section.grid.id:
                monitors.limits = Limits.from_state(monitors.section, self.settings, former.limits.to_state())
                monitors.limits.dropped = []  # who hands over says so of all that ends
        return after

    def moved(self) -> list[list[Moved]]:
        """What is in alarm, the weightiest first, in groups of what looks like one cause."""
        found = rank([one for s in self.streams.values() for one in s.moved()], self.settings.importance)
        tied = [pair for s in self.streams.values() for pair in s.section.tied]
        return group(found, tied, 2 * self.profile.pane_ms)

    def describe(self) -> list[MonitorStatus]:
        """Where every monitor stands."""
        return [
            status
            for stream in sorted(self.streams)
            for status in standing_of(self.streams[stream], self._thresholds[stream])
        ]

    def limits(self) -> list[str]:
        """Every hard limit and every threshold on a distance, in words: how it stands, and what it rests on."""
        known = [
            line
            for _, stream in sorted(self.streams.items())
            for line in (*stream.limits.describe(), *stream.thresholds.describe())
        ]
        waiting = [rule.monitor for rule in self.settings.limits if rule.stream not in self.streams]
        return [*known, *(f"{name}: waits for a reference" for name in sorted(set(waiting)))]

    def broken_limits(self) -> list[str]:
        """The limits in alarm."""
        return [name for stream in sorted(self.streams) for name in self.streams[stream].limits.in_alarm]

    def _share_budget(self) -> None:
        """Predictions have the whole of it until pairs are judged, in event time: when their reference became
        known must not matter."""
        self._thresholds = self._share_out(tuple(self.streams))
        self._alone = self._share_out((PREDICTIONS,))[PREDICTIONS]

    def _share_out(self, streams: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
        share = weights(
            {
                (stream, j): name
                for stream, monitors in self.streams.items()
                if stream in streams
                for j, (name, why_not) in enumerate(monitors.section.paging)
                if not why_not
            }
        )
        thresholds = {stream: np.full(len(m.section.paging), math.inf) for stream, m in self.streams.items()}
        for (stream, j), weight in share.items():
            thresholds[stream][j] = math.log(self.settings.arl0 / weight)
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
            monitors.streams[stream] = StreamMonitors.from_state(
                section, monitors.settings, profile.since(stream), held
            )
        return monitors


def _sections(profile: Profile) -> dict[str, Section]:
    found = {PREDICTIONS: profile.predictions}
    if profile.pairs is not None:
        found[PAIRS] = profile.pairs
    return found
