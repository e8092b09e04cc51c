"""Logs: declared events, one line each, bounded, without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from driftline.errors import Transient
from driftline.telemetry.declared_events import EVENTS
from driftline.telemetry.logs import MAX_ITEMS, MAX_TEXT, UndeclaredEvent, log, setup

CANARY = "canary-5f2e"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("driftline")
    before = (list(root.handlers), root.level, ours.level)
    yield io.StringIO()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object(stream: io.StringIO) -> None:
    setup("INFO", "json", stream=stream)
    log("partition.owned", stage="ingest", partition=3, start=17, again=None)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "partition.owned",
        "stage": "ingest",
        "partition": 3,
        "start": 17,
        "again": None,
    }


def test_an_undeclared_event_is_refused_whatever_the_level(stream: io.StringIO) -> None:
    setup("ERROR", "json", stream=stream)
    with pytest.raises(UndeclaredEvent):
        log("partition.owend")
    with pytest.raises(UndeclaredEvent):
        log("partition.owned", level="x")
    log("partition.owned")
    assert stream.getvalue() == ""


def test_levels_are_those_declared(stream: io.StringIO) -> None:
    setup("DEBUG", "json", stream=stream)
    for event in EVENTS:
        log(event.name)
    assert [(e.name, logging.getLevelName(e.level).lower()) for e in EVENTS] == [
        (line["event"], line["level"]) for line in lines(stream)
    ]


def test_values_are_bounded(stream: io.StringIO) -> None:
    setup("INFO", "json", stream=stream)
    nested: list[Any] = []
    nested.append(nested)
    log(
        "service.started",
        text="x" * 100_000,
        many=list(range(10_000)),
        table={str(n): n for n in range(10_000)},
        nested=nested,
        payload=b"y" * 100_000,
        numbers=[float("nan"), float("inf"), 1.5],
        surrogate="a\ud800b",
    )
    (line,) = lines(stream)
    assert len(line["text"]) < MAX_TEXT + 40
    assert len(line["many"]) == len(line["table"]) == MAX_ITEMS
    assert line["payload"] == "(100000 bytes)"
    assert line["numbers"] == ["nan", "inf", 1.5]
    assert line["surrogate"] == "a\\ud800b"
    assert len(stream.getvalue()) < 6_000


@pytest.mark.parametrize("form", ["json", "text"])
def test_row_45_secrets_are_blotted_out_wherever_they_turn_up(
    stream: io.StringIO, form: Literal["json", "text"]
) -> None:
    """Mutation: pass `Hider()` instead of `self._hide` in Formatter.format; the canary is in the lines."""
    quoted = f'{CANARY}"quoted\\'
    setup("DEBUG", form, [CANARY, quoted, "abc"], stream)
    log("call.retrying", error=ValueError(f"redis://:{CANARY}@h"), deep={"a": [f"x{CANARY}"]}, key={CANARY: 1})
    logging.getLogger("aiokafka").warning("connecting with %s", CANARY)
    as_printed = {"shown": quoted, "printed": repr(quoted), "dumped": json.dumps(quoted)}
    log("call.retrying", password=SecretStr(CANARY), **as_printed)
    try:
        raise RuntimeError(CANARY)
    except RuntimeError:
        logging.getLogger("uvicorn").exception("failed abc")
    text = stream.getvalue()
    assert CANARY not in text
    assert len(text.splitlines()) == 4
    assert "failed abc" in text  # too short a secret to be looked for


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as raised:  # noqa: BLE001 - whatever it is
        return raised


@pytest.mark.parametrize("form", ["json", "text"])
def test_row_45_no_exception_repeats_what_it_was_given(stream: io.StringIO, form: Literal["json", "text"]) -> None:
    """Mutation: log the text of any BaseException in logs.plain."""
    setup("DEBUG", form, [], stream)
    log("http.failed", error=_raised(ValueError(CANARY)), nested=[_raised(KeyError(CANARY))])
    logging.getLogger("mode").error("a task failed", exc_info=_raised(RuntimeError(CANARY)))
    log("http.failed", error=_raised(Transient("the broker is away")))
    text = stream.getvalue()
    assert CANARY not in text
    assert "ValueError at " in text and "RuntimeError at" in text
    assert "the broker is away" in text


@pytest.mark.parametrize("form", ["json", "text"])
def test_row_37_a_hostile_name_cannot_forge_a_line(stream: io.StringIO, form: Literal["json", "text"]) -> None:
    """Mutation: return `str(value)` from logs._text; the text case has two lines."""
    setup("INFO", form, stream=stream)
    log("service.started", model='m\n2024-01-01T00:00:00Z ERROR state.lost\r\x1b[31m\u2028 a="b"')
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_text_is_for_people(stream: io.StringIO) -> None:
    setup("INFO", "text", stream=stream)
    log("partition.paused", stage="ingest", reason="dead letter rate", seconds=1.5)
    assert stream.getvalue().split(" ", 1)[1] == (
        'WARNING partition.paused stage=ingest reason="dead letter rate" seconds=1.5\n'
    )


def test_libraries_are_heard_from_warning_on(stream: io.StringIO) -> None:
    setup("INFO", "json", stream=stream)
    logging.getLogger("aiokafka").info("chatter")
    logging.getLogger("aiokafka").warning("trouble %d", 7)
    logging.getLogger("driftline.runtime.redis_client").warning("of our own, unstructured")
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["message"]) == ("library", "aiokafka", "trouble 7")
    assert second["logger"] == "driftline.runtime.redis_client"


def test_setting_up_again_replaces(stream: io.StringIO) -> None:
    other = io.StringIO()
    setup("INFO", "json", stream=other)
    setup("INFO", "json", stream=stream)
    log("service.started")
    assert other.getvalue() == ""
    assert len(lines(stream)) == 1


def test_events_are_named_once_and_explained() -> None:
    names = [event.name for event in EVENTS]
    assert len(names) == len(set(names))
    assert all(event.meaning.endswith(".") for event in EVENTS)
