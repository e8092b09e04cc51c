"""Senders: what is sent when, in which order, again, no more; and what a kill between send and mark comes to."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from driftline.react.notify.notification import Notification, Refused, TryLater
from driftline.react.notify.rate import Rate
from faults.traps import Killed
from react.making import HOUR, MINUTE, signal
from react.sending import QUIET, TO_BOTH, TO_CHAT, failing, holding, holding_on, sender
from react.stand_in import StandIn
from react.world import POINTS, World, kill
from support.virtual_time import LoopClock, in_virtual_time


async def test_what_is_said_is_sent_once_in_order_and_in_its_thread() -> None:
    world, chat = World(QUIET, TO_CHAT), StandIn()
    process = await holding(world)
    running = asyncio.create_task(sender(process, chat).run())
    for message in (signal(), signal("error:rate", 2, "resolved", at=HOUR), signal(model="n", at=HOUR)):
        world.append(message)
    assert await world.drain(process)
    for _ in range(1_000):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert chat.closed
    assert chat.told == ["m:open", "m:resolved", "n:open"]
    assert chat.threads == [None, "thread-1", None]
    assert [note[0] for note in process.notes.told if note[0] == "sent"] == ["sent"] * 3
    assert not await sender(await holding(world), chat).round()


def test_row_42_it_backs_off_and_comes_back() -> None:
    """Mutation: settle after a Transient too in Sender.round; the alert is never taken."""

    async def story() -> None:
        world, chat = World(QUIET, TO_CHAT), StandIn(failing(*(TryLater("away") for _ in range(7))))
        process = await holding(world, signal())
        for _ in range(3):
            await sender(process, chat).round()
        assert waits(chat) == [1, 2, 60, 1, 2, 60, 1]
        assert chat.told == ["m:open"]
        assert len({n.id for _, n in chat.calls}) == 1
        assert len(process.notes.of("retried")) == 7

    in_virtual_time(story())


def test_row_42_retry_after_is_honoured_by_all() -> None:
    """Mutation: go on at once after a Transient in Sender.round; the other alert comes 30 s too early."""

    async def story() -> None:
        world = World(QUIET, TO_CHAT)
        chat = StandIn(failing(TryLater("busy", 7.0), TryLater("busy", 0.0), TryLater("busy", 30.0)))
        process = await holding(world, signal(model="a"), signal(model="b"))
        await sender(process, chat).round()
        assert waits(chat) == [7, 1, 30]
        assert chat.told == ["b:open"]
        await sender(process, chat).round()
        assert chat.told == ["b:open", "a:open"]

    in_virtual_time(story())


def test_row_42_what_is_told_of_an_incident_keeps_its_order() -> None:
    """Mutation: leave out `failed` in Sender.round; PagerDuty is told of the end, and then of the beginning."""

    async def story() -> None:
        def trouble(one: Notification) -> Exception | None:
            opens = one.alert is not None and (one.alert.model, one.alert.status) == ("m", "open")
            return TryLater("away") if opens and len(chat.calls) < 5 else None

        world, chat = World(QUIET, TO_CHAT), StandIn(trouble)
        end = signal("error:rate", 2, "resolved", at=HOUR)
        process = await holding(world, signal(), signal(model="n"), end)
        while await sender(process, chat).round():
            pass
        assert chat.told == ["n:open", "m:open", "m:resolved"]

    in_virtual_time(story())


def test_row_42_a_refusal_is_told_by_another_route_and_ends() -> None:
    """Mutation: `notify=False` in ReactWorker.settle; nobody hears that the chat refuses."""

    async def story() -> None:
        world = World(QUIET, TO_BOTH)
        chat = StandIn(failing(Refused("it answers HTTP 404"), Refused("it answers HTTP 404")))
        pager = StandIn()
        process = await holding(world, signal(model="a"), signal(model="b"))
        await sender(process, chat).round()
        await sender(process, pager, "pager").round()
        await holding_on(world, process, signal(model="c"))
        for _ in range(2):
            await sender(process, chat).round()
            await sender(process, pager, "pager").round()
        assert chat.told == ["c:open"]
        assert pager.told == ["a:open", "b:open", "chat:open", "c:open", "chat:resolved"]
        (opened,) = [a for a in world.alerts() if a.cause == "notification" and a.status == "open"]
        assert "chat" in opened.sentence and "404" in opened.sentence
        assert not len(process.worker.outbox)

    in_virtual_time(story())


async def test_row_42_a_lone_receiver_that_refuses_is_on_the_topic() -> None:
    world, chat = World(QUIET, TO_CHAT), StandIn(failing(Refused("no")))
    process = await holding(world, signal())
    await sender(process, chat).round()
    assert [a.cause for a in world.alerts()] == ["performance", "notification"]
    assert not len(process.worker.outbox)


async def test_a_defect_in_a_channel_is_a_refusal_of_one_notification() -> None:
    """Mutation: leave out `except Exception` in Sender.round; the sender ends, and with it react."""
    world, chat = World(QUIET, TO_BOTH), StandIn(failing(KeyError("CANARY")))
    process = await holding(world, signal(model="a"), signal(model="b"))
    await sender(process, chat).round()
    assert chat.told == ["b:open"]
    (refused,) = process.notes.of("refused")
    assert refused[3] == "it cannot be told (KeyError)"


def test_a_channel_that_hangs_is_given_up_for_now() -> None:
    async def story() -> None:
        class Hanging(StandIn):
            async def send(self, notification: Notification, receipt: str | None) -> str | None:
                if len(self.calls) < 3:
                    self.calls.append((asyncio.get_running_loop().time(), notification))
                    await asyncio.Event().wait()
                return await super().send(notification, receipt)

        world, chat = World(QUIET, TO_CHAT), Hanging()
        process = await holding(world, signal())
        while await sender(process, chat).round():
            pass
        assert waits(chat) == [301, 302, 360]

    in_virtual_time(story())


async def test_a_stream_goes_on_while_a_receiver_hangs() -> None:
    """Mutation: hold the worker's lock while sending; the second message waits for the receiver."""
    world, pager = World(QUIET, TO_BOTH), StandIn()
    hung = asyncio.Event()

    class Hanging(StandIn):
        async def send(self, notification: Notification, receipt: str | None) -> str | None:
            hung.set()
            await asyncio.Event().wait()
            return None

    process = await holding(world, signal())
    running = asyncio.create_task(sender(process, Hanging()).run())
    await hung.wait()
    async with asyncio.timeout(2):
        await holding_on(world, process, signal("error:rate", 2, "resolved", at=HOUR))
        await sender(process, pager, "pager").round()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert pager.told == ["m:open", "m:resolved"]


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
async def test_row_3_killed_between_send_and_mark_it_is_sent_again_as_the_same(point: str) -> None:
    """Mutation: settle before `_send` in Sender.round; what the receiver did not take is lost."""
    world, pager = World(QUIET, TO_BOTH), StandIn()
    first = await holding(world, signal())
    first.traps.set(point, kill)
    with pytest.raises(Killed):
        await sender(first, pager, "pager").round()
    second = await holding(world, signal("error:rate", 2, "resolved", at=HOUR))
    await sender(second, pager, "pager").round()
    marked = point == "after_commit"
    assert pager.told == (["m:open", "m:resolved"] if marked else ["m:open", "m:open", "m:resolved"])
    assert len({n.id for n in pager.taken}) == 2
    assert (len(pager.opened), pager.lasting) == (1, set()), "the pager has seen one incident, and its end"


