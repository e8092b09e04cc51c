"""`driftline retrain`: ask for a retraining by hand."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Final

import typer

from driftline.cli.app import ConfigFile, note, out, settings
from driftline.cli.connect import patiently, writing
from driftline.cli.known import known
from driftline.clock import SystemClock
from driftline.contracts.reactions import Command
from driftline.errors import Misconfigured
from driftline.react.topics import command_record

EXAMPLES: Final = (
    "Examples: `driftline retrain fraud`, `driftline retrain fraud --version 7 --reason 'new data source'`"
)
MAX_REASON: Final = 1_000


def retrain(
    model: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[
        str | None, typer.Option("--version", help="Its version; without it, the one in use.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; the request carries it.")] = None,
    config: ConfigFile = None,
) -> None:
    """Ask that a model be retrained.

    React answers with a request on the topic `retraining`, unless one is in flight for this model already.
    Neither the cool-down nor the budget nor an open incident of quality stands in the way.
    """
    if not model or (reason is not None and len(reason) > MAX_REASON):
        raise Misconfigured(f"name a model, and give a reason of at most {MAX_REASON} characters")
    loaded = settings(config).config

    async def work() -> Command:
        there = await known(loaded)
        there.check(model, version)
        for why in there.unread:
            note(f"whether there is such a model could not be checked: {why}")
        command = Command(
            id=uuid.uuid4().hex,
            what="retrain",
            time=SystemClock().now_ms(),
            model=model,
            version=version if version is not None else there.meant(model),
            reason=reason,
        )
        async with writing(loaded) as writer:
            await patiently(lambda: writer.publish([command_record(loaded.topics.commands, command)]))
        return command

    command = asyncio.run(work())
    out.print(f"asked, as command {command.id}; `driftline tail --topics retraining` shows the request")
