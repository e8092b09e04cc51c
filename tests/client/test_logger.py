"""The event logger on a log in memory: it never raises, never waits, loses nothing it has counted as sent."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from client.making import EVENTS, NOW, Odd, World
from driftline.client import Counts, EventLogger
from driftline.client import sender as sender_module
from driftline.contracts.events import Outcome, Prediction
from driftline.errors import Misconfigured, PublishRefused, Transient


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def loggers(world: World) -> Iterator[Callable[..., EventLogger]]:
    """Makes loggers that are closed in the end."""
    made: list[EventLogger] = []

    def make(**options: Any) -> EventLogger:
        given: dict[str, Any] = {"linger_s": 0.0, "clock": world.clock, "connect": world.connect}
        made.append(EventLogger("memory:1", **given | options))
        return made[-1]

    yield make
    for logger in made:
        logger.close(0)


def predict(logger: EventLogger, id: object = "e1", **more: Any) -> bool:
    return logger.log_prediction(model="flights", version="7", id=id, features={"age": 3.5}, **more)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_both_halves_arrive_on_one_partition(world: World, loggers: Callable[..., EventLogger]) -> None:
    """Mutation: partition by the value: the halves part, and their order with them."""
    logger = loggers()
    for i in range(20):
        assert predict(logger, i, prediction="late")
        assert logger.log_outcome(model="flights", id=i, outcome="early")
    assert logger.flush()
    assert logger.counts() == Counts(queued=0, sent=40, dropped=0, failed=0, invalid=0)
    where: dict[bytes | None, set[int]] = {}
    for partition in range(4):
        for record in world.log.records(EVENTS, partition):
            where.setdefault(record.key, set()).add(partition)
    assert len(where) == 20
    assert all(len(partitions) == 1 for partitions in where.values())
    events = world.events()
    assert sorted(type(e).__name__ for e in events) == ["Outcome"] * 20 + ["Prediction"] * 20
    assert {e.time for e in events} == {NOW}
    seen: set[str] = set()
    for event in events:
        if isinstance(event, Prediction):
            seen.add(event.id)
        assert not isinstance(event, Outcome) or event.id in seen


class Hostile(dict[str, object]):
    """Raises whatever one does with it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def __len__(self) -> int:
        raise self._error

    def __iter__(self) -> Any:
        raise self._error

    def keys(self) -> Any:
        raise self._error


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), MemoryError(), AssertionError(), OSError()])
def test_nothing_that_is_given_makes_it_raise(error: Exception, loggers: Callable[..., EventLogger]) -> None:
    """Mutation: catch only Poison in `log_prediction`: the error of a strange object ends the prediction."""
    logger = loggers()
    wrong: Any = Hostile(error)
    assert not logger.log_prediction(model="m", version="1", id="e", features=wrong)
    assert not logger.log_prediction(model="m", version="1", id="e", scores=wrong)
    assert not logger.log_outcome(model="m", id="e", outcome=wrong)
    assert logger.counts() == Counts(0, 0, 0, 0, invalid=3)