@pytest.mark.parametrize("seed", range(30))
async def test_row_3_killed_anywhere_nothing_is_lost_and_nothing_is_another(seed: int) -> None:
    """At any point of taking, publishing and marking, again and again.

    Mutation: put the notification's fields in a write of their own in ReactWorker._write; what a kill leaves between
    the two is never sent."""
    dice = random.Random(seed)
    world = World(QUIET, TO_BOTH)
    lines = {"chat": StandIn(), "pager": StandIn()}
    story = [signal(model=f"m{i}", at=i * MINUTE) for i in range(6)]
    story += [signal("error:rate", 2, "resolved", model=f"m{i}", at=HOUR + i * MINUTE) for i in range(6)]
    process = world.process()
    while story or any(process.worker.outbox.counts().values()) or process.traps.armed or not process.worker.active:
        for _ in range(min(len(story), dice.randint(1, 3))):
            world.append(story.pop(0))
        if story and not process.traps.armed:
            process.traps.set(dice.choice(POINTS), kill, skip=dice.randint(0, 4))
        elif not story:
            process.traps.armed.clear()
        try:
            if not await world.drain(process):
                raise Killed
            for name, channel in lines.items():
                await sender(process, channel, name).round()
            await process.worker.ensure()
        except Killed:
            process = world.process()
    ids = {a.id: a for a in world.alerts()}
    assert len(ids) == 12
    for name, channel in lines.items():
        assert {n.alert.id for n in channel.taken if n.alert} == set(ids)
        assert len({n.id for n in channel.taken}) == 12, "a repeat has the same id"
        assert all(n.receiver == name for n in channel.taken)
        assert (len(channel.opened), channel.lasting) == (6, set())


