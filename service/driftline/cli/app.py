"""The root of the command line: what every command shares, and how an error ends it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from driftline import __version__
from driftline.config import Loaded, load
from driftline.errors import DriftlineError, PublishRefused, Transient
from driftline.outputs import NO_ROOM
from driftline.terminal import printable

AWAY: Final = "Is it running, and are kafka.bootstrap and redis.url right? `driftline config check` shows them."

# Names in records are chosen by others: what looks like markup in them is text.
out = Console(markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)


class Group(TyperGroup):
    """A DriftlineError is one clear message on standard error and exit code 2, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            fail(f"{error.filename or 'what was to be written'}: {error.strerror}")
            raise typer.Exit(2) from None
        except DriftlineError as error:
            away = isinstance(error, Transient) and not isinstance(error, PublishRefused)
            fail(f"{error}. {AWAY}" if away else str(error))
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Group,
    name="driftline",
    no_args_is_help=True,
    # A traceback that shows local variables would show secrets.
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Streaming drift monitoring for machine-learning models.",
    epilog="Settings: --config FILE or DRIFTLINE_CONFIG, and DRIFTLINE_SECTION__KEY; see `driftline config check`.",
)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", envvar="DRIFTLINE_CONFIG", help="Configuration file (YAML)."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def fail(message: str) -> None:
    err.print(Text.assemble(("error: ", "bold red"), printable(message, lines=True)), soft_wrap=True)


def note(message: str) -> None:
    err.print(Text(printable(message), style="yellow"), soft_wrap=True)


def settings(file: Path | None, **overrides: object) -> Loaded:
    """The configuration for a short command. What libraries log is left out: our errors say what matters."""
    logging.getLogger().addHandler(logging.NullHandler())
    return load(file, overrides=overrides)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"driftline {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Streaming drift monitoring for machine-learning models."""
