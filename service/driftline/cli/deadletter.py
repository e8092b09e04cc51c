"""`driftline deadletter`: what was refused and why, and publishing it once more."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, note, out, settings
from driftline.cli.connect import patiently, reading, writing
from driftline.config import Config
from driftline.contracts.records import DeadLetter
from driftline.runtime.log import LogReader, LogWriter, Outgoing
from driftline.terminal import printable

CHUNK: Final = 500
REPLAY_HEADER: Final = "driftline-replay"
"""Marks a replayed event: value `partition/offset` of the dead letter it comes from."""

_letters: Final = msgspec.json.Decoder(DeadLetter)

commands = typer.Typer(no_args_is_help=True, help="Look at refused records, and replay them.")
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="REASON", help="Only those refused for this reason, such as json.")
]


@dataclass(frozen=True)
class Found:
    """A dead letter and where it lies. `letter` is None where the record is none."""

    partition: int
    offset: int
    letter: DeadLetter | None


def read_letter(value: bytes | None) -> DeadLetter | None:
    try:
        return _letters.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError):
        return None


async def newest(reader: LogReader, topic: str, limit: int, reason: str | None, chunk: int = CHUNK) -> list[Found]:
    """The newest `limit` dead letters (of one reason), oldest first. Reads backwards, no more than it must."""
    kept: list[Found] = []
    bounds = await patiently(lambda: reader.bounds(topic))
    for partition, b in bounds.items():
        here: list[Found] = []
        stop = b.end
        while stop > b.begin and len(here) < limit:
            start = max(b.begin, stop - chunk)
            found = [f async for f in _range(reader, topic, partition, start, stop)]
            here = [f for f in found if f.letter and reason in (None, f.letter.reason)] + here
            stop = start
        kept += here[-limit:]
    kept.sort(key=lambda f: (f.letter.timestamp if f.letter else 0, f.partition, f.offset))
    return kept[-limit:]


async def _range(reader: LogReader, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Found]:
    for record in await patiently(lambda: reader.read(topic, partition, start, stop)):
        yield Found(partition, record.offset, read_letter(record.value))


@dataclass
class Replayed:
    """What became of the dead letters that were there when the replay began."""

    replayed: int = 0
    other_reason: int = 0
    truncated: list[str] = field(default_factory=list)
    again: int = 0
    unreadable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def payload_of(letter: DeadLetter) -> bytes | None:
    """The refused value; None if it is not whole (truncated, or not what its hash says)."""
    if letter.truncated or letter.payload is None:
        return None
    try:
        payload = base64.b64decode(letter.payload, validate=True)
    except (binascii.Error, ValueError):
        return None
    return payload if hashlib.sha256(payload).hexdigest() == letter.sha256 else None


async def replay_letters(
    reader: LogReader, writer: LogWriter, config: Config, *, reason: str | None = None, dry_run: bool = False
) -> Replayed:
    """Publish the values of dead letters to the events topic, in order, marked by REPLAY_HEADER.

    Letters that come from an earlier replay are left out, because their originals are replayed: else every replay
    of what is refused again would double it. Events that were counted meanwhile are dropped by ingest as
    duplicates.
    """
    done = Replayed()
    dead, events = config.topics.deadletter, config.topics.events[0]
    partitions = await patiently(lambda: reader.partitions(events))
    bounds = await patiently(lambda: reader.bounds(dead))
    for partition, b in bounds.items():
        for start in range(b.begin, b.end, CHUNK):
            batch: list[Outgoing] = []
            async for found in _range(reader, dead, partition, start, min(start + CHUNK, b.end)):
                outgoing = _replay_of(found, events, partitions, reason, done)
                if outgoing is not None:
                    batch.append(outgoing)
            if batch and not dry_run:
                await patiently(lambda batch=batch: writer.publish(batch))  # type: ignore[misc]
            done.replayed += len(batch)
    return done


def _replay_of(found: Found, topic: str, partitions: int, reason: str | None, done: Replayed) -> Outgoing | None:
    letter = found.letter
    where = f"{found.partition}/{found.offset}"
    if letter is None:
        done.unreadable += 1
        return None
    if reason is not None and letter.reason != reason:
        done.other_reason += 1
        return None
    if REPLAY_HEADER in letter.headers:
        done.again += 1
        return None
    payload = payload_of(letter)
    if payload is None:
        done.truncated.append(f"{where} ({letter.size:,} bytes, {letter.reason})")
        return None
    done.reasons[letter.reason] += 1
    headers = [(name, text.encode()) for name, text in letter.headers.items()]
    return Outgoing(
        topic,
        letter.origin.partition % partitions,
        None if letter.key is None else letter.key.encode(),
        payload,
        (*headers, (REPLAY_HEADER, where.encode())),
    )


@commands.command(
    "list",
    epilog="Examples: `driftline deadletter list --limit 50`, `driftline deadletter list --reason json --json`",
)
def list_(
    config: ConfigFile = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="So many, the newest.")] = 20,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Show refused records: when, why, and where they came from. Payloads are shown with --json only."""
    loaded = settings(config).config

    async def work() -> list[Found]:
        async with reading(loaded) as reader:
            return await newest(reader, loaded.topics.deadletter, limit, reason)

    found = asyncio.run(work())
    if json:
        for f in found:
            typer.echo(msgspec.json.encode(f.letter).decode())
        return
    if not found:
        out.print("no dead letters" + (f" of reason {printable(reason)}" if reason else ""))
        return
    table = Table("when", "reason", "from", "bytes", "detail")
    for f in found:
        if f.letter is not None:
            table.add_row(*map(Text, _cells(f.letter)))
    out.print(table)


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    moment = datetime.fromtimestamp(letter.timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    origin = f"{letter.origin.topic}/{letter.origin.partition} @ {letter.origin.offset}"
    cells = (moment, letter.reason, origin, f"{letter.size:,}", letter.detail)
    return tuple(printable(cell) for cell in cells)


@commands.command(
    epilog="Examples: `driftline deadletter replay --reason mapping --dry-run`, "
    "`driftline deadletter replay --reason mapping`"
)
def replay(
    config: ConfigFile = None,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be published.")] = False,
) -> None:
    """Publish refused records to the events topic once more, after the cause is mended.

    Their headers say that they are replayed. Those whose payload was too large to keep cannot be replayed: they are
    listed, and the exit code is 1.
    """
    loaded = settings(config).config

    async def work() -> Replayed:
        async with reading(loaded) as reader, writing(loaded) as writer:
            return await replay_letters(reader, writer, loaded, reason=reason, dry_run=dry_run)

    done = asyncio.run(work())
    for where in done.truncated[:20]:
        note(f"not whole, cannot be replayed: dead letter {where}")
    if len(done.truncated) > 20:
        note(f"... and {len(done.truncated) - 20:,} more")
    if done.again:
        note(f"{done.again:,} come from an earlier replay: their originals are replayed instead")
    if done.unreadable:
        note(f"{done.unreadable:,} records on {loaded.topics.deadletter} are no dead letters")
    by_reason = ", ".join(f"{printable(name)} {count:,}" for name, count in done.reasons.most_common())
    verb = "would replay" if dry_run else "replayed"
    records = f"{done.replayed:,} record{'s' * (done.replayed != 1)}"
    out.print(
        f"{verb} {records} to {loaded.topics.events[0]}" + (f" ({by_reason})" if by_reason else ""),
        highlight=False,
        soft_wrap=True,
    )
    if done.truncated:
        raise typer.Exit(1)
