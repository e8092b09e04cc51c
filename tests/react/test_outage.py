"""Row 42: every receiver is away for six hours, each in its own way; on a clock of the tests."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from driftline.react.notify.notification import Notification, TryLater
from driftline.react.notify.rate import Rate
from driftline.react.notify.sender import Sender
from driftline.react.routes import Route, RouteTable
from driftline.react.settings import ReactSettings, Timing
from react.making import MINUTE, signal, tick
from react.stand_in import StandIn
from react.world import Process, World
from support.virtual_time import LoopClock, in_virtual_time

OUTAGE_S: Final = 6 * 3_600.0
MODELS: Final = 40
NAMES: Final = ("chat", "pager", "hook", "mute")
TABLE: Final = RouteTable(NAMES, (Route("all", NAMES, timing=Timing(group_wait_ms=0)),))


class Away(StandIn):
    """Away from the start; back after OUTAGE_S."""

    def __init__(self, how: str) -> None:
        super().__init__(self._away)
        self.how = how

    def _away(self, one: Notification) -> Exception | None:
        if asyncio.get_running_loop().time() >= OUTAGE_S:
            return None
        match self.how:
            case "chat":
                return TryLater("Slack answers HTTP 429", 30.0)
            case "pager":
                return TryLater("PagerDuty answers HTTP 503")
            case _:
                return TryLater("its host cannot be resolved (gaierror)")

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        if self.how == "mute" and asyncio.get_running_loop().time() < OUTAGE_S:
            self.calls.append((asyncio.get_running_loop().time(), notification))
            await asyncio.Event().wait()
        return await super().send(notification, receipt)


class Life:
    """React and its senders; killed with all it knows, and begun again."""

    def __init__(self, world: World, lines: dict[str, Away]) -> None:
        self.world, self.lines = world, lines
        self.process: Process = world.process()
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        self.process = self.world.process()
        await self.process.worker.ensure()
        worker, notes = self.process.worker, self.process.notes
        self.tasks = [
            asyncio.create_task(Sender(worker, name, line, Rate(60, 5, LoopClock()), observer=notes).run())
            for name, line in self.lines.items()
        ]

    async def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def take(self, *messages: object) -> None:
        for message in messages:
            self.world.append(message)  # type: ignore[arg-type]
        assert await self.world.drain(self.process)

    @property
    def waiting(self) -> int:
        return len(self.process.worker.outbox)


async def outage(world: World, lines: dict[str, Away]) -> tuple[Life, float]:
    """Something happens every few minutes, and react is killed twice; when all has been sent at last (seconds)."""
    life = Life(world, lines)
    await life.begin()
    for i in range(MODELS):
        minute = 8 * i
        await asyncio.sleep(8 * 60)
        await life.take(signal(model=f"m{i}", at=minute * MINUTE), tick(minute * MINUTE))
        await life.take(signal("error:brier", model=f"m{i}", at=(minute + 2) * MINUTE))
        if i % 2:
            ends = [signal(name, 2, "resolved", model=f"m{i}", at=(minute + 4) * MINUTE) for name in MONITORS]
            await life.take(*ends)
        if i in (13, 27):
            await life.kill()
            await life.begin()
    assert asyncio.get_running_loop().time() < OUTAGE_S
    assert not any(line.taken for line in lines.values())
    for _ in range(3_600):
        if not life.waiting:
            break
        await asyncio.sleep(1)
    return life, asyncio.get_running_loop().time()


MONITORS: Final = ("error:rate", "error:brier")


def test_row_42_nothing_is_lost_over_six_hours_without_any_receiver() -> None:
    """All that is told, in order for each incident; what opened and ended meanwhile too; what only brought it up to
    date is overtaken. Each receiver is called less than five times a minute meanwhile.

    Mutation: give up after the last attempt in Sender.round (settle with the error); nobody hears of them."""

    async def story() -> None:
        world = World(ReactSettings(retrain=False, update_every_ms=0), TABLE)
        lines = {name: Away(name) for name in NAMES}
        life, done = await outage(world, lines)
        alerts = [a for a in world.alerts() if a.held is None and a.model]
        opened = {a.incident for a in alerts if a.status == "open"}
        ended = {a.incident for a in alerts if a.status == "resolved"}
        assert (len(opened), len(ended)) == (MODELS, MODELS // 2)
        for name, line in lines.items():
            told: dict[str, list[str]] = {}
            for n in line.taken:
                assert n.alert is not None
                told.setdefault(n.alert.incident, []).append(n.alert.status)
            assert told.keys() == opened, name
            for incident, statuses in told.items():
                assert statuses[0] == "open"
                assert (statuses[-1] == "resolved") is (incident in ended)
                assert len(statuses) == 2, "open, and how it stands or that it ended"
            assert max(Counter(n.id for n in line.taken).values()) == 1
            assert line.lasting == opened - ended
        assert not life.process.notes.of("dropped")
        assert done < OUTAGE_S + 600, f"{done - OUTAGE_S:.0f} s after they are back"
        for name, line in lines.items():
            tries = sum(time < OUTAGE_S for time, _ in line.calls)
            assert tries < 6 * 60 * 5, f"{name} was called {tries} times"
        await life.kill()

    in_virtual_time(story())


def test_row_42_what_has_no_room_is_counted_and_the_latest_is_kept() -> None:
    async def story() -> None:
        world = World(ReactSettings(retrain=False, update_every_ms=0), TABLE, max_pending=20)
        lines = {name: Away(name) for name in NAMES}
        life, _ = await outage(world, lines)
        for name, line in lines.items():
            assert len(line.taken) == 20
            dropped = [note for note in life.process.notes.of("dropped") if note[1] == name]
            assert dropped
            assert f"m{MODELS - 1}" in {n.alert.model for n in line.taken if n.alert}
        await life.kill()

    in_virtual_time(story())