def test_row_3_who_has_lost_the_topics_does_not_go_on_trying() -> None:
    """Mutation: do not look whether it is still active in Sender._try; the pager is told of the beginning after the
    end, and rings again."""

    async def story() -> None:
        world, pager = World(QUIET, TO_BOTH), StandIn()
        first = await holding(world, signal())

        def lose(one: Notification) -> Exception | None:
            if first.worker.active:
                first.worker.revoked()
                return TryLater("busy", 30.0)
            return None

        zombie = StandIn(lose)
        trying = asyncio.create_task(sender(first, zombie, "pager").round())
        await asyncio.sleep(1)
        second = await holding(world, signal("error:rate", 2, "resolved", at=HOUR))
        await sender(second, pager, "pager").round()
        await trying
        assert pager.told == ["m:open", "m:resolved"]
        assert (len(zombie.calls), zombie.told) == (1, [])

    in_virtual_time(story())


def test_what_is_overtaken_while_it_is_tried_is_not_told() -> None:
    async def story() -> None:
        world, chat = World(QUIET, TO_CHAT), StandIn()
        process = await holding(world, signal())
        await sender(process, chat).round()
        chat.trouble = failing(TryLater("busy", 30.0))
        await holding_on(world, process, signal("loss:mean", at=MINUTE))
        trying = asyncio.create_task(sender(process, chat).round())
        await asyncio.sleep(1)
        await holding_on(world, process, signal("abs_error:mean", at=2 * MINUTE))
        await trying
        await sender(process, chat).round()
        assert chat.told == ["m:open", "m:updated"]
        assert chat.taken[-1].alert is not None and chat.taken[-1].alert.count == 3

    in_virtual_time(story())


def test_row_42_a_destination_is_not_flooded() -> None:
    """Mutation: leave out `turn` in Sender._try; twenty messages come in one second."""

    async def story() -> None:
        world, chat = World(QUIET, TO_CHAT), StandIn()
        process = await holding(world, *(signal(model=f"m{i}") for i in range(20)))
        await sender(process, chat, rate=Rate(60, 5, LoopClock())).round()
        times = [round(time, 3) for time, _ in chat.calls]
        assert times == [0, 0, 0, 0, 0, *range(1, 16)]

    in_virtual_time(story())


def waits(channel: StandIn) -> list[float]:
    """Seconds between its calls."""
    times = [time for time, _ in channel.calls]
    return [round(later - time, 3) for time, later in pairwise(times)]
