"""The retraining subscriber on a log in memory: each request until it is answered, always with the same id."""

from __future__ import annotations

import asyncio
import logging

import pytest

from client.making import HOUR, LIFECYCLE, NOW, RETRAINING, World, request
from client.subscribing import Make, given, kill, nothing
from driftline.client import Job, RetrainingSubscriber
from driftline.errors import Misconfigured, PublishRefused, Transient


async def test_a_request_is_worked_on(world: World, make: Make) -> None:
    world.ask(request("r1"))
    async with make() as requests:
        asked = await given(requests)
        assert (asked.id, asked.model, asked.version, asked.strategy) == ("r1", "flights", "7", "full")
        assert (asked.window.start, asked.window.to, asked.reason) == (NOW - HOUR, NOW, "Errors have risen.")
        assert not asked.started_before
        async with asked.working() as job:
            assert [(e.what, e.version) for e in world.told()] == [("retraining.started", "7")]
            assert world.committed("train") is None
            job.version = "8"
            job.metrics["error"] = 0.25
        assert world.committed("train") == 1
        await asked.deployed("8", details={"where": "eu"})
    assert [(e.what, e.version, e.request, e.time) for e in world.told()] == [
        ("retraining.started", "7", "r1", NOW),
        ("retraining.succeeded", "8", "r1", NOW),
        ("deployed", "8", "r1", NOW),
    ]
    assert [e.details for e in world.told()] == [
        {"job": "train"},
        {"job": "train", "error": 0.25},
        {"job": "train", "where": "eu"},
    ]


async def test_without_a_version_it_is_the_one_asked_about(world: World, make: Make) -> None:
    world.ask(request())
    async with make() as requests, (await given(requests)).working() as job:
        job.metrics["job"] = "another"  # a job cannot pass for another
    assert [(e.version, e.details) for e in world.told()][1] == ("7", {"job": "train"})


async def test_a_failure_is_told_by_its_type_and_passes_on(world: World, make: Make) -> None:
    """E45. Mutation: tell `str(error)` in `working`: the password is on the topic."""
    world.ask(request("r1"))
    world.ask(request("r2"))
    async with make() as requests:
        with pytest.raises(OSError, match="canary"):
            async with (await given(requests)).working():
                raise OSError("password canary refused")
        assert world.committed("train") == 1
        with pytest.raises(asyncio.QueueEmpty):
            async with (await given(requests)).working():
                raise asyncio.QueueEmpty
    assert [(e.what, e.details.get("error")) for e in world.told()] == [
        ("retraining.started", None),
        ("retraining.failed", "OSError"),
        ("retraining.started", None),
        ("retraining.failed", "asyncio.queues.QueueEmpty"),
    ]
    assert not any(b"canary" in (r.value or b"") for r in world.log.records(LIFECYCLE, 0))


async def test_killed_between_started_and_its_answer(world: World, make: Make) -> None:
    """A1. Mutation: commit in `_given`, before the work: the request is lost with the worker."""
    world.ask(request("r1"))
    first = make()
    await first.start()
    work = (await given(first)).working()
    await work.__aenter__()
    await kill(world)
    async with make() as second:
        asked = await given(second)
        assert (asked.id, asked.started_before) == ("r1", True)
        async with asked.working():
            pass
        assert await nothing(second)
    told = world.told()
    assert [e.what for e in told] == ["retraining.started", "retraining.started", "retraining.succeeded"]
    assert told[0].id == told[1].id
    assert world.committed("train") == 1


