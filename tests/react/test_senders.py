"""Row 46: receivers change while notifications wait, are being sent, or have been refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from driftline.react.notify.notification import Notification, Refused, TryLater
from driftline.react.notify.senders import Senders
from driftline.react.routes import Route, RouteTable
from driftline.react.settings import ReactSettings
from driftline.react.worker_settings import WorkerSettings
from react.making import HOUR, signal
from react.sending import QUIET, TO_BOTH, TO_CHAT, failing, holding, holding_on, sender
from react.stand_in import StandIn
from react.world import TOPICS, Process, World
from support.virtual_time import in_virtual_time


@dataclass
class Slow(StandIn):
    """Takes a second for a call, once it has begun."""

    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        self.began.set()
        await asyncio.sleep(1)
        return await super().send(notification, receipt)


async def reconfigured(process: Process, routes: RouteTable, policy: ReactSettings = QUIET) -> None:
    async with process.worker.between:
        process.worker.reconfigure(WorkerSettings(TOPICS, replace(policy, routes=routes), routes))
    await process.worker.ensure()


async def ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_row_46_a_call_under_way_ends_and_is_not_repeated_by_the_successor() -> None:
    """Mutations: no `shield` in Sender._try, or no `_after` in Senders.replace; it is told twice, or never."""

    async def story() -> None:
        world, former, new = World(QUIET, TO_CHAT), Slow(), StandIn()
        process = await holding(world, signal(model="a"), signal(model="b"))
        senders = Senders({"chat": sender(process, former)})
        running = asyncio.create_task(senders.run())
        await former.began.wait()
        await reconfigured(process, TO_CHAT)
        senders.replace({"chat": sender(process, new)})
        await asyncio.sleep(5)
        assert (former.told, new.told) == (["a:open"], ["b:open"])
        assert former.closed and not new.closed
        assert not len(process.worker.outbox)
        await ended(running)
        assert new.closed

    in_virtual_time(story())


@pytest.mark.parametrize("meanwhile", ["another", "none"])
def test_row_46_a_second_reload_waits_for_the_same_call(meanwhile: str) -> None:
    """The one that the first reload brings has not begun yet, or the receiver was taken out and is back.

    Mutations: in Senders._start wait for nobody, or only for the sender before; what is under way is told twice."""

    async def story() -> None:
        world, former, between, last = World(QUIET, TO_CHAT), Slow(), StandIn(), StandIn()
        process = await holding(world, signal(model="a"), signal(model="b"))
        senders = Senders({"chat": sender(process, former)})
        running = asyncio.create_task(senders.run())
        await former.began.wait()
        async with process.worker.between:
            if meanwhile == "another":
                senders.replace({"chat": sender(process, between)})
                await asyncio.sleep(0.1)
            else:
                senders.replace({})
            senders.replace({"chat": sender(process, last)})
        await asyncio.sleep(5)
        assert (former.told, between.told, last.told) == (["a:open"], [], ["b:open"])
        assert not len(process.worker.outbox)
        await ended(running)

    in_virtual_time(story())


def test_row_46_what_is_retried_goes_to_the_new_one_at_once() -> None:
    """Mutation: wait for the former one to give up in Senders.replace; it has an hour left."""

    async def story() -> None:
        world, former, new = World(QUIET, TO_CHAT), StandIn(lambda _: TryLater("busy", 3_600)), StandIn()
        process = await holding(world, signal())
        senders = Senders({"chat": sender(process, former)})
        running = asyncio.create_task(senders.run())
        await asyncio.sleep(10)
        await reconfigured(process, TO_CHAT)
        senders.replace({"chat": sender(process, new)})
        await asyncio.sleep(1)
        assert (len(former.calls), new.told) == (1, ["m:open"])
        await ended(running)

    in_virtual_time(story())


async def test_row_46_a_reload_between_looking_and_calling_keeps_the_thread() -> None:
    """Mutation: ask for the receipt in Sender._call; the outbox has none until the state is loaded again."""
    world, chat = World(QUIET, TO_CHAT), StandIn()
    process = await holding(world, signal())
    kept = sender(process, chat)
    await kept.round()
    await holding_on(world, process, signal("error:rate", 2, "resolved", at=HOUR))
    sending = asyncio.create_task(kept.round())
    await asyncio.sleep(0)
    assert not chat.told[1:], "it has looked, and not called yet"
    process.worker.reconfigure(WorkerSettings(TOPICS, replace(QUIET, routes=TO_CHAT), TO_CHAT))
    await sending
    assert (chat.told, chat.threads) == (["m:open", "m:resolved"], [None, "thread-1"])


def test_row_46_who_is_called_as_before_is_not_disturbed() -> None:
    """Mutation: replace every sender in Senders.replace; the pager is called before it asked to be."""

    async def story() -> None:
        world = World(QUIET, TO_BOTH)
        pager = StandIn(failing(TryLater("busy", 60)))
        process = await holding(world, signal())
        kept = sender(process, pager, "pager")
        senders = Senders({"chat": sender(process, StandIn()), "pager": kept})
        running = asyncio.create_task(senders.run())
        await asyncio.sleep(10)
        await reconfigured(process, TO_BOTH)
        senders.replace({"chat": sender(process, StandIn()), "pager": kept})
        await asyncio.sleep(40)
        assert not pager.taken
        await asyncio.sleep(20)
        assert pager.told == ["m:open"]
        assert [round(at) for at, _ in pager.calls] == [0, 60]
        await ended(running)

    in_virtual_time(story())


def test_row_46_a_receiver_goes_while_it_is_called() -> None:
    """What it has taken is marked nowhere and harms nobody; what waited for it is said to be dropped.

    Mutation: leave out the look at the receivers in ReactWorker.settle; it raises KeyError."""

    async def story() -> None:
        world, pager, chat = World(QUIET, TO_BOTH), Slow(), StandIn()
        process = await holding(world, signal(model="a"), signal(model="b"))
        kept = sender(process, chat)
        senders = Senders({"chat": kept, "pager": sender(process, pager, "pager")})
        running = asyncio.create_task(senders.run())
        await pager.began.wait()
        (name, one), *_ = process.worker.outbox.oldest("pager")
        await reconfigured(process, TO_CHAT)
        senders.replace({"chat": kept})
        await process.worker.settle(name, one, "it answers HTTP 404", None)
        await asyncio.sleep(5)
        await holding_on(world, process, signal("error:rate", 2, "resolved", model="a", at=HOUR))
        await asyncio.sleep(5)
        assert chat.told == ["a:open", "b:open", "a:resolved"]
        assert pager.told == ["a:open"]
        assert {note[1] for note in process.notes.of("dropped")} == {"pager"}
        assert not running.done()
        await ended(running)

    in_virtual_time(story())


async def test_row_46_that_a_receiver_refuses_ends_with_it() -> None:
    """With a reason, to those who heard of it. Mutation: keep the state in ReactWorker.reconfigure; nobody hears."""
    world, pager = World(QUIET, TO_BOTH), StandIn()
    process = await holding(world, signal())
    await sender(process, StandIn(failing(Refused("no")))).round()
    await reconfigured(process, RouteTable(("pager",), (Route("all", ("pager",)),)))
    await sender(process, pager, "pager").round()
    assert pager.told == ["m:open", "chat:open", "chat:resolved"]
    assert world.alerts()[-1].sentence == "The receiver chat is configured no more."


async def test_row_46_a_reload_without_a_change_changes_nothing() -> None:
    world = World(QUIET, TO_BOTH)
    process = await holding(world, signal(), signal(model="n"))
    await sender(process, StandIn()).round()
    before, said = process.worker.state, world.said()
    waiting = {name: process.worker.outbox.oldest(name) for name in TO_BOTH.receivers}
    await reconfigured(process, TO_BOTH)
    assert process.worker.state == before
    assert {name: process.worker.outbox.oldest(name) for name in TO_BOTH.receivers} == waiting
    assert world.said() == said
    assert not process.notes.of("dropped")


async def test_a_sender_that_ends_is_not_overlooked() -> None:
    """Mutation: do not look at results in Senders.run."""

    class Broken:
        async def run(self) -> None:
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await Senders({"chat": Broken()}).run()
