"""Kills between state, publish and acknowledge; rollbacks, zombies, gaps; nothing is lost, nothing is said anew."""

from __future__ import annotations

import pytest

from driftline.react.settings import ReactSettings
from driftline.react.slot import SLOT
from driftline.react.state import CORE, field_of
from faults.traps import Killed, time_out
from react.making import DAY, HOUR, brief, signal, tick
from react.world import POINTS, World, clean_run, crashing_run, kill, story

SETTINGS = ReactSettings(update_every_ms=0)


def fields(world: World) -> dict[str, bytes]:
    return dict(world.server.contents.slots[SLOT].fields)


async def test_a_clean_run_says_everything_once() -> None:
    world = await clean_run(story(), SETTINGS)
    assert len(set(world.said())) == len(world.said())
    assert {r.rule for r in world.requests()} == {"error_alarm", "manual"}
    assert {a.cause for a in world.alerts()} == {"performance", "data", "prediction", "service", "retraining"}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("skip", [0, 1, 4])
async def test_row_2_killed_at_any_point_nothing_is_lost(point: str, skip: int) -> None:
    """Mutation: do not publish the snapshot's outbox in ReactWorker._owned; what was written and not published is
    never said."""
    clean = await clean_run(story(), SETTINGS)
    world = World(SETTINGS)
    for message in story():
        world.append(message)
    first = world.process()
    first.traps.set(point, kill, skip=skip)
    died = not await world.drain(first)
    assert await world.drain(world.process())
    assert died or skip
    assert set(world.said()) == set(clean.said())
    assert fields(world) == fields(clean)


@pytest.mark.parametrize("seed", range(40))
async def test_rows_1_and_2_killed_again_and_again(seed: int) -> None:
    """Mutation: leave the outbox out of ReactSlot.prepare; what was written and not published is never said."""
    clean = await clean_run(story(), SETTINGS)
    world = await crashing_run(story(), SETTINGS, seed)
    assert set(world.said()) == set(clean.said())
    assert fields(world) == fields(clean)


async def test_without_any_acknowledgement_everything_comes_again_and_nothing_is_said() -> None:
    """Mutation: leave out the comparison with the position in ReactWorker.handle; the second deliveries write."""
    world = await clean_run(story(), SETTINGS)
    said, writes = world.said(), world.server.contents.slots[SLOT].next
    world.acknowledged = dict.fromkeys(world.acknowledged, 0)
    assert await world.drain(world.process())
    assert world.said() == said
    assert world.server.contents.slots[SLOT].next == writes


async def test_an_acknowledgement_that_came_too_early_loses_nothing() -> None:
    """The group has committed past messages that nobody has handled.

    Mutation: drop the catching up in ReactWorker.handle; what lies between is never taken."""
    clean = await clean_run(story(), SETTINGS)
    world = World(SETTINGS)
    process = world.process()
    await process.worker.ensure()
    for message in story():
        world.append(message)
    last = world.log.records("signals", 0)[-1]
    assert await world.deliver(process, "signals", last)
    assert await world.drain(process)
    assert set(world.said()) >= {r.id for r in clean.requests()}


async def test_a_time_out_after_the_write_recognises_itself() -> None:
    world = World(SETTINGS)
    process = world.process()
    await process.worker.ensure()
    world.append(signal())
    process.traps.set("after_commit", time_out)
    assert await world.drain(process)
    assert ("committed", "repeated") in process.notes.told
    assert brief((*world.alerts(), *world.requests())) == ["performance:open", "error_alarm"]


async def test_a_publish_that_fails_is_repeated_before_anything_else() -> None:
    """Mutation: go on after the first failure in ReactWorker._write; the alert is missing."""
    world = World(SETTINGS)
    process = world.process()
    await process.worker.ensure()
    world.append(signal())
    process.traps.set("in_publish", time_out, times=3)
    assert await world.drain(process)
    assert len(set(world.said())) == 2
    assert len(world.said()) > 2


