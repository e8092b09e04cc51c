"""Faults as data: a scenario is a list of steps that reads like what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from faults.traps import kill, time_out
from faults.world import StageName, Worker, World

STEPS_TO_A_TRAP = 40


class Op(Protocol):
    async def do(self, world: World) -> None: ...


async def play(world: World, ops: Sequence[Op]) -> None:
    for op in ops:
        await op.do(world)


async def _one(world: World, stage: StageName, which: int = 0) -> Worker:
    """A worker that can step; there is always one."""
    free = world.of(stage)
    return free[which % len(free)] if free else await world.start(stage)


@dataclass(frozen=True)
class START:
    """One more worker joins."""

    stage: StageName

    async def do(self, world: World) -> None:
        await world.start(self.stage)


@dataclass(frozen=True)
class LEAVE:
    """A worker stops in order."""

    stage: StageName
    which: int = 0

    async def do(self, world: World) -> None:
        worker = await _one(world, self.stage, self.which)
        await worker.member.close()
        world.bury(worker)


@dataclass(frozen=True)
class STEP:
    stage: StageName
    times: int = 1
    which: int = 0

    async def do(self, world: World) -> None:
        for _ in range(self.times):
            await world.step(await _one(world, self.stage, self.which))


@dataclass(frozen=True)
class KILL:
    """A worker dies at a point of its cycle; with `soon`, only if it comes there within a few steps."""

    stage: StageName
    at: str
    skip: int = 0
    which: int = 0
    soon: bool = False

    async def do(self, world: World) -> None:
        worker = await _one(world, self.stage, self.which)
        worker.traps.set(self.at, kill, self.skip)
        for _ in range(STEPS_TO_A_TRAP):
            await world.step(worker)
            if not worker.alive:
                return
        worker.traps.armed.clear()
        assert self.soon, f"{self.stage} never came to {self.at}"


@dataclass(frozen=True)
class TIME_OUT:
    """A call fails with a time-out at a point: `before_...` it did not happen, `after_...` it did."""

    stage: StageName
    at: str
    skip: int = 0
    times: int = 1

    async def do(self, world: World) -> None:
        worker = await _one(world, self.stage)
        worker.traps.set(self.at, time_out, self.skip, self.times)
        for _ in range(STEPS_TO_A_TRAP):
            await world.step(worker)
            if not worker.traps.armed:
                return
        worker.traps.armed.clear()


@dataclass(frozen=True)
class STOP:
    """SIGSTOP at a point; the group gives its partitions to others (one of them is started)."""

    stage: StageName
    at: str
    skip: int = 0

    async def do(self, world: World) -> None:
        worker = await _one(world, self.stage)
        for _ in range(STEPS_TO_A_TRAP):
            if await world.hold(worker, self.at, self.skip):
                await world.start(self.stage)
                return
            if not worker.alive:
                return


@dataclass(frozen=True)
class CONT:
    """SIGCONT: every stopped worker goes on where it stood."""

    async def do(self, world: World) -> None:
        for worker in [w for w in world.workers if w.task is not None]:
            await world.settle(worker)


@dataclass(frozen=True)
class REBALANCE:
    stage: StageName

    async def do(self, world: World) -> None:
        await world.groups[self.stage].rebalance()


@dataclass(frozen=True)
class SNAPSHOT:
    """What the store has on disk now."""

    async def do(self, world: World) -> None:
        world.snapshot()


@dataclass(frozen=True)
class ROLLBACK:
    """The store restarts with its newest snapshot but `back`."""

    back: int = 0

    async def do(self, world: World) -> None:
        world.rollback(self.back)


@dataclass(frozen=True)
class WIPE:
    async def do(self, world: World) -> None:
        world.wipe()


@dataclass(frozen=True)
class DRAIN:
    """Fold everything there is; `end`: and what closes every pane."""

    end: int | None = None

    async def do(self, world: World) -> None:
        await CONT().do(world)
        await world.drain(self.end)
