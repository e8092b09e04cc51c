"""Row 46: the wall clock jumps a day, forward or back. Policy is of event time, waiting of monotonic time."""

from __future__ import annotations

import asyncio

import pytest

from driftline.clock import ManualClock
from driftline.contracts.reactions import Command, Match
from driftline.contracts.records import Signal
from driftline.react.notify.answers import retry_after
from driftline.react.notify.notification import TryLater
from driftline.react.notify.rate import Rate
from driftline.react.routes import Route, RouteTable
from driftline.react.settings import ReactSettings, Timing
from driftline.runtime.limiter import RateLimiter
from driftline.runtime.retry import Deadline
from driftline.telemetry import Progress
from faults.data import T0 as DATA_T0
from faults.extra import stream
from faults.world import Shape
from faults.world import World as Pipeline
from react.making import HOUR, MINUTE, T0, signal, tick
from react.sending import TO_CHAT, failing, holding, sender
from react.stand_in import StandIn
from react.world import World
from support.jumping import DAY_MS, Jumping
from support.virtual_time import LoopClock, in_virtual_time

JUMPS = (0, DAY_MS, -DAY_MS)
POLICY = ReactSettings(retrain=False, update_every_ms=0)
TIMED = RouteTable(
    ("chat",),
    (Route("all", ("chat",), timing=Timing(group_wait_ms=MINUTE, repeat_ms=3 * HOUR, escalate_ms=2 * HOUR)),),
)


def story(jump: int) -> tuple[list[tuple[int, str]], list[str]]:
    """What is sent when (s), and what is published, if the wall clock jumps after the first message of many."""

    async def told() -> tuple[list[tuple[int, str]], list[str]]:
        world = World(POLICY, TIMED)
        busy = [TryLater("busy", 30), TryLater("away"), TryLater("away")]
        chat = StandIn(failing(*busy))
        process = world.process()
        await process.worker.ensure()
        clock = Jumping(LoopClock(T0))
        running = asyncio.create_task(sender(process, chat, rate=Rate(60, 1, clock)).run())
        silence = Command(
            id="s", what="silence", time=0, match=Match(model="quiet"), for_ms=4 * HOUR, by="me", reason="so"
        )
        messages: list[Signal | Command] = [
            signal(model="quiet"),
            tick(1),
            silence,
            signal(),
            *(tick(at * 10 * MINUTE) for at in range(1, 40)),
            signal("error:rate", 2, "resolved", at=7 * HOUR),
        ]
        for i, message in enumerate(messages):
            if i == 4:
                clock.off = world.wall.off = jump
            world.append(message)
            assert await world.drain(process)
            await asyncio.sleep(120)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not len(process.worker.outbox)
        return [(round(at), f"{n.alert.model}:{n.alert.status}") for at, n in chat.calls if n.alert], world.said()

    return in_virtual_time(told())


@pytest.mark.parametrize("jump", JUMPS[1:])
def test_row_46_nothing_is_sent_sooner_later_twice_or_not(jump: int) -> None:
    """Back-off, rate, group wait, repeats, escalation and a silence.

    Mutation: `now_ms() / 1000` for `monotonic()` in Rate."""
    calls, said = story(0)
    assert {what for _, what in calls} >= {"m:open", "m:escalated", "m:repeated", "m:resolved", "quiet:open"}
    assert story(jump) == (calls, said)


@pytest.mark.parametrize("jump", JUMPS)
async def test_row_46_what_is_told_of_a_rebuilt_state_goes_by_the_log(jump: int) -> None:
    """What is older than an hour is not told again, what is not is told. Mutation: read our own clock in `_take`."""
    world, chat = World(POLICY, TO_CHAT), StandIn()
    process = await holding(world, signal(model="old"))
    await sender(process, chat).round()
    world.clock.advance(7_200)
    world.append(signal(model="young"))
    world.server.wipe()
    world.wall.off = jump
    rebuilt = await holding(world)
    waiting = [n.alert.model for _, n in rebuilt.worker.outbox.oldest("chat") if n.alert and n.alert.model]
    assert waiting == ["young"]


@pytest.mark.parametrize("off_s", [0, 86_400, -86_400])
def test_row_46_a_date_to_retry_after_counts_from_the_answers_own(off_s: int) -> None:
    """Mutation: count from our clock; a receiver a day ahead is left alone for an hour."""
    headers = {"date": "Fri, 01 Mar 2024 10:00:00 GMT", "retry-after": "Fri, 01 Mar 2024 10:00:40 GMT"}
    ours = 1_709_287_200_000 + 1_000 * off_s
    assert retry_after(headers, ours) == 40
    assert retry_after({"retry-after": headers["retry-after"]}, 1_709_287_200_000) == 40
    assert retry_after({"retry-after": "soon"}, ours) is None


@pytest.mark.parametrize("jump", JUMPS)
def test_row_46_deadlines_limits_and_the_watchdog_are_monotonic(jump: int) -> None:
    """Mutation: `now_ms() / 1000` in Progress.beat and Progress.ages; a healthy process is restarted."""
    base = ManualClock(T0)
    clock = Jumping(base)
    progress, deadline, limiter = Progress(60, clock), Deadline(clock, 5), RateLimiter(1.0, 2)
    progress.beat("react")
    assert limiter.spend(2, clock.monotonic()) == 0
    clock.off = jump
    base.advance(3)
    assert not progress.stalled()
    assert deadline.left() == 2
    assert limiter.spend(4, clock.monotonic()) == 2
    base.advance(60)
    assert [stall.stage for stall in progress.stalled()] == ["react"]
    assert deadline.left() == 0


@pytest.mark.parametrize("jump", JUMPS)
async def test_row_46_what_is_of_the_future_hangs_on_the_brokers_clock(jump: int) -> None:
    """It stamps what it appends, and events that are more than a minute ahead of that are refused: those, no others.

    Mutation: compare with the batch's clock alone in `gather`."""
    world = Pipeline(Shape(max_batch=60))
    world.log.clock = ManualClock(DATA_T0 + 60_000)
    world.clock = Jumping(world.clock, jump)  # type: ignore[assignment]
    world.publish(messages := stream(800))
    await world.quiet()
    late = [m for m in messages if m.due > DATA_T0 + 120_000]
    assert len(world.log.records("deadletter", 0)) == len(late) > 300
