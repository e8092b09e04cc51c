"""The retraining subscriber on a log in memory: each request until it is answered, always with the same id."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from client.making import HOUR, LIFECYCLE, NOW, RETRAINING, World, request
from driftline.client import Job, LifecycleReporter, RetrainingRequest, RetrainingSubscriber
from driftline.client import answers as answers_module
from driftline.clock import ManualClock
from driftline.contracts.records import Lifecycle
from driftline.errors import Misconfigured, PublishRefused, Transient

Make = Callable[..., RetrainingSubscriber]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World(clock)


@pytest.fixture
async def make(world: World) -> AsyncIterator[Make]:
    made: list[RetrainingSubscriber] = []

    def subscriber(job: str = "train", **options: Any) -> RetrainingSubscriber:
        made.append(RetrainingSubscriber("memory:1", job=job, clock=world.clock, connect=world.connect, **options))
        return made[-1]

    yield subscriber
    for each in made:
        await each.close()


async def given(subscriber: RetrainingSubscriber) -> RetrainingRequest:
    """The next request; a failure where there is none."""
    return await asyncio.wait_for(anext(subscriber), 5)


async def nothing(subscriber: RetrainingSubscriber) -> bool:
    """Whether it has nothing to give, after it has looked at everything there is."""
    try:
        await asyncio.wait_for(anext(subscriber), 0.2)
    except TimeoutError:
        return True
    return False


async def kill(world: World, job: str = "train") -> None:
    """The group's members vanish without a word, as after SIGKILL and the session's end."""
    group = world.groups[RETRAINING, f"driftline.job.{job}"]
    for member in list(group.members):
        group.expel(member)


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


def test_the_memory_of_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MAX_IDS", 3)
    answers = answers_module.Answers(World().connect(None).reader, LIFECYCLE, "train")  # type: ignore[arg-type]
    for i in (1, 2, 3, 1, 4, 5):
        event = Lifecycle(id="", what="deployed", model="m", version="1", time=0, request=f"r{i}")
        answers.take(event)
    assert [i for i in range(1, 6) if answers.answered(f"r{i}")] == [1, 4, 5]


async def test_only_the_tail_of_the_answers_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "TAIL", 2)
    connection = world.connect(None)  # type: ignore[arg-type]
    async with LifecycleReporter("memory:1", connect=world.connect) as reporter:
        answers = answers_module.Answers(connection.reader, LIFECYCLE, "train")
        for i in range(4):
            await reporter.deployed("m", "1", request=f"r{i}")
        world.log.append(LIFECYCLE, 0, b"poison")
        await answers.catch_up()
        assert [i for i in range(4) if answers.answered(f"r{i}")] == [3]
        for i in range(4, 9):
            await reporter.deployed("m", "1", request=f"r{i}")
        await answers.catch_up()
        assert [i for i in range(9) if answers.answered(f"r{i}")] == [3, 4, 5, 6, 7, 8]
