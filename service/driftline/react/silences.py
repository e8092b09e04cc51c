"""Silences and maintenance windows: what nobody is told of for a while. It is told when they end, if it lasts."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

import msgspec

from driftline.contracts.reactions import Match
from driftline.react.causes import rank
from driftline.react.schedule import latest
from driftline.react.settings import Maintenance
from driftline.react.subject import Subject

MAX_SILENCES: Final = 200
LONGEST_MS: Final = 366 * 86_400_000


class Silence(msgspec.Struct, frozen=True):
    """In force from `since` until before `until`, ms of event time."""

    id: str
    match: Match
    since: int
    until: int
    by: str
    reason: str

    def active(self, now: int) -> bool:
        return self.since <= now < self.until


def fits(match: Match, subject: Subject) -> bool:
    """Whether everything that is given fits. A pattern for monitors has to fit all of them."""
    if match.cause is not None and match.cause != subject.cause:
        return False
    if match.model is not None and not fnmatchcase(subject.model, match.model):
        return False
    if match.version is not None and not fnmatchcase(subject.version, match.version):
        return False
    if match.team is not None and not fnmatchcase(subject.team or "", match.team):
        return False
    if match.up_to is not None and rank(subject.severity) > rank(match.up_to):
        return False
    pattern = match.monitor
    return pattern is None or (
        bool(subject.monitors) and all(fnmatchcase(monitor, pattern) for monitor in subject.monitors)
    )


def under(maintenance: Maintenance, now: int) -> bool:
    """Whether its last beginning is less than its length ago."""
    return now > 0 and now - latest(maintenance.schedule, now) < maintenance.lasts_ms