async def test_row_5_a_zombie_writes_nothing_more() -> None:
    """Mutation: take over anew on Fenced without asking whether the topics are still ours; the zombie writes."""
    world = World(SETTINGS)
    zombie, heir = world.process(), world.process()
    await zombie.worker.ensure()
    await heir.worker.ensure()
    zombie.worker.revoked()
    world.append(signal())
    assert await world.deliver(zombie, "signals", world.log.records("signals", 0)[0])
    assert world.said() == []
    world.acknowledged["signals"] = 0
    assert await world.drain(heir)
    assert len(world.said()) == 2


async def test_a_zombie_that_does_not_know_it_yet_changes_nothing() -> None:
    world = World(SETTINGS)
    zombie, heir = world.process(), world.process()
    await zombie.worker.ensure()
    await heir.worker.ensure()
    world.append(signal())
    record = world.log.records("signals", 0)[0]
    for process in (heir, zombie, heir):
        assert await world.deliver(process, "signals", record)
    world.append(signal("error:rate", 2, "resolved", at=HOUR))
    assert await world.drain(heir)
    assert len(set(world.said())) == 3
    assert brief(world.alerts())[-1] == "performance:resolved"


async def test_rows_22_and_25_a_rolled_back_store_is_noticed() -> None:
    """Mutation: treat MOVED as APPLIED in ReactSlot.commit; nothing is said of the loss."""
    world = World(SETTINGS)
    process = world.process()
    messages = story()
    for message in messages[:6]:
        world.append(message)
    assert await world.drain(process)
    before = world.server.snapshot()
    for message in messages[6:9]:
        world.append(message)
    assert await world.drain(process)
    token = world.server.contents.slots[SLOT].owner
    world.server.restore(before)
    world.server.contents.slots[SLOT].owner = token
    for message in messages[9:]:
        world.append(message)
    assert await world.drain(process)
    assert process.notes.of("state_lost")
    assert any(r.key and b"state_lost:react" in r.key for r in world.log.records("signals", 0))
    clean = await clean_run(messages, SETTINGS)
    assert set(world.said()) >= {r.id for r in clean.requests()}


async def test_row_24_an_empty_store_is_rebuilt_aloud_and_says_nothing_twice() -> None:
    """Mutation: leave `self._known` empty in ReactWorker._owned; all alerts are published again."""
    world = await clean_run(story(), SETTINGS)
    said, before = world.said(), fields(world)
    world.server.wipe()
    world.clock.advance(10)
    process = world.process()
    await process.worker.ensure()
    assert len(process.notes.of("state_lost")) == 1
    assert world.said() == said
    rebuilt = fields(world)
    assert {name: rebuilt[name] for name in before if name != CORE} == {
        name: data for name, data in before.items() if name != CORE
    }
    assert await world.drain(process)
    assert brief(world.alerts())[-1] in ("service:open", "service:updated")


async def test_killed_while_rebuilding_it_is_rebuilt_all_the_same() -> None:
    """Mutation: do not keep `rebuilding` in the core; the second process publishes all alerts again."""
    world = World(SETTINGS)
    for i in range(400):
        world.append(signal(f"features.f{i}:distribution", at=i))
    assert await world.drain(world.process())
    said = world.said()
    world.server.wipe()
    dying = world.process()
    dying.traps.set("before_commit", kill, skip=2)
    with pytest.raises(Killed):
        await dying.worker.ensure()
    await world.process().worker.ensure()
    assert world.said()[: len(said)] == said
    assert brief(world.alerts())[len(said) :] == ["service:open"]


async def test_the_first_start_is_no_loss() -> None:
    world = World(SETTINGS)
    world.append(signal())
    process = world.process()
    await process.worker.ensure()
    assert not process.notes.of("state_lost")
    assert len(world.said()) == 2


