"""An incident as react remembers it: what is the matter, and what people have heard of it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from driftline.contracts.reactions import Cause, Witnessed
from driftline.contracts.records import Severity
from driftline.react.causes import by_gravity, gravest

MAX_FIRING: Final = 16


class Lead(msgspec.Struct, frozen=True):
    """The incident that another one is told with, and where it is."""

    incident: str
    model: str
    version: str


class Incident(msgspec.Struct):
    """`firing`: its monitors in alarm, with what they know, as many as are ever shown; `more`: those beyond, and how
    grave they are; `named`: those that the last alert named. `since`: event time from which it waits to be told, or of
    its reopening; `closed`: of its end. `told`: of its last alert; `alerts`: how many there have been; `untold`:
    something has changed since.

    What people have been told is kept apart, because alerts can be held. `heard`: how it stood when they were last
    told, at `heard_at`; `news`: something has changed since; `steps`: tellings that the next one has to keep away
    from the further the more there were; `unacked`: since when it waits to be acknowledged; `muted`: people are told
    nothing at present. `part_of`: what it is told with; `leads`: how many others were told with it."""

    id: str
    cause: Cause
    opened: int
    sentence: str
    severity: Severity
    told: int
    firing: dict[str, Witnessed] = {}
    more: dict[str, Severity] = {}
    alerts: int = 0
    untold: bool = False
    request: str | None = None
    named: list[str] = []
    since: int = 0
    closed: int | None = None
    reopened: int = 0
    heard: Literal["open", "resolved"] | None = None
    heard_at: int = 0
    heard_severity: Severity = "info"
    news: bool = False
    steps: int = 0
    unacked: int = 0
    acked: str | None = None
    escalated: bool = False
    muted: bool = False
    part_of: Lead | None = None
    leads: int = 0

    @property
    def count(self) -> int:
        return len(self.firing) + len(self.more)

    @property
    def monitors(self) -> list[str]:
        """Those in alarm; of a resolved incident, the last."""
        return [*self.firing, *self.more] or self.named

    @property
    def owed(self) -> bool:
        """People believe that it is open, and it is not."""
        return self.closed is not None and self.heard == "open"

    def join(self, witnessed: Witnessed) -> None:
        """A monitor alarms. Where there is no room, the least grave is only counted."""
        self.more.pop(witnessed.monitor, None)
        self.firing[witnessed.monitor] = witnessed
        self.severity = gravest((self.severity, witnessed.severity))
        if len(self.firing) > MAX_FIRING:
            least = by_gravity(self.firing.values())[-1]
            del self.firing[least.monitor]
            self.more[least.monitor] = least.severity

    def leave(self, monitor: str) -> bool:
        """A monitor is no longer in alarm; False if it was not."""
        return (self.firing.pop(monitor, None) or self.more.pop(monitor, None)) is not None

    def end(self, now: int, sentence: str) -> None:
        self.named = self.monitors[:MAX_FIRING]
        self.closed, self.sentence, self.firing, self.more = now, sentence, {}, {}

    def reopen(self, now: int, witnessed: Witnessed) -> None:
        """It alarms again. One that nobody has heard of has waited long enough already: it may go on and off for
        ever."""
        self.closed = None
        if self.heard is not None:
            self.since = now
        self.reopened += 1
        self.sentence, self.news = witnessed.sentence, True
        self.join(witnessed)

    def copied(self) -> Incident:
        return msgspec.structs.replace(self, firing=dict(self.firing), more=dict(self.more))
