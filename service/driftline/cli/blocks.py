"""`driftline blocks`: the counts that ingest has made, as a file to judge again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from driftline.backtest.blockfile import BlockWriter
from driftline.backtest.cells import time_of
from driftline.cli.app import ConfigFile, out, settings
from driftline.cli.connect import patiently, reading
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.errors import Misconfigured
from driftline.registry import ProfileRegistry
from driftline.runtime.log import LogReader, Record

CHUNK: Final = 500
commands = typer.Typer(no_args_is_help=True, help="Keep the counts of the past, to judge them again.")


class _Head(msgspec.Struct):
    watermark: int


_head: Final = msgspec.msgpack.Decoder(_Head)


@commands.command(
    epilog="Examples: `driftline blocks export --out spring.blocks --from 2024-03-01 --to 2024-06-01`, "
    "then `driftline backtest spring.blocks --config stricter.yaml`"
)
def export(
    target: Annotated[Path, typer.Option("--out", metavar="FILE.blocks", help="Where to write them.")],
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this event time on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to this event time.")] = None,
    config: ConfigFile = None,
) -> None:
    """Write what the topic `blocks` holds, and the profiles, into a file: counts, and no events but those
    that a reference was learnt from.

    `driftline backtest FILE.blocks` judges months of it in seconds, by other settings if you like.
    """
    if target.suffix != ".blocks":
        raise Misconfigured(f"--out {target}: the name must end in .blocks, by which backtest knows what it holds")
    loaded = settings(config).config
    begin, end = _moment("--from", since), _moment("--to", until)

    async def work() -> tuple[int, int]:
        async with reading(loaded) as reader:
            return await export_blocks(reader, loaded, target, begin, end)

    bundles, profiles = asyncio.run(work())
    out.print(f"{bundles:,} bundles and {profiles:,} profiles in {target.name}", highlight=False)


async def export_blocks(
    reader: LogReader, config: Config, target: Path, since: int | None, until: int | None
) -> tuple[int, int]:
    """(bundles, profiles) written, bundles in the order in which the log took them. The file is complete, so that
    references can be learnt from it again, if it begins with the first bundles ever written."""
    topic = config.topics.blocks
    registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
    await patiently(lambda: registry.refresh(force=True))
    profiles = [s.profile for s in registry.all().values() if s.profile is not None]
    bounds = await patiently(lambda: reader.bounds(topic))
    complete = since is None and all(held.begin == 0 for held in bounds.values())
    count = 0
    with BlockWriter(target, len(bounds), complete=complete) as file:
        for profile in profiles:
            file.profile(profile)
        at = {partition: held.begin for partition, held in bounds.items()}
        ends = {partition: held.end for partition, held in bounds.items()}
        waiting: dict[int, list[Record]] = {partition: [] for partition in bounds}
        while True:
            for partition, records in waiting.items():
                while not records and at[partition] < ends[partition]:
                    records += await _chunk(reader, topic, partition, at, ends)
            ready = [partition for partition, records in waiting.items() if records]
            if not ready:
                return count, len(profiles)
            first = min(ready, key=lambda partition: (waiting[partition][0].timestamp, partition))
            value = waiting[first].pop(0).value or b""
            watermark = _head.decode(value).watermark
            if (since is None or watermark >= since) and (until is None or watermark < until):
                file.bundle(first, value)
                count += 1


async def _chunk(
    reader: LogReader, topic: str, partition: int, at: dict[int, int], ends: dict[int, int]
) -> list[Record]:
    start, stop = at[partition], min(at[partition] + CHUNK, ends[partition])
    at[partition] = stop
    return await patiently(lambda: reader.read(topic, partition, start, stop))


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    time = time_of(text, "ms")
    if not isinstance(time, int):
        raise Misconfigured(f"{option} {text!r}: a time is wanted, such as 2024-03-01 or 2024-03-01T12:00:00Z")
    return time
