"""Following a topic, and showing what others wrote without letting it steer the terminal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.letters import signal
from driftline.cli import app
from driftline.cli.tail import follow, follow_all, show, tail
from driftline.clock import ManualClock
from driftline.errors import Misconfigured
from driftline.runtime.log import LogReader, Record
from driftline.runtime.memory_log import MemoryLog, MemoryReader

TOPIC = "signals"


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(ManualClock(1_000), {TOPIC: 1})


async def followed(log: MemoryLog, count: int, said: list[str], from_start: bool = False) -> list[int]:
    """Offsets of the next `count` records."""
    stop = asyncio.Event()
    offsets: list[int] = []
    async with asyncio.timeout(5):
        async for record in follow(
            MemoryReader(log), TOPIC, stop, say=said.append, from_start=from_start, poll_s=0.001, look_s=0
        ):
            offsets.append(record.offset)
            if len(offsets) == count:
                stop.set()
    return offsets


async def test_from_the_start_and_from_the_end(log: MemoryLog) -> None:
    for _ in range(3):
        log.append(TOPIC, 0, signal())
    assert await followed(log, 3, [], from_start=True) == [0, 1, 2]
    task = asyncio.create_task(followed(log, 2, []))
    while not task.done():
        await asyncio.sleep(0.005)
        log.append(TOPIC, 0, signal())
    assert (await task)[0] >= 3


async def test_a_log_that_is_away_is_waited_for_and_said_once(log: MemoryLog) -> None:
    said: list[str] = []
    log.append(TOPIC, 0, signal())
    task = asyncio.create_task(followed(log, 2, said, from_start=True))
    await asyncio.sleep(0.02)
    log.available = False
    await asyncio.sleep(0.02)
    log.append(TOPIC, 0, signal())
    log.available = True
    assert await task == [0, 1]
    assert len(said) == 1


async def test_a_log_made_anew_is_read_from_its_beginning(log: MemoryLog) -> None:
    for _ in range(5):
        log.append(TOPIC, 0, signal())
    said: list[str] = []
    task = asyncio.create_task(followed(log, 1, said))
    await asyncio.sleep(0.02)
    log.create(TOPIC, 1)
    log.append(TOPIC, 0, signal())
    assert await task == [0]
    assert "read up to 5, but holds 0 to 1" in said[0]


def read(log: MemoryLog, value: bytes | None) -> Record:
    log.append(TOPIC, 0, value)
    return log.records(TOPIC, 0)[-1]


def test_json_is_one_signal_a_line(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    show(read(log, signal("two\nlines")), json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["sentence"] == "two\nlines"


def test_row_37_names_cannot_steer_the_terminal(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Mutation: return `text` from terminal.printable; the escape sequence reaches the terminal."""
    show(read(log, signal("a\x1b]0;owned\x07\nb\u202e [bold]c[/bold]", model="m\x1b[2J")), json=False)
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 1
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "[bold]c[/bold]" in shown


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_what_is_no_signal_is_said(log: MemoryLog, value: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    show(read(log, value), json=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "offset 0: no signal" in captured.err


def test_a_tombstone_is_nothing(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    show(read(log, None), json=False)
    assert capsys.readouterr() == ("", "")


EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples" / "valid"


@pytest.mark.parametrize(
    ("kind", "example", "words"),
    [
        ("alerts", "alert", "open     fraud 7 critical performance: The error rate went"),
        ("alerts", "alert-resolved", "resolved fraud 7"),
        ("retraining", "retraining-requested", "retrain  fraud 7 error_alarm: The error rate went"),
    ],
)
def test_alerts_and_requests_are_a_line_each(
    log: MemoryLog, kind: str, example: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = (EXAMPLES / f"{example}.json").read_bytes()
    show(read(log, value), json=False, kind=kind)
    (line,) = capsys.readouterr().out.splitlines()
    assert words in line
    show(read(log, value), json=True, kind=kind)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["id"] == json.loads(value)["id"]


async def test_several_topics_are_followed_at_once(log: MemoryLog) -> None:
    log.create("alerts", 1)
    for topic in (TOPIC, "alerts"):
        log.append(topic, 0, signal())
    stop = asyncio.Event()
    readers: dict[str, tuple[LogReader, str]] = {
        "signals": (MemoryReader(log), TOPIC),
        "alerts": (MemoryReader(log), "alerts"),
    }
    found: list[str] = []
    async with asyncio.timeout(5):
        async for kind, _ in follow_all(readers, stop, from_start=True):
            found.append(kind)
            if len(found) == 2:
                stop.set()
    assert sorted(found) == ["alerts", "signals"]


async def test_a_topic_that_is_not_there_ends_all(log: MemoryLog) -> None:
    """Mutation: count the end in follow_all without looking at the task; the other topic is followed for ever."""
    readers: dict[str, tuple[LogReader, str]] = {
        "signals": (MemoryReader(log), TOPIC),
        "alerts": (MemoryReader(log), "alerts"),
    }
    with pytest.raises(Misconfigured, match="there is no topic"):
        async with asyncio.timeout(5):
            async for _ in follow_all(readers, asyncio.Event(), from_start=True):
                pass


def test_a_broker_that_is_away_is_an_error_however_short_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: count `--for` from the start in `tail`; the command ends before the broker is given up, with 0."""
    monkeypatch.setattr("driftline.cli.connect.PATIENCE_S", 0.3)
    monkeypatch.setattr("driftline.cli.connect.GRACE_S", 0.0)
    away = CliRunner(env={"DRIFTLINE_KAFKA__BOOTSTRAP": "127.0.0.1:1", "DRIFTLINE_CONFIG": None})
    result = away.invoke(app, ["tail", "--for", "0"])
    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr
    assert "config check" in result.stderr


def test_a_topic_that_cannot_be_shown_is_refused() -> None:
    with pytest.raises(Misconfigured, match="choose among signals, alerts, retraining"):
        tail(topics="signals,events")
