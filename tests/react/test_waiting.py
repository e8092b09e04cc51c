"""What waits for a receiver: who is told of what, what gives way, what outlasts a restart."""

from __future__ import annotations

import pytest

from driftline.react.notify.notification import Refused
from driftline.react.routes import Fits, Route, RouteTable
from driftline.react.settings import ReactSettings, Timing
from faults.traps import Killed
from react.making import HOUR, by_hand, signal, tick, told
from react.sending import QUIET, TO_BOTH, TO_CHAT, failing, holding, holding_on, sender
from react.stand_in import StandIn
from react.world import World, kill


async def test_requests_deployments_and_digests_are_told_to_whom_they_are_meant_for() -> None:
    """Mutation: tell of every Lifecycle in addressing.tell; the copy is told too."""
    routes = RouteTable(
        ("chat", "pager", "mail"),
        (Route("mail", ("mail",), digest="0 8 * * *"),),
        requests=("chat",),
        events=("pager",),
    )
    world = World(ReactSettings(update_every_ms=0), routes)
    deployed = told("deployed", version="2")
    process = await holding(
        world,
        tick(0),
        signal(),
        by_hand("c-1"),
        told("registered", version="2"),
        deployed,
        deployed,
        tick(30 * HOUR),
    )
    held = {name: [n for _, n in process.worker.outbox.oldest(name)] for name in routes.receivers}
    assert [n.request for n in held["chat"]] == list({r.id: r for r in world.requests()}.values())
    assert [n.event for n in held["pager"]] == [deployed]
    (digest,) = held["mail"]
    assert [a.model for a in digest.digest] == ["m"]
    fresh = world.process()
    await fresh.worker.ensure()
    assert {name: [n for _, n in fresh.worker.outbox.oldest(name)] for name in routes.receivers} == held


async def test_what_is_held_is_told_to_nobody() -> None:
    waiting = RouteTable(("chat",), (Route("all", ("chat",), timing=Timing(group_wait_ms=HOUR)),))
    world = World(QUIET, waiting)
    process = await holding(world, signal())
    assert [a.held is None for a in world.alerts()] == [False]
    assert not len(process.worker.outbox)
    await holding_on(world, process, tick(2 * HOUR))
    assert len(process.worker.outbox) == 1


async def test_what_is_not_grave_enough_is_not_told() -> None:
    world = World(QUIET, RouteTable(("chat",), (Route("all", ("chat",), Fits(severity="error")),)))
    process = await holding(world, signal(severity="warning"))
    assert len(world.alerts()) == 1
    assert not len(process.worker.outbox)


async def test_too_many_give_way_and_that_is_counted() -> None:
    world = World(QUIET, TO_CHAT, max_pending=10)
    process = await holding(world, *(signal(model=f"m{i}", at=i) for i in range(12)))
    assert process.worker.outbox.counts() == {"chat": 10}
    assert len(process.notes.of("dropped")) == 2
    fresh = await holding(world)
    assert fresh.worker.outbox.oldest("chat") == process.worker.outbox.oldest("chat")


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
async def test_row_46_what_waits_for_a_receiver_that_is_renamed_is_told(point: str) -> None:
    """By the new name, in its order, and nobody who knows of it is told again, killed in the middle or not.

    Mutations: leave out `hand_over` in ReactWorker._owned (nobody is ever told); no `before` in it (pager twice)."""
    world = World(QUIET, TO_BOTH)
    former = await holding(world, signal(), signal("error:rate", 2, "resolved", at=HOUR))
    await sender(former, StandIn(), "pager").round()
    world.routes = RouteTable(("team", "pager"), (Route("all", ("team", "pager")),))
    killed = world.process()
    killed.traps.set(point, kill)
    with pytest.raises(Killed):
        await killed.worker.ensure()
    team, pager = StandIn(), StandIn()
    process = await holding(world)
    await sender(process, team, "team").round()
    await sender(process, pager, "pager").round()
    assert (team.told, pager.told) == (["m:open", "m:resolved"], [])
    assert not process.notes.of("dropped") and not len(process.worker.outbox)
    assert (await holding(world)).worker.outbox.counts() == {"team": 0, "pager": 0}


async def test_what_waits_for_a_receiver_that_is_gone_is_said() -> None:
    world = World(QUIET, TO_BOTH)
    await holding(world, signal())
    world.routes = TO_CHAT
    process = await holding(world)
    assert [(what, receiver) for what, receiver, _ in process.notes.of("dropped")] == [("dropped", "pager")]
    assert process.worker.outbox.counts() == {"chat": 1}
    world.routes = TO_BOTH
    assert (await holding(world)).worker.outbox.counts() == {"chat": 1, "pager": 0}


async def test_row_46_that_a_receiver_refuses_is_over_when_it_is_configured_no_more() -> None:
    """Mutation: leave out `unconfigured` in ReactWorker._owned; the incident is open for ever."""
    world, pager = World(QUIET, TO_BOTH), StandIn()
    process = await holding(world, signal())
    await sender(process, StandIn(failing(Refused("no")))).round()
    world.routes = RouteTable(("pager",), (Route("all", ("pager",)),))
    process = await holding(world)
    await sender(process, pager, "pager").round()
    assert pager.told == ["m:open", "chat:open", "chat:resolved"]
    said = len(world.alerts())
    await holding(world)
    assert len(world.alerts()) == said


async def test_an_old_alert_is_not_told_again_when_a_lost_store_is_rebuilt() -> None:
    """Mutation: notify whatever is rebuilt in ReactWorker._take; a year of alerts is told at once."""
    world, chat = World(QUIET, TO_CHAT), StandIn()
    process = await holding(world, signal(model="old"))
    await sender(process, chat).round()
    world.clock.advance(7_200)
    await holding_on(world, process, signal(model="young"))
    world.server.wipe()
    rebuilt = await holding(world)
    waiting = [n.alert.model for _, n in rebuilt.worker.outbox.oldest("chat") if n.alert and n.alert.model]
    assert waiting == ["young"]
