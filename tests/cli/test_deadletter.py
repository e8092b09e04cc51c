"""Looking at dead letters and replaying them."""

from __future__ import annotations

import pytest

from cli.letters import dead_letter
from driftline.cli.deadletter import REPLAY_HEADER, newest, replay_letters
from driftline.clock import ManualClock
from driftline.config import Config, load
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter


@pytest.fixture
def config() -> Config:
    return load(None, {"DRIFTLINE_TOPICS__PREFIX": "t."}).config


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(ManualClock(1_000), {"t.events": 4, "t.deadletter": 2})


async def test_the_newest_are_listed_oldest_first(log: MemoryLog) -> None:
    for n in range(20):
        reason = "future" if n % 5 == 0 else "json"
        log.append("t.deadletter", n % 2, dead_letter(reason=reason, timestamp=n))
    reader = MemoryReader(log)
    times = [f.letter.timestamp for f in await newest(reader, "t.deadletter", 4, None, 3) if f.letter]
    assert times == [16, 17, 18, 19]
    times = [f.letter.timestamp for f in await newest(reader, "t.deadletter", 3, "future", 3) if f.letter]
    assert times == [5, 10, 15]
    assert len(await newest(reader, "t.deadletter", 100, None)) == 20


async def test_what_is_no_dead_letter_is_passed_over(log: MemoryLog) -> None:
    for value in (b"", b"{}", b"\xff", b"[" * 100_000, None):
        log.append("t.deadletter", 0, value)
    log.append("t.deadletter", 0, dead_letter())
    assert len(await newest(MemoryReader(log), "t.deadletter", 10, None)) == 1


async def test_replay_restores_value_key_headers_and_partition(log: MemoryLog, config: Config) -> None:
    log.append("t.deadletter", 1, dead_letter(b'{"id": "\xff"}', headers={"ce_type": "x"}, partition=6))
    done = await replay_letters(MemoryReader(log), MemoryWriter(log), config)
    (record,) = log.records("t.events", 2)
    assert done.replayed == 1
    assert (record.key, record.value) == (b"k", b'{"id": "\xff"}')
    assert record.headers == (("ce_type", b"x"), (REPLAY_HEADER, b"1/0"))


async def test_replay_of_one_reason_and_dry(log: MemoryLog, config: Config) -> None:
    for reason in ("json", "mapping", "mapping"):
        log.append("t.deadletter", 0, dead_letter(reason=reason))
    reader, writer = MemoryReader(log), MemoryWriter(log)
    dry = await replay_letters(reader, writer, config, reason="mapping", dry_run=True)
    assert (dry.replayed, dry.other_reason, log.bounds("t.events", 2).end) == (2, 1, 0)
    done = await replay_letters(reader, writer, config, reason="mapping")
    assert (done.replayed, done.reasons, log.bounds("t.events", 2).end) == (2, {"mapping": 2}, 2)


async def test_what_is_not_whole_is_said_and_not_replayed(log: MemoryLog, config: Config) -> None:
    log.append("t.deadletter", 0, dead_letter(b"x" * 99, truncated=True, reason="too_large"))
    log.append("t.deadletter", 0, dead_letter(b"abc").replace(b'"YWJj"', b'"YWJk"'))
    log.append("t.deadletter", 0, dead_letter(b"abc").replace(b'"YWJj"', b'"YW"'))
    log.append("t.deadletter", 0, b"no letter")
    done = await replay_letters(MemoryReader(log), MemoryWriter(log), config)
    assert (done.replayed, done.unreadable) == (0, 1)
    assert done.truncated == ["0/0 (99 bytes, too_large)", "0/1 (3 bytes, json)", "0/2 (3 bytes, json)"]
    assert log.bounds("t.events", 2).end == 0


async def test_a_replay_that_is_refused_again_does_not_double(log: MemoryLog, config: Config) -> None:
    """Mutation: drop the REPLAY_HEADER check in deadletter._replay_of; the second replay publishes two."""
    log.append("t.deadletter", 0, dead_letter())
    for _ in range(3):
        done = await replay_letters(MemoryReader(log), MemoryWriter(log), config)
        assert done.replayed == 1
        log.append("t.deadletter", 0, dead_letter(headers={REPLAY_HEADER: "0/0"}))
    assert done.again == 2
