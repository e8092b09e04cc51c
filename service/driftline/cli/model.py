"""`driftline model`: what can be done to a model version."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from driftline.cli.app import ConfigFile, out, settings
from driftline.cli.connect import patiently, reading, writing
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.registry import ProfileRegistry, reset_record
from driftline.terminal import printable

commands = typer.Typer(no_args_is_help=True, help="What can be done to a model version.")


async def forget(config: Config, name: str, version: str) -> None:
    """Tell everybody that the profiles there are count no more. They stay in the history."""
    async with reading(config) as reader, writing(config) as writer:
        registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
        await patiently(lambda: registry.refresh(force=True))
        standing = registry.standing(name, version)
        void = max([standing.void, *(p.revision for p in standing.profiles)])
        record = reset_record(config.topics.profiles, name, version, void)
        await patiently(lambda: writer.publish([record]))


@commands.command(epilog="Example: `driftline model reset churn --version 7`")
def reset(
    name: Annotated[str, typer.Argument(help="The model's name, as its events have it.")],
    version: Annotated[str, typer.Option("--version", "-v", help="Its version, as its events have it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
) -> None:
    """Forget the reference and the evidence of a model version: it learns a new one from its next events.

    Counts and the numbers of its signals go on; `driftline reference pin` can put a former reference in force
    again. Pin a reference by `driftline reference build` instead where
    there is a data set to be judged by.
    """
    if not yes:
        typer.confirm(f"Forget the reference of {name} {version}?", abort=True)
    loaded = settings(config).config
    asyncio.run(forget(loaded, name, version))
    out.print(f"{printable(name)} {printable(version)} starts anew within a second of its next events.")
