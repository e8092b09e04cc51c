"""`driftline tail`: signals, alerts and retraining requests as they come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, note, out, settings
from driftline.cli.connect import patiently, pause, reading, run
from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.contracts.records import Signal
from driftline.errors import Misconfigured, Transient
from driftline.runtime.log import LogReader, Record
from driftline.terminal import printable

Shown = Signal | Alert | RetrainingRequested

EXAMPLES: Final = "Examples: `driftline tail`, `driftline tail --topics alerts --from-start --for 5 --json`"
KINDS: Final[dict[str, type[Shown]]] = {"signals": Signal, "alerts": Alert, "retraining": RetrainingRequested}
"""What can be shown, by the topic's name in the configuration."""
CHUNK: Final = 1_000
POLL_S: Final = 0.25
LOOK_S: Final = 5.0
"""How often the log's bounds are looked at: it may have been trimmed, or created anew."""

_COLOURS: Final = {
    "alarm": "bold red",
    "resolved": "green",
    "info": "cyan",
    "open": "bold red",
    "reopened": "bold red",
    "escalated": "bold red",
    "updated": "red",
    "repeated": "red",
    "acknowledged": "cyan",
    "retrain": "bold magenta",
}
_ONE: Final = {"signals": "signal", "alerts": "alert", "retraining": "retraining request"}
_DECODERS: Final[dict[str, msgspec.json.Decoder[Shown]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()
}


async def follow(
    reader: LogReader,
    topic: str,
    stop: asyncio.Event,
    *,
    from_start: bool = False,
    say: Callable[[str], None] = note,
    poll_s: float = POLL_S,
    look_s: float = LOOK_S,
    reached: Callable[[], None] = lambda: None,
) -> AsyncIterator[Record]:
    """Records of all partitions as they come, until `stop`; those there already with `from_start`.

    Transient if the broker cannot be reached at first; `reached` is called once it was. One that goes away later is
    waited for and said once; what was trimmed unread, or a log that was created anew, is said too.
    """
    bounds = await patiently(lambda: reader.bounds(topic))
    reached()
    position = {p: b.begin if from_start else b.end for p, b in bounds.items()}
    away, looked = False, time.monotonic()
    while not stop.is_set():
        quiet = True
        try:
            if time.monotonic() - looked >= look_s:
                looked = time.monotonic()
                for p, b in (await reader.bounds(topic)).items():
                    at = position.setdefault(p, b.begin)
                    if not b.begin <= at <= b.end:
                        held = f"holds {b.begin} to {b.end}"
                        say(f"{topic}/{p}: read up to {at}, but {held}; going on at {b.begin}")
                        position[p] = b.begin
            for p, at in position.items():
                records = await reader.read(topic, p, at, at + CHUNK)
                for record in records:
                    position[p] = record.offset + 1
                    yield record
                    if stop.is_set():
                        return
                quiet = quiet and not records
            away = False
        except Transient as error:
            if not away:
                say(f"waiting: {error}")
            away = True
        if quiet:
            await pause(stop, poll_s)


def line_of(shown: Shown) -> Text:
    """A signal, an alert or a request in one line for a person."""
    moment = datetime.fromtimestamp(shown.time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    state: str
    match shown:
        case Signal():
            state, about, sentence = shown.state, shown.monitor, shown.sentence
        case Alert():
            held = f" (nobody is told: {shown.held})" if shown.held is not None else ""
            state, about = shown.status, f"{shown.severity} {shown.cause}"
            sentence = f"{shown.sentence}{held}"
        case RetrainingRequested():
            state, about, sentence = shown.decision, shown.rule, f"{shown.reason} {shown.window.why}"
    return Text.assemble(
        (f"{moment}Z ", "dim"),
        (f"{state:8} ", _COLOURS.get(state, "")),
        (f"{printable(shown.model)} {printable(shown.version)} " if shown.model else "", "bold"),
        f"{printable(about)}: {printable(sentence)}",
    )


def show(record: Record, json: bool, kind: str = "signals") -> None:
    """Print a record. What cannot be read is said, and passed over."""
    if record.value is None:
        return
    try:
        shown = _DECODERS[kind].decode(record.value)
        if json:
            typer.echo(msgspec.json.encode(shown).decode())
        else:
            out.print(line_of(shown), soft_wrap=True, highlight=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        note(f"{record.topic}/{record.partition} offset {record.offset}: no {_ONE[kind]} ({type(error).__name__})")


async def follow_all(
    readers: Mapping[str, tuple[LogReader, str]],
    stop: asyncio.Event,
    *,
    from_start: bool,
    reached: Callable[[], None] = lambda: None,
) -> AsyncIterator[tuple[str, Record]]:
    """(kind, record) of several topics as they come. Each topic is in order; between topics there is none.

    `reached` is called once all of them were. What ends one of them ends all.
    """
    arrived: asyncio.Queue[tuple[str, Record] | None] = asyncio.Queue(CHUNK)
    away = set(readers)

    def found(kind: str) -> None:
        away.discard(kind)
        if not away:
            reached()

    async def read(kind: str, reader: LogReader, topic: str) -> None:
        try:
            async for record in follow(reader, topic, stop, from_start=from_start, reached=lambda: found(kind)):
                await arrived.put((kind, record))
        finally:
            await arrived.put(None)

    tasks = [asyncio.create_task(read(kind, *where)) for kind, where in readers.items()]
    try:
        open_ = len(tasks)
        while open_:
            item = await arrived.get()
            if item is not None:
                yield item
                continue
            open_ -= 1
            for task in tasks:
                if task.done():  # as whoever has put a None is
                    task.result()
    finally:
        for task in tasks:
            task.cancel()


def _kinds(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        wanted = ", ".join(KINDS)
        raise Misconfigured(f"--topics: {', '.join(unknown) or 'nothing'} cannot be shown; choose among {wanted}")
    return list(dict.fromkeys(names))


def tail(
    config: ConfigFile = None,
    json: Json = False,
    topics: Annotated[
        str, typer.Option("--topics", help=f"What to show, separated by commas: {', '.join(KINDS)}.")
    ] = ",".join(KINDS),
    from_start: Annotated[bool, typer.Option("--from-start", help="Also those that are there already.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=0, help="End by itself so long after the log has answered."),
    ] = None,
) -> None:
    """Print verdicts, alerts and retraining requests as they come.

    Ctrl-C ends it, with exit code 0.
    """
    kinds = _kinds(topics)
    loaded = settings(config).config

    async def work(stop: asyncio.Event) -> None:
        def reached() -> None:
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, stop.set)

        async with contextlib.AsyncExitStack() as stack:
            # A reader reads one thing at a time: one for each topic, so that none waits for another.
            readers = {
                kind: (await stack.enter_async_context(reading(loaded)), getattr(loaded.topics, kind))
                for kind in kinds
            }
            async for kind, record in follow_all(readers, stop, from_start=from_start, reached=reached):
                show(record, json, kind)

    run(work)
