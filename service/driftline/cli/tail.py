"""`driftline tail`: signals as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, note, out, printable, settings
from driftline.cli.connect import patiently, pause, reading, run
from driftline.contracts.records import Signal
from driftline.errors import Transient
from driftline.runtime.log import LogReader, Record

EXAMPLES: Final = "Examples: `driftline tail`, `driftline tail --from-start --for 5 --json`"
CHUNK: Final = 1_000
POLL_S: Final = 0.25
LOOK_S: Final = 5.0
"""How often the log's bounds are looked at: it may have been trimmed, or created anew."""

_COLOURS: Final = {"alarm": "bold red", "resolved": "green", "info": "cyan"}
_signals: Final = msgspec.json.Decoder(Signal)


async def follow(
    reader: LogReader,
    topic: str,
    stop: asyncio.Event,
    *,
    from_start: bool = False,
    say: Callable[[str], None] = note,
    poll_s: float = POLL_S,
    look_s: float = LOOK_S,
) -> AsyncIterator[Record]:
    """Records of all partitions as they come, until `stop`; those there already with `from_start`.

    A broker that is away is waited for and said once; what was trimmed unread, or a log that was created anew,
    is said too.
    """
    bounds = await patiently(lambda: reader.bounds(topic))
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


def line_of(signal: Signal) -> Text:
    """A signal in one line for a person."""
    moment = datetime.fromtimestamp(signal.time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    colour = _COLOURS.get(signal.state, "")
    return Text.assemble(
        (f"{moment}Z ", "dim"),
        (f"{signal.state:8} ", colour),
        (f"{printable(signal.model)} {printable(signal.version)} ", "bold"),
        f"{printable(signal.monitor)}: {printable(signal.sentence)}",
    )


def show(record: Record, json: bool) -> None:
    """Print a record. What cannot be read is said, and passed over."""
    if record.value is None:
        return
    try:
        signal = _signals.decode(record.value)
        if json:
            typer.echo(msgspec.json.encode(signal).decode())
        else:
            out.print(line_of(signal), soft_wrap=True, highlight=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        note(f"{record.topic}/{record.partition} offset {record.offset}: no signal ({type(error).__name__})")


def tail(
    config: ConfigFile = None,
    json: Json = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Also those that are there already.")] = False,
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0, help="End by itself after so long.")
    ] = None,
) -> None:
    """Print signals as they come: alarms, what is resolved, what the service says of itself.

    Ctrl-C ends it, with exit code 0.
    """
    loaded = settings(config).config

    async def work(stop: asyncio.Event) -> None:
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        async with reading(loaded) as reader:
            async for record in follow(reader, loaded.topics.signals, stop, from_start=from_start):
                show(record, json)

    run(work)
