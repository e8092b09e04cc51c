"""Which requests a job has answered: read back from where it answered, the `lifecycle` topic.

So the memory needs no disk, outlives the process, and is shared by all instances of a job. Bounded: of a partition
the last TAIL events are read at first, and MAX_IDS requests are remembered.
"""

from __future__ import annotations

from typing import Final

from driftline.contracts.cloudevents import decode_lifecycle
from driftline.contracts.records import Lifecycle
from driftline.errors import Poison
from driftline.runtime.log import LogReader

TAIL: Final = 10_000
MAX_IDS: Final = 10_000
JOB: Final = "job"
"""The detail of a lifecycle event that names the job which answered."""


class Answers:
    """What `job` has begun and answered. A version deployed for a request answers it for every job."""

    def __init__(self, reader: LogReader, topic: str, job: str) -> None:
        self._reader = reader
        self._topic = topic
        self._job = job
        self._partitions = 0
        self._next: dict[int, int] = {}
        self._begun: dict[str, None] = {}
        self._answered: dict[str, None] = {}

    def begun(self, request: str) -> bool:
        return request in self._begun

    def answered(self, request: str) -> bool:
        return request in self._answered

    def take(self, event: Lifecycle) -> None:
        """Remember what an event says about a request."""
        if event.request is None:
            return
        ours = event.details.get(JOB) == self._job
        if event.what == "deployed" or (ours and event.what in ("retraining.succeeded", "retraining.failed")):
            _remember(self._answered, event.request)
        elif ours and event.what == "retraining.started":
            _remember(self._begun, event.request)

    async def catch_up(self) -> None:
        """Read what is new on the topic. Raises Transient, and Misconfigured if there is no such topic."""
        if not self._partitions:
            self._partitions = await self._reader.partitions(self._topic)
        bounds = await self._reader.bounds_of(self._topic, range(self._partitions))
        for partition, held in bounds.items():
            known = self._next.get(partition, held.end - TAIL)
            start = max(held.begin, known if known <= held.end else held.begin)
            for record in await self._reader.read(self._topic, partition, start, held.end):
                try:
                    self.take(decode_lifecycle(record.value, record.headers))
                except Poison:
                    continue
            self._next[partition] = held.end


def _remember(ids: dict[str, None], id: str) -> None:
    ids.pop(id, None)
    ids[id] = None
    if len(ids) > MAX_IDS:
        del ids[next(iter(ids))]