def test_wrong_input_is_counted_and_logged_once(
    loggers: Callable[..., EventLogger], caplog: pytest.LogCaptureFixture
) -> None:
    """E45: the log names the field, never its value. Mutation: pass the error's text on in `_refused`."""
    caplog.set_level(logging.INFO, "driftline.client")
    logger = loggers()
    for _ in range(50):
        assert not predict(logger, "canary" * 100)
        assert not predict(logger, time=NOW // 1000)
        assert not logger.log_outcome(model="flights", id="e", outcome=object())  # type: ignore[arg-type]
        assert not logger.log_prediction(model="m", version="1", id="e", features=Hostile(ValueError("canary")))
    wait_for(lambda: len(caplog.records) >= 4)
    assert predict(logger)
    assert logger.flush()
    assert logger.counts() == Counts(queued=0, sent=1, dropped=0, failed=0, invalid=200)
    told = [r.getMessage().partition("(")[2].partition(":")[0] for r in caplog.records]
    assert sorted(told) == ["ValueError", "length", "schema", "time_unit"]
    assert "canary" not in caplog.text


def test_a_full_queue_drops_the_newest(world: World, loggers: Callable[..., EventLogger]) -> None:
    world.log.available = False
    logger = loggers(max_records=5)
    assert [predict(logger, i) for i in range(8)] == [True] * 5 + [False] * 3
    assert logger.counts() == Counts(queued=5, sent=0, dropped=3, failed=0, invalid=0)
    world.log.available = True
    assert logger.flush()
    assert sorted(e.id for e in world.events()) == ["0", "1", "2", "3", "4"]
    assert predict(logger, 9)
    assert logger.flush()
    assert logger.counts() == Counts(queued=0, sent=6, dropped=3, failed=0, invalid=0)


def test_the_queue_is_bounded_in_bytes(world: World, loggers: Callable[..., EventLogger]) -> None:
    """B19. Mutation: leave OVERHEAD out of `put`: small events take several times what was allowed."""
    world.log.available = False
    logger = loggers(max_bytes=10_000)
    accepted = sum(predict(logger, i) for i in range(1_000))
    assert 10_000 // 400 < accepted < 10_000 // 160
    assert not logger.log_prediction(model="m", version="1", id="e", features={"text": "x" * 10_000})
    world.log.available = True
    assert logger.flush()
    assert predict(logger, "later")


def test_a_broker_that_is_away_at_the_start_and_later(
    world: World, loggers: Callable[..., EventLogger], caplog: pytest.LogCaptureFixture
) -> None:
    """B13. Mutation: return from `_deliver` on a DriftlineError: what was queued is neither sent nor counted."""
    world.log.available = False
    logger = loggers()
    for i in range(300):
        predict(logger, i)
    assert not logger.flush(0.15)
    assert logger.counts().queued == 300
    world.log.available = True
    assert logger.flush()
    world.log.available = False
    predict(logger, 300)
    assert not logger.flush(0.05)
    world.log.available = True
    assert logger.flush()
    assert sorted(int(e.id) for e in world.events()) == list(range(301))
    wait_for(lambda: len(caplog.records) == 4)
    assert ["not getting through" in r.message for r in caplog.records] == [True, False, True, False]


@pytest.mark.parametrize(
    "error",
    [Transient("x"), Misconfigured("no rights yet"), Odd(), AssertionError("defect"), RuntimeError(), OSError()],
)
def test_no_error_below_ends_the_thread(
    error: Exception, world: World, loggers: Callable[..., EventLogger]
) -> None:
    """Mutation: catch only DriftlineError in `_deliver`: a defect of a library ends the thread unnoticed."""
    world.errors.append(error)
    logger = loggers()
    predict(logger)
    assert logger.flush()
    assert [e.id for e in world.events()] == ["e1"]


def test_after_a_defect_the_connection_is_new(world: World, loggers: Callable[..., EventLogger]) -> None:
    world.errors += [AssertionError(), AssertionError()]
    logger = loggers()
    predict(logger)
    assert logger.flush()
    assert world.connections == 3


def test_a_hanging_publish_is_given_up(
    world: World, loggers: Callable[..., EventLogger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """B20. Mutation: await the publish without a limit: nothing is sent ever again."""
    monkeypatch.setattr(sender_module, "STUCK_S", 0.05)
    publish = sender_module.Sender._publish_once
    calls = []

    async def hang_once(self: sender_module.Sender, batch: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()
        await publish(self, batch)

    monkeypatch.setattr(sender_module.Sender, "_publish_once", hang_once)
    logger = loggers()
    predict(logger)
    assert logger.flush()
    assert logger.counts().sent == 1


def test_a_refused_record_is_found_and_the_rest_is_sent(world: World, loggers: Callable[..., EventLogger]) -> None:
    """B18. Mutation: settle the whole batch as failed: 98 events are lost for two."""
    world.log.max_bytes = 500
    logger = loggers(linger_s=0.2)
    for i in range(100):
        logger.log_prediction(model="m", version="1", id=i, features={"text": "x" * (600 if i in (3, 77) else 6)})
    assert logger.flush()
    assert logger.counts() == Counts(queued=0, sent=98, dropped=0, failed=2, invalid=0)
    assert {e.id for e in world.events()} == {str(i) for i in range(100)} - {"3", "77"}


def test_a_refusal_of_everything_is_counted(world: World, loggers: Callable[..., EventLogger]) -> None:
    world.log.refused.add(EVENTS)
    logger = loggers()
    for i in range(10):
        predict(logger, i)
    assert logger.flush()
    assert logger.counts() == Counts(queued=0, sent=0, dropped=0, failed=10, invalid=0)
    world.log.refused.clear()
    world.errors.append(PublishRefused("once"))
    predict(logger)
    assert logger.flush()
    assert logger.counts().failed == 11


def test_what_close_gives_up_is_counted_as_dropped(world: World, loggers: Callable[..., EventLogger]) -> None:
    world.log.available = False
    logger = loggers()
    for i in range(7):
        predict(logger, i)
    assert not logger.close(0.01)
    assert not predict(logger, 8)
    assert logger.counts() == Counts(queued=0, sent=0, dropped=8, failed=0, invalid=0)
    assert logger.close()
    assert logger.flush()
    assert not [t for t in threading.enumerate() if t.name == "driftline-events"]


def test_an_unused_logger_has_no_thread(loggers: Callable[..., EventLogger]) -> None:
    before = threading.active_count()
    with loggers() as logger:
        assert threading.active_count() == before
        assert logger.flush()
    assert not predict(logger)
    assert threading.active_count() == before


def test_many_threads(world: World, loggers: Callable[..., EventLogger]) -> None:
    logger = loggers(max_records=500)

    def log(first: int) -> None:
        for i in range(first, first + 500):
            predict(logger, i)

    threads = [threading.Thread(target=log, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logger.flush()
    counts = logger.counts()
    assert counts.sent + counts.dropped == 4_000
    assert len({e.id for e in world.events()}) == counts.sent


def test_the_bounds_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EventLogger("memory:1", max_records=0)


async def test_in_a_coroutine(world: World) -> None:
    """While `aflush` waits, others run."""
    world.log.available = False
    async with EventLogger("memory:1", linger_s=0, connect=world.connect) as logger:
        assert predict(logger)
        flushing = asyncio.create_task(logger.aflush())
        await asyncio.sleep(0.02)
        assert not flushing.done()
        world.log.available = True
        assert await flushing
    assert logger.counts().sent == 1


def _in_child(world: World, logger: EventLogger, found: Any) -> None:
    found.send(logger.counts())
    world.log.available = True
    predict(logger, "child")
    found.send((logger.flush(5), logger.counts(), [e.id for e in world.events()]))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_begins_anew(world: World, loggers: Callable[..., EventLogger]) -> None:
    """Mutation: leave out `register_at_fork`: the child's events wait for a thread that is the parent's."""
    world.log.available = False
    logger = loggers()
    predict(logger, "parent")
    wait_for(lambda: world.connections > 0)
    mine, theirs = multiprocessing.Pipe()
    with logger._buffer._lock:  # as it may be held by the sender at that moment
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(world, logger, theirs))
        child.start()
    assert mine.poll(10)
    assert mine.recv() == Counts(0, 0, 0, 0, 0)
    assert mine.poll(10)
    assert mine.recv() == (True, Counts(queued=0, sent=1, dropped=0, failed=0, invalid=0), ["child"])
    child.join(10)
    assert child.exitcode == 0
    assert logger.counts().queued == 1