async def test_row_15_records_gone_unread_are_said_aloud() -> None:
    world = World(SETTINGS)
    await world.process().worker.ensure()
    for i in range(5):
        world.append(signal("error:rate", i + 1, "resolved", at=i))
    world.log.trim("signals", 0, 3)
    process = world.process()
    await process.worker.ensure()
    assert process.notes.of("gap")
    assert process.worker.state is not None
    assert await world.drain(process)
    assert process.worker.state.positions["signals"] == 6
    assert brief(world.alerts()) == ["service:open"]


async def test_poison_is_dead_lettered_and_gone_on_behind() -> None:
    world = World(SETTINGS)
    for value in (b"{", b"", None, b'{"id": 1}'):
        world.log.append("signals", 0, value)
        world.log.append("lifecycle", 0, value)
        world.log.append("commands", 0, value)
    world.append(signal())
    assert await world.drain(world.process())
    assert len(world.log.records("deadletter", 0)) == 12
    assert len(world.said()) == 2


async def test_row_10_our_own_failure_is_dead_lettered(monkeypatch: pytest.MonkeyPatch) -> None:
    """And row 45: what it says is not told. Mutations: catch only Poison in ReactWorker._take, and the worker ends;
    tell `repr(error)` there."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("canary")

    world = World(SETTINGS)
    process = world.process()
    await process.worker.ensure()
    monkeypatch.setattr("driftline.react.worker.react", broken)
    world.append(signal())
    assert await world.drain(process)
    (letter,) = world.log.records("deadletter", 0)
    assert letter.value is not None
    assert b"fold_error" in letter.value
    ((_, told),) = process.notes.of("fold_failed")
    assert told.startswith("ZeroDivisionError at driftline.react.worker:")
    assert b"canary" not in letter.value


async def test_unreadable_state_is_set_aside() -> None:
    world = await clean_run(story(), SETTINGS)
    slot = world.server.contents.slots[SLOT]
    slot.fields[field_of("n")] = b"rubbish"
    process = world.process()
    await process.worker.ensure()
    assert process.notes.of("quarantined") == [("quarantined", field_of("n"))]
    assert field_of("n") not in fields(world)
    assert process.worker.state is not None
    assert sorted(process.worker.state.models) == ["", "m"]
    slot.fields[CORE] = b"rubbish"
    said = set(world.said())
    rebuilt = world.process()
    await rebuilt.worker.ensure()
    assert rebuilt.worker.state is not None
    assert sorted(rebuilt.worker.state.models) == ["", "m", "n"]
    assert set(world.said()) == said


async def test_ticks_are_appended_by_the_active_only_and_once() -> None:
    world = World(SETTINGS)
    process = world.process()
    assert not await process.worker.tick(1, [])
    await process.worker.ensure()
    assert await process.worker.tick(tick(0).time, [])
    assert not await process.worker.tick(tick(0).time, [])
    assert await process.worker.tick(tick(1).time, [])
    assert len(world.log.records("commands", 0)) == 2
    process.worker.revoked()
    assert not await process.worker.tick(tick(2).time, [])


async def test_a_store_that_is_away_is_waited_for() -> None:
    world = World(SETTINGS)
    process = world.process()
    process.traps.set("before_acquire", time_out, times=4)
    process.traps.set("before_commit", time_out, times=4)
    world.append(signal())
    assert await world.drain(process)
    assert len(world.said()) == 2


async def test_revoked_in_the_middle_nothing_is_lost() -> None:
    """Mutation: keep the state after an error in ReactWorker._persist; the outbox that was written and not
    published is replaced by the next write."""
    world = World(SETTINGS)
    process = world.process()
    await process.worker.ensure()

    async def revoke() -> None:
        process.worker.revoked()
        await time_out()

    process.traps.set("before_publish", revoke)
    world.append(signal())
    assert await world.deliver(process, "signals", world.log.records("signals", 0)[0])
    assert world.said() == []
    process.worker.assigned()
    world.append(signal("error:rate", 2, "resolved", at=DAY))
    assert await world.drain(process)
    assert brief(world.alerts()) == ["performance:open", "performance:resolved"]