async def test_killed_between_the_answer_and_the_commit(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2. Mutation: do not ask `answered` in `_for_us`: an answered request is trained for once more."""
    world.ask(request("r1"))
    first = make()

    async def die(record: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(first, "_commit", die)
    await first.start()
    with pytest.raises(asyncio.CancelledError):
        async with (await given(first)).working():
            pass
    await kill(world)
    assert world.committed("train") is None
    async with make() as second:
        assert await nothing(second)
        world.ask(request("r2"))
        assert (await given(second)).id == "r2"
    assert [e.what for e in world.told()] == ["retraining.started", "retraining.succeeded"]
    assert world.committed("train") == 1


async def test_a_repeated_request_is_given_once(world: World, make: Make) -> None:
    """A2, at the sender: react publishes its outbox again. Mutation: neither `take` the answer in
    `settled` nor `catch_up` in `_for_us`: it is given twice."""
    world.ask(request("r1"))
    world.ask(request("r1"))
    async with make() as requests:
        async with (await given(requests)).working():
            pass
        world.ask(request("r1"))
        assert await nothing(requests)
        assert world.committed("train") == 3


async def test_a_zombie_does_not_get_its_request_again(
    world: World, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A5. The group takes the partition away while it works; its answer counts all the same."""
    world.ask(request("r1"))
    world.ask(request("r2"))
    first, second = make(), make()
    await first.start()
    async with (await given(first)).working():
        group = world.groups[RETRAINING, "driftline.job.train"]
        zombie = group.members[0]
        group.expel(zombie)
        await second.start()
        assert (await given(second)).id == "r1"
    assert "another instance" in caplog.text
    assert world.committed("train") is None
    await kill(world)
    await group.rejoin(zombie)
    assert (await given(first)).id == "r2"


async def test_a_cancelled_work_comes_again(world: World, make: Make) -> None:
    world.ask(request("r1"))
    async with make() as requests:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), (await given(requests)).working():
                await asyncio.Event().wait()
        again = await given(requests)
        assert (again.id, again.started_before) == ("r1", True)
        assert [e.what for e in world.told()] == ["retraining.started"]
        assert world.committed("train") is None


async def test_the_next_only_after_the_last(world: World, make: Make) -> None:
    world.ask(request("r1"))
    world.ask(request("r2"))
    async with make() as requests:
        first = await given(requests)
        with pytest.raises(RuntimeError, match="not settled"):
            await anext(requests)
        await first.decline()
        assert (await given(requests)).id == "r2"
    assert world.told() == []
    assert world.committed("train") == 1
    async with make() as requests:
        assert (await given(requests)).id == "r2"


async def test_a_broker_that_is_away(world: World, make: Make) -> None:
    """B13. Mutation: call the writer without `patiently`: hours of training end in Transient."""
    world.log.available = False
    requests = make()
    starting = asyncio.create_task(requests.start())
    await asyncio.sleep(0.06)
    assert not starting.done()
    world.log.available = True
    await starting
    world.ask(request("r1"))
    async with (await given(requests)).working() as job:
        job.version = "8"
        world.errors += [Transient("away"), Transient("away")]
    assert [e.what for e in world.told()] == ["retraining.started", "retraining.succeeded"]
    assert world.committed("train") == 1


async def test_where_it_may_not_write_nothing_is_trained(world: World, make: Make) -> None:
    world.ask(request("r1"))
    world.log.refused.add(LIFECYCLE)
    async with make() as requests:
        with pytest.raises(PublishRefused):
            async with (await given(requests)).working():
                raise AssertionError
        with pytest.raises(PublishRefused):
            await requests.run(lambda job: None)
        world.log.refused.clear()
        assert (await given(requests)).id == "r1"


async def test_missing_topics_and_bad_names(world: World, make: Make) -> None:
    with pytest.raises(Misconfigured, match="job"):
        make("a b")
    for topic in (RETRAINING, LIFECYCLE):
        held = World()
        held.log.delete(topic)
        with pytest.raises(Misconfigured, match=topic):
            async with RetrainingSubscriber("memory:1", job="train", connect=held.connect):
                pass


async def test_run_with_a_function_and_with_a_coroutine(
    world: World, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    for i in range(4):
        world.ask(request(f"r{i}"))
    requests = make()

    def plain(job: Job) -> None:
        job.version = job.request.id
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()  # it has a thread of its own
        if job.request.id == "r1":
            raise ZeroDivisionError
        if job.request.id == "r2":
            requests.stop()

    async def coroutine(job: Job) -> None:
        await asyncio.sleep(0)
        job.version = job.request.id
        last.stop()

    async with requests:
        await requests.run(plain)
    last = make()
    async with last:
        await last.run(coroutine)
    answers = [(e.what.rpartition(".")[2], e.version) for e in world.told() if e.what != "retraining.started"]
    assert answers == [("succeeded", "r0"), ("failed", "7"), ("succeeded", "r2"), ("succeeded", "r3")]
    assert len(caplog.records) == 1


async def test_stop_while_the_broker_is_away(world: World, make: Make) -> None:
    requests = make()
    await requests.start()
    world.ask(request("r1"))
    waiting = asyncio.create_task(anext(requests))
    world.log.available = False
    await asyncio.sleep(0.02)
    requests.stop()
    with pytest.raises(StopAsyncIteration):
        await waiting
