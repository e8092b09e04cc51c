"""React over a log and a store in memory, in which a crash is data; and a driver that is as careless as a broker:
it acknowledges late, delivers again, and lets workers die at named points."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from driftline.clock import ManualClock
from driftline.contracts.cloudevents import decode_alert, decode_retraining, encode
from driftline.contracts.reactions import Alert, Command, RetrainingRequested
from driftline.contracts.records import Lifecycle, Signal
from driftline.react.observe import ReactObserver
from driftline.react.routes import RouteTable
from driftline.react.settings import ReactSettings
from driftline.react.topics import ROLES, Role, Topics
from driftline.react.worker import ReactWorker
from driftline.react.worker_settings import WorkerSettings
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryRecord, MemoryWriter
from driftline.runtime.memory_store import MemoryServer, MemoryStore
from faults.traps import Killed, TrappedStore, TrappedWriter, Traps
from react.making import MINUTE, T0, by_hand, service_signal, signal, tick, told
from support.jumping import Jumping

TOPICS = Topics()
POINTS = (
    "before_acquire",
    "after_acquire",
    "before_commit",
    "after_commit",
    "before_publish",
    "in_publish",
    "after_publish",
)


class Notes(ReactObserver):
    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def of(self, what: str) -> list[tuple[str, ...]]:
        return [note for note in self.told if note[0] == what]

    def committed(self, stage: str, partition: int, verdict: str, size: int) -> None:
        self.told.append(("committed", verdict))

    def state_lost(self, stage: str, partition: int, detail: str) -> None:
        self.told.append(("state_lost", detail))

    def gap(self, stage: str, partition: int, detail: str) -> None:
        self.told.append(("gap", detail))

    def quarantined(self, stage: str, partition: int, field: str) -> None:
        self.told.append(("quarantined", field))

    def fold_failed(self, stage: str, partition: int, offset: int, error: str) -> None:
        self.told.append(("fold_failed", error))

    def dropped(self, receiver: str, id: str) -> None:
        self.told.append(("dropped", receiver, id))

    def notified(self, receiver: str, id: str, outcome: str, detail: str) -> None:
        self.told.append((outcome, receiver, id, detail))


@dataclass
class Process:
    worker: ReactWorker
    traps: Traps
    notes: Notes
    alive: bool = True


@dataclass
class World:
    """`acknowledged`: what the group remembers of each topic, which nothing may rest on."""

    settings: ReactSettings = field(default_factory=ReactSettings)
    routes: RouteTable = field(default_factory=RouteTable)
    max_pending: int = 1_000
    clock: ManualClock = field(default_factory=lambda: ManualClock(T0))
    server: MemoryServer = field(default_factory=MemoryServer)
    acknowledged: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    slept: float = 0.0

    def __post_init__(self) -> None:
        names = (*ROLES, "alerts", "retraining", "deadletter")
        self.wall = Jumping(self.clock)
        self.log = MemoryLog(self.clock, dict.fromkeys(names, 1))

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        assert self.slept < 1_000, "it waits for ever"

    def process(self) -> Process:
        traps, notes = Traps(), Notes()
        worker = ReactWorker(
            WorkerSettings(TOPICS, replace(self.settings, routes=self.routes), self.routes, self.max_pending),
            TrappedStore(MemoryStore(self.server), traps),
            MemoryReader(self.log),
            TrappedWriter(MemoryWriter(self.log), traps),
            self.wall,
            notes,
            self.sleep,
        )
        worker.assigned()
        return Process(worker, traps, notes)

    def append(self, message: Signal | Lifecycle | Command) -> None:
        """The log takes a message, at a time of its own."""
        self.clock.advance(1)
        role: Role = "signals" if isinstance(message, Signal) else "commands"
        role = "lifecycle" if isinstance(message, Lifecycle) else role
        headers, value = encode(message)
        self.log.append(role, 0, value, None, headers)

    async def deliver(self, process: Process, role: Role, record: MemoryRecord) -> bool:
        """One message to a process; acknowledged only if it lives on."""
        try:
            await process.worker.handle(role, record)
        except Killed:
            process.alive = False
            return False
        self.acknowledged[role] = max(self.acknowledged[role], record.offset + 1)
        return True

    async def drain(self, process: Process) -> bool:
        """Deliver all that is not acknowledged, in the order of the log; False if the process died of it."""
        due = [(r.timestamp, ROLES.index(role), role, r) for role in ROLES for r in self.log.records(role, 0)]
        for _, _, role, record in sorted(due, key=lambda d: (d[0], d[1], d[3].offset)):
            if record.offset >= self.acknowledged[role] and not await self.deliver(process, role, record):
                return False
        return True

    def alerts(self) -> list[Alert]:
        return [decode_alert(r.value, r.headers) for r in self.log.records("alerts", 0)]

    def requests(self) -> list[RetrainingRequested]:
        return [decode_retraining(r.value, r.headers) for r in self.log.records("retraining", 0)]

    def said(self) -> list[str]:
        """All ids that were published, copies too."""
        return [a.id for a in self.alerts()] + [r.id for r in self.requests()]


def story() -> list[Signal | Lifecycle | Command]:
    """Alarms, an escalation, a failure, a deployment, late duplicates, the service, and a request by hand."""
    first = signal("error:rate", at=MINUTE)
    hour = 60 * MINUTE
    return [
        tick(0),
        first,
        signal("features.a:distribution", at=MINUTE),
        signal("features.b:distribution", at=2 * MINUTE),
        service_signal("0-5"),
        tick(10 * MINUTE),
        tick(70 * MINUTE),
        signal("error:rate", 2, "resolved", at=80 * MINUTE),
        first,
        told("retraining.failed", version="1"),
        by_hand("c-1"),
        signal("prediction:distribution", model="n", at=90 * MINUTE),
        told("deployed"),
        told("deployed"),
        tick(8 * hour),
        signal("error:rate", 3, at=9 * hour),
        signal("features.b:distribution", 2, "resolved", at=9 * hour),
    ]


async def clean_run(messages: Sequence[Signal | Lifecycle | Command], settings: ReactSettings) -> World:
    """One process that nothing ever happens to."""
    world = World(settings)
    for message in messages:
        world.append(message)
    assert await world.drain(world.process())
    return world


async def crashing_run(
    messages: Sequence[Signal | Lifecycle | Command], settings: ReactSettings, seed: int, kills: int = 8
) -> World:
    """Processes that die at points chosen by `seed`, each followed by another; messages come in while they do."""
    world, dice = World(settings), random.Random(seed)
    process, waiting = world.process(), list(messages)
    while waiting or kills:
        for _ in range(min(len(waiting), dice.randint(1, 4))):
            world.append(waiting.pop(0))
        if kills:
            process.traps.set(dice.choice(POINTS), kill, skip=dice.randint(0, 2))
            kills -= 1
        if not await world.drain(process):
            process = world.process()
    process.traps.armed.clear()
    assert await world.drain(process)
    return world


async def kill() -> None:
    raise Killed
