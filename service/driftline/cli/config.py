"""`driftline config`: what is in force, and where it comes from."""

from __future__ import annotations

import orjson
import typer
from rich.table import Table
from rich.text import Text

from driftline.cli.app import ConfigFile, Json, note, out, settings
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.config.describe import in_force
from driftline.errors import Misconfigured
from driftline.terminal import printable

commands = typer.Typer(no_args_is_help=True, help="Check the configuration.")


@commands.command(
    epilog="Examples: `driftline config check -c driftline.yaml`, "
    "`DRIFTLINE_JOIN__DAYS=7 driftline config check --json`"
)
def check(config: ConfigFile = None, json: Json = False) -> None:
    """Validate the configuration and print it whole, secrets hidden, with the origin of each value.

    Exit code 2, and every mistake with its remedy, if it is refused. Nothing is connected to. Receivers that could not
    be opened here, for want of a file with their secret, are named on standard error: other machines may have it.
    """
    loaded = settings(config)
    if loaded.config.notify.receivers:
        _open_receivers(loaded.config)
    if json:
        document = {
            "fingerprint": loaded.config.fingerprint(),
            "settings": loaded.config.redacted(),
            "origins": {".".join(path): origin for path, origin in loaded.origins.items()},
        }
        typer.echo(orjson.dumps(document).decode())
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for path, value, origin in in_force(loaded):
        style = "dim" if origin == "default" else ""
        cells = (".".join(path), printable(value), printable(origin))
        table.add_row(*(Text(cell, style=style, overflow="fold") for cell in cells))
    out.print(table)
    out.print(Text.assemble(("sound", "bold green"), f"; fingerprint {loaded.config.fingerprint()}"))


def _open_receivers(config: Config) -> None:
    """As react does when it starts or reloads, and without a call."""
    from driftline.receivers import lines

    for receiver in config.notify.receivers:
        try:
            for line in lines(config, [receiver.name]):
                line.channel(SystemClock())
        except Misconfigured as error:
            note(f"on this machine react would refuse it: {error}")
