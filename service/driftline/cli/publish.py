"""`driftline publish`: a file of events, a JSON object a line, onto the events topic."""

from __future__ import annotations

import asyncio
import gzip
import io
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Final

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from driftline.cli.app import ConfigFile, err, note, out, settings
from driftline.cli.connect import patiently, reading, run, writing
from driftline.config import Config
from driftline.contracts.mapping import find
from driftline.errors import Misconfigured
from driftline.runtime.log import LogWriter, Outgoing

BATCH_RECORDS: Final = 5_000
BATCH_BYTES: Final = 4 << 20
EXAMPLES: Final = "Examples: `driftline publish events.jsonl.gz`, `zcat *.gz | driftline publish -`"
SHOWN: Final = 20
"""So many refused lines are listed; all are counted."""


@dataclass
class Published:
    """What became of a file's lines. `listed` holds the first refusals: line number and why."""

    published: int = 0
    refused: int = 0
    blank: int = 0
    listed: list[tuple[int, str]] = field(default_factory=list)

    def refuse(self, number: int, why: str) -> None:
        self.refused += 1
        if len(self.listed) < SHOWN:
            self.listed.append((number, why))


class Lines:
    """Lines of a file, numbered from 1, with at most `limit` bytes of each held in memory (None: longer)."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = limit

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        number = 0
        while line := self._file.readline(self._limit + 2):
            number += 1
            if len(line) <= self._limit + 1 and (line.endswith(b"\n") or len(line) <= self._limit):
                yield number, line.rstrip(b"\r\n")
                continue
            while line and not line.endswith(b"\n"):
                line = self._file.readline(1 << 16)
            yield number, None


def partition_of(id_: bytes, partitions: int) -> int:
    """Where an event belongs: crc32 of its id, so that what has one id keeps its order."""
    return zlib.crc32(id_) % partitions


def event_id(line: bytes, path: str) -> bytes | None:
    """The id at a dotted path, as the text it stands for. None if there is none; ValueError (with why) if the
    line is no JSON object."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} (column {error.colno})") from None
    if not isinstance(event, dict):
        raise ValueError("JSON, but no object")
    found = find(event, path)
    return str(found).encode() if isinstance(found, str | int) and not isinstance(found, bool) else None


async def publish_lines(
    lines: Lines,
    writer: LogWriter,
    topic: str,
    partitions: int,
    *,
    id_path: str = "id",
    raw: bool = False,
    batch_records: int = BATCH_RECORDS,
    stop: asyncio.Event | None = None,
    advanced: Callable[[int], None] = lambda published: None,
) -> Published:
    """Publish every line that is a JSON object (`raw`: every line) and count the rest.

    Batches are acknowledged before the next is read, so memory is bounded and what is counted has arrived.
    """
    done = Published()
    batch: list[Outgoing] = []
    size = 0

    async def flush() -> None:
        nonlocal batch, size
        if batch:
            await patiently(lambda: writer.publish(batch))
            done.published += len(batch)
            advanced(done.published)
        batch, size = [], 0

    for number, line in lines:
        if stop is not None and stop.is_set():
            break
        if line is None:
            done.refuse(number, "longer than kafka.max_message_bytes")
            continue
        if not line.strip():
            done.blank += 1
            continue
        id_: bytes | None = None
        try:
            id_ = event_id(line, id_path)
        except ValueError as error:
            if not raw:
                done.refuse(number, str(error))
                continue
        batch.append(Outgoing(topic, partition_of(id_ or line, partitions), id_, line))
        size += len(line)
        if len(batch) >= batch_records or size >= BATCH_BYTES:
            await flush()
    await flush()
    return done


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int], int | None]]:
    """(lines' file, bytes read so far, bytes in all). `-` is standard input; `.gz` is unpacked."""
    if str(path) == "-":
        yield sys.stdin.buffer, lambda: 0, None
        return
    try:
        with path.open("rb") as file:
            total = path.stat().st_size
            if path.suffix == ".gz":
                with gzip.open(file) as unpacked:
                    yield io.BufferedReader(unpacked, 1 << 20), file.tell, total
            else:
                yield file, file.tell, total
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Misconfigured(
            f"{path}: not a whole gzip file ({error}); what was counted before is published"
        ) from None
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from None


async def publish_file(path: Path, config: Config, raw: bool, stop: asyncio.Event) -> tuple[Published, int, float]:
    """Publish a file with a progress bar: (what became of it, partitions, seconds)."""
    topic = config.topics.events[0]
    mapping = config.ingest.mapping
    bar = Progress(
        TextColumn("{task.fields[count]:,} events"),
        BarColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with opened(path) as (file, position, total):
        async with reading(config) as reader, writing(config) as writer:
            partitions = await patiently(lambda: reader.partitions(topic))
            with bar:
                task = bar.add_task("", total=total, count=0, rate=0.0)
                started = time.monotonic()

                def advanced(count: int) -> None:
                    rate = count / max(time.monotonic() - started, 1e-6)
                    bar.update(task, completed=position() if total else None, count=count, rate=rate)

                done = await publish_lines(
                    Lines(file, config.kafka.max_message_bytes),
                    writer,
                    topic,
                    partitions,
                    id_path=mapping.id if mapping else "id",
                    raw=raw,
                    stop=stop,
                    advanced=advanced,
                )
            return done, partitions, time.monotonic() - started


def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines; .gz is unpacked; - is standard input.")],
    config: ConfigFile = None,
    raw: Annotated[bool, typer.Option("--raw", help="Publish lines that are no JSON objects, too.")] = False,
) -> None:
    """Publish a file of events to the events topic, a JSON object a line.

    Events go to the partition crc32(id). Lines that are no JSON object are not published but listed, and the exit
    code is 1 then. Everything else is for ingest to judge: what it refuses is in `driftline deadletter list`.
    """
    loaded = settings(config).config

    async def work(stop: asyncio.Event) -> tuple[Published, int, float, bool]:
        return *await publish_file(file, loaded, raw, stop), stop.is_set()

    result = run(work)
    if result is None:
        note("cut off before the end of the file; the last batch may be published or not")
        raise typer.Exit(130)
    done, partitions, seconds, stopped = result
    for number, why in done.listed:
        note(f"line {number}: {why}")
    if done.refused > len(done.listed):
        note(f"... and {done.refused - len(done.listed):,} more")
    rate = done.published / max(seconds, 1e-6)
    out.print(
        f"published {done.published:,} events to {loaded.topics.events[0]} ({partitions} partitions) "
        f"in {seconds:.1f} s, {rate:,.0f}/s" + (f"; lines refused: {done.refused:,}" if done.refused else ""),
        highlight=False,
        soft_wrap=True,
    )
    if stopped:
        note("stopped before the end of the file")
        raise typer.Exit(130)
    if done.refused:
        raise typer.Exit(1)
