"""`driftline model`: what can be done to a model version."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from driftline.cli.app import ConfigFile, out, printable, settings
from driftline.cli.connect import patiently, writing
from driftline.config import Config
from driftline.registry import profile_key
from driftline.runtime.log import Outgoing

commands = typer.Typer(no_args_is_help=True, help="What can be done to a model version.")


async def forget(config: Config, name: str, version: str) -> None:
    """Tell everybody to forget the profile: a tombstone on the topic `profiles`."""
    async with writing(config) as writer:
        tombstone = Outgoing(config.topics.profiles, 0, profile_key(name, version), None)
        await patiently(lambda: writer.publish([tombstone]))


@commands.command(epilog="Example: `driftline model reset churn --version 7`")
def reset(
    name: Annotated[str, typer.Argument(help="The model's name, as its events have it.")],
    version: Annotated[str, typer.Option("--version", "-v", help="Its version, as its events have it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
) -> None:
    """Forget the reference and the evidence of a model version: it learns a new one from its next events.

    Counts and the numbers of its signals go on. Pin a reference by `driftline reference build` instead where
    there is a data set to be judged by.
    """
    if not yes:
        typer.confirm(f"Forget the reference of {name} {version}?", abort=True)
    loaded = settings(config).config
    asyncio.run(forget(loaded, name, version))
    out.print(f"{printable(name)} {printable(version)} starts anew within a second of its next events.")
