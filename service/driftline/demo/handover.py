"""From a request to the version that answers it, as the publisher sees it."""

from __future__ import annotations

from pathlib import Path

from driftline.contracts.reactions import RetrainingRequested
from driftline.contracts.records import Lifecycle, LifecycleWhat
from driftline.demo.event_clock import EventClock
from driftline.demo.events import Script
from driftline.demo.pace import LEAD_MS, next_hold
from driftline.demo.retraining_job import served
from driftline.demo.watch import Watch


class Handover:
    """The first request, and what the job told of it. `begin`: event time at which publishing began, ms."""

    def __init__(self, directory: Path, watch: Watch, begin: int) -> None:
        self.clock = EventClock(directory)
        self._directory = directory
        self._watch = watch
        self._begin = begin
        self._reached = begin
        self._over = False

    @property
    def request(self) -> RetrainingRequested | None:
        return self._watch.requests[0] if self._watch.requests else None

    @property
    def deploy_at(self) -> int | None:
        return None if self.request is None else max(self.request.time + LEAD_MS, self._reached)

    @property
    def due(self) -> bool:
        """Whether it is time to deploy."""
        return self.deploy_at is not None and self._reached >= self.deploy_at

    def next_hold(self) -> int | None:
        return next_hold(self._begin, self._reached, self.deploy_at, self._over)

    def hold(self, time: int) -> None:
        """Everything before event time `time` is published, judged and reacted to."""
        self._reached = time
        self.clock.set(time)

    def told(self, *what: LifecycleWhat) -> Lifecycle | None:
        """The first event of these kinds that answers the request."""
        asked = self.request
        return next((e for e in self._watch.lifecycle if asked and e.request == asked.id and e.what in what), None)

    def switch(self, script: Script, deployed: Lifecycle) -> Script:
        """The script as it goes on with the version deployed."""
        self._over = True
        return script.switched(self._reached, deployed.version, served(self._directory, deployed.version))

    def give_up(self) -> None:
        """The job has failed: go on with what there is."""
        self._over = True
