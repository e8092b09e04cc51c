"""What the tests of the clients are made of: a log in memory as the broker, and requests."""

from __future__ import annotations

from collections.abc import Sequence

from driftline.client.connection import Connect, Connection
from driftline.clock import Clock, ManualClock
from driftline.contracts.cloudevents import decode_lifecycle, encode
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Event
from driftline.contracts.reactions import RetrainingRequested, Window
from driftline.contracts.records import Lifecycle
from driftline.errors import DriftlineError
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.log import Outgoing
from driftline.runtime.memory_group import MemoryConsumer, MemoryGroup
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter

EVENTS = "driftline.events"
RETRAINING = "driftline.retraining"
LIFECYCLE = "driftline.lifecycle"
NOW = 1_760_000_000_000
HOUR = 3_600_000


class Hindered(MemoryWriter):
    """Raises what is in `errors` first, one a call."""

    def __init__(self, log: MemoryLog, errors: list[Exception]) -> None:
        super().__init__(log)
        self._errors = errors

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self._errors:
            raise self._errors.pop(0)
        await super().publish(records)


class World:
    """A broker in memory with our topics. `errors` are raised by the next publishes, one each."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock(NOW)
        self.log = MemoryLog(self.clock, {EVENTS: 4, RETRAINING: 1, LIFECYCLE: 1})
        self.groups: dict[tuple[str, str], MemoryGroup] = {}
        self.errors: list[Exception] = []
        self.connections = 0

    @property
    def connect(self) -> Connect:
        def connect(settings: KafkaSettings) -> Connection:
            self.connections += 1
            return Connection(Hindered(self.log, self.errors), MemoryReader(self.log), self.consumer)

        return connect

    def consumer(self, topic: str, group: str) -> MemoryConsumer:
        return MemoryConsumer(self.groups.setdefault((topic, group), MemoryGroup(self.log, topic)))

    def events(self) -> list[Event]:
        """What is on the topic of events, as ingest reads it."""
        decoder = Decoder()
        records = [r for p in range(self.log.partitions(EVENTS)) for r in self.log.records(EVENTS, p)]
        return [decoder.decode(r.value, r.headers) for r in records]

    def told(self) -> list[Lifecycle]:
        return [decode_lifecycle(r.value, r.headers) for r in self.log.records(LIFECYCLE, 0)]

    def ask(self, request: RetrainingRequested) -> None:
        headers, value = encode(request)
        self.log.append(RETRAINING, 0, value, request.model.encode(), headers)

    def committed(self, job: str) -> int | None:
        return self.groups[RETRAINING, f"driftline.job.{job}"].committed.get(0)


class Odd(DriftlineError):
    """An error of ours that nobody expects."""


def request(id: str = "r1", model: str = "flights", time: int = NOW, lifetime: int = HOUR) -> RetrainingRequested:
    return RetrainingRequested(
        id=id,
        model=model,
        version="7",
        time=time,
        expires=time + lifetime,
        decision="retrain",
        rule="error_alarm",
        reason="Errors have risen.",
        window=Window(start=time - HOUR, to=time, why="Since the change."),
        strategy="full",
        priority="high",
    )
