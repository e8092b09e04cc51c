"""Kills while people silence, acknowledge and resolve: what is said, and to whom, is what a clean run says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from driftline.contracts.reactions import Command, Match
from driftline.contracts.records import Lifecycle, Signal
from driftline.react.routes import Route, RouteTable
from driftline.react.slot import SLOT
from driftline.react.state import CORE, POLICY, State, from_fields
from faults.traps import Killed
from react.hearing import PATIENT, PATIENTLY, ack, expire, resolve, silence
from react.making import DAY, HOUR, MINUTE, Told, alerts, signal, tick
from react.world import POINTS, World, kill

ROUTES = RouteTable(
    receivers=("chat", "weekly"),
    routes=(
        Route("digest", ("weekly",), goes_on=True, digest="0 * * * *"),
        Route("all", ("chat",), timing=PATIENT),
    ),
)
A, B = "features.a:distribution", "features.b:distribution"


def messages() -> list[Signal | Lifecycle | Command]:
    """A group, a silence, a flapping one, an inhibited one, each kind of command."""
    group = [signal(A, at=i * 100, model=f"m{i}", severity="warning") for i in range(4)]
    first = alerts(Told(PATIENTLY).take(tick(0), group[0]))[0].incident
    flapping = [
        signal("error:rate", i + 1, "resolved" if i % 2 else "alarm", at=3 * HOUR + i * MINUTE, model="m3")
        for i in range(6)
    ]
    return [
        tick(0),
        silence("s1", Match(model="m2"), lasts=2 * HOUR),
        *group,
        tick(2 * MINUTE),
        ack("c1", first),
        ack("c1", first),
        signal("features.b:quality", at=10 * MINUTE, model="m9"),
        signal(B, at=10 * MINUTE + 1, model="m9"),
        tick(20 * MINUTE),
        signal("features.b:quality", 2, "resolved", at=HOUR, model="m9"),
        tick(61 * MINUTE),
        tick(2 * HOUR + MINUTE),
        silence("s2", Match(cause="performance"), lasts=DAY),
        *flapping,
        tick(4 * HOUR),
        expire("c2", "s2"),
        tick(5 * HOUR),
        resolve("c3", first),
        resolve("c4", "nothing"),
        tick(6 * HOUR),
        tick(2 * DAY),
    ]


def fields(world: World) -> dict[str, bytes]:
    return dict(world.server.contents.slots[SLOT].fields)


async def clean() -> World:
    world = World(routes=ROUTES, settings=PATIENTLY)
    for message in messages():
        world.append(message)
    assert await world.drain(world.process())
    return world


async def test_the_story_has_what_it_is_told_for() -> None:
    world = await clean()
    assert {a.status for a in world.alerts()} >= {"open", "updated", "acknowledged", "resolved", "reopened"}
    why = " ".join({(a.held or "").split(":")[0].split(" by ")[0] for a in world.alerts()})
    assert all(word in why for word in ("gathering", "silenced", "explained", "told with"))
    state = from_fields(fields(world))[0]
    assert state is not None
    assert set(state.policy.outcomes) == {"s1", "c1", "s2", "c2", "c3", "c4"}
    assert state.policy.outcomes["c4"].startswith("refused: ")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("skip", [0, 1, 2, 5, 11])
async def test_row_3_killed_anywhere_the_same_is_said_to_the_same(point: str, skip: int) -> None:
    """Mutation: do not publish the snapshot's outbox in ReactWorker._owned; what was written is never said."""
    whole = await clean()
    world = World(routes=ROUTES, settings=PATIENTLY)
    first = world.process()
    first.traps.set(point, kill, skip=skip)
    for message in messages():
        world.append(message)
    await world.drain(first)
    assert await world.drain(world.process())
    assert set(world.said()) == set(whole.said())
    assert fields(world) == fields(whole)


@pytest.mark.parametrize("every", [1, 3])
async def test_rows_1_and_2_killed_after_every_few_messages(every: int) -> None:
    """Mutation: leave the policy out of state.to_fields; the silence is forgotten, and what it holds is told."""
    whole = await clean()
    world, waiting = World(routes=ROUTES, settings=PATIENTLY), messages()
    while waiting:
        taken: Sequence[Signal | Lifecycle | Command] = waiting[:every]
        waiting = waiting[every:]
        process = world.process()
        process.traps.set("after_commit", kill, skip=every - 1)
        for message in taken:
            world.append(message)
        await world.drain(process)
    assert await world.drain(world.process())
    assert set(world.said()) == set(whole.said())
    assert fields(world) == fields(whole)


async def test_row_24_an_empty_store_is_rebuilt_with_its_silences() -> None:
    whole = await clean()
    said, before = whole.said(), fields(whole)
    whole.server.wipe()
    process = whole.process()
    await process.worker.ensure()
    assert whole.said() == said
    assert fields(whole)[POLICY] == before[POLICY]


async def test_a_policy_that_cannot_be_read_silences_nobody() -> None:
    world = await clean()
    world.server.contents.slots[SLOT].fields[POLICY] = b"rubbish"
    process = world.process()
    await process.worker.ensure()
    assert process.notes.of("quarantined") == [("quarantined", POLICY)]
    assert isinstance(process.worker.state, State)
    assert process.worker.state.policy.silences == {}


async def test_a_state_that_begins_anew_keeps_no_silence_of_the_old_one() -> None:
    """Mutation: leave POLICY out of what ReactWorker._owned deletes; the next react has a silence that this one has
    not."""
    world = World(routes=ROUTES, settings=PATIENTLY)
    world.append(tick(0))
    world.append(silence("s1", Match(model="m")))
    assert await world.drain(world.process())
    world.log.trim("commands", 0, 2)
    world.server.contents.slots[SLOT].fields[CORE] = b"rubbish"
    for _ in range(2):
        process = world.process()
        await process.worker.ensure()
        assert process.worker.state is not None
        assert process.worker.state.policy.silences == {}


def test_killed_is_no_ordinary_error() -> None:
    """What fails open must not survive a kill."""
    assert not issubclass(Killed, Exception)
