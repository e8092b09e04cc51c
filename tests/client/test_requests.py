"""Which requests a retraining job is given, and which pass it by."""

from __future__ import annotations

import pytest

from client.making import HOUR, NOW, RETRAINING, World, request
from client.subscribing import Make, given, nothing
from driftline.client import LifecycleReporter
from driftline.clock import ManualClock


async def test_models_and_jobs(world: World, make: Make) -> None:
    """Each job gets every request of its models; what one job answers is not answered for another."""
    for id, model in (("r1", "flights"), ("r2", "trains"), ("r3", "flights")):
        world.ask(request(id, model))
    async with make("trains", models={"trains"}) as trains, make("all") as all_of_them:
        asked = await given(trains)
        assert asked.id == "r2"
        async with asked.working():
            pass
        assert await nothing(trains)
        assert world.committed("trains") == 3
        for id in ("r1", "r2", "r3"):
            asked = await given(all_of_them)
            assert asked.id == id
            async with asked.working():
                pass


async def test_a_deployed_version_answers_for_every_job(world: World, make: Make) -> None:
    world.ask(request("r1"))
    async with LifecycleReporter("memory:1", connect=world.connect) as reporter:
        await reporter.deployed("flights", "8", request="r1")
    async with make() as requests:
        assert await nothing(requests)


async def test_expired_requests_pass_by(world: World, make: Make, clock: ManualClock) -> None:
    """By how long it has lain there, not by its event time: history may be replayed."""
    world.ask(request("old", time=NOW - 10 * 365 * 24 * HOUR, lifetime=HOUR))
    clock.advance(3_500)
    world.ask(request("new", lifetime=HOUR))
    async with make() as requests:
        asked = await given(requests)
        assert asked.id == "old"
        await asked.decline()
    world.groups.clear()
    clock.advance(101)
    async with make() as requests:
        assert (await given(requests)).id == "new"


async def test_what_is_no_request_passes_by(world: World, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """D30. Mutation: let Poison out of `_for_us`: one bad record stops every job for good."""
    for value in (None, b"", b"canary", b"{}"):
        world.log.append(RETRAINING, 0, value)
    world.ask(request("r1"))
    async with make() as requests:
        assert (await given(requests)).id == "r1"
    assert len(caplog.records) == 4
    assert "canary" not in caplog.text


async def test_requests_that_retention_has_taken(world: World, make: Make) -> None:
    """B15. Mutation: seek to the committed offset whatever the bounds: LogGap for ever."""
    for i in range(6):
        world.ask(request(f"r{i}"))
    async with make() as requests:
        await (await given(requests)).decline()
    world.log.trim(RETRAINING, 0, 4)
    async with make() as requests:
        for id in ("r4", "r5"):
            asked = await given(requests)
            assert asked.id == id
            await asked.decline()
        world.log.create(RETRAINING, 1)
        world.ask(request("r9"))
        assert (await given(requests)).id == "r9"
