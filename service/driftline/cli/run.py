"""`driftline run`: the stages, until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Iterator
from typing import Annotated, cast

import typer

from driftline.cli.app import ConfigFile, note
from driftline.cli.topics import create_topics
from driftline.config import Config, load
from driftline.config.tree import env_name
from driftline.errors import Misconfigured
from driftline.reloading import Hangups, LogPart
from driftline.runtime.embedded import EmbeddedServers
from driftline.service import STAGES, Service
from driftline.wiring import StageName

EXAMPLES = "Examples: `driftline run -c driftline.yaml`, `driftline run --stages judge`, `driftline run --embedded`"


def run(
    config: ConfigFile = None,
    stages: Annotated[
        str, typer.Option("--stages", help="Which stages this process runs, separated by commas.")
    ] = ",".join(STAGES),
    embedded: Annotated[
        bool,
        typer.Option("--embedded", help="Bring an own broker and store, in memory: for a look only."),
    ] = False,
) -> None:
    """Run the stages until SIGTERM or Ctrl-C, then finish the work in hand and leave. SIGHUP reloads the
    configuration: all of it, or nothing.

    Run as many processes as there are partitions to share; a killed one loses nothing.
    """
    chosen = _stages(stages)
    hangups = Hangups()
    with _servers(embedded) as overrides:

        def read() -> Config:
            return load(config, overrides=overrides).config

        loaded = read()
        logs = LogPart(loaded, receivers="react" in chosen)
        asyncio.run(_run(Service(loaded, chosen, read, [logs], hangups), loaded if embedded else None))


async def _run(service: Service, wanted: Config | None) -> None:
    """`wanted`: whose topics are to be made first."""
    if wanted is not None:
        await create_topics(wanted)
    await service.run()


@contextlib.contextmanager
def _servers(embedded: bool) -> Iterator[dict[str, object]]:
    """The settings that lead to the embedded servers, while they run; none without them."""
    if not embedded:
        yield {}
        return
    with EmbeddedServers() as servers:
        overrides = embedded_overrides(servers)
        note("An embedded broker and store run; what they hold is gone at the end. Other commands reach them by")
        for name in ("kafka.bootstrap", "kafka.idempotent", "kafka.end_lags", "redis.url"):
            given = overrides[name]
            text = str(given).lower() if isinstance(given, bool) else str(given)
            # For a shell, so on standard output and nothing else there: logs and notes are on standard error.
            typer.echo(f"export {env_name(tuple(name.split('.')))}={shlex.quote(text)}")
        yield overrides


def embedded_overrides(servers: EmbeddedServers) -> dict[str, object]:
    """What the embedded servers need to be set."""
    return {
        "kafka.bootstrap": servers.kafka_bootstrap,
        "kafka.idempotent": False,
        "kafka.end_lags": True,
        # This broker makes every join wait for half of it.
        "kafka.session_timeout_ms": 2_500,
        "kafka.rebalance_timeout_ms": 4_000,
        "runtime.revoke_deadline_s": 2.0,
        "redis.url": servers.redis_url,
    }


def _stages(text: str) -> list[StageName]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in STAGES]
    if unknown or not names:
        raise Misconfigured(
            f"--stages: {', '.join(unknown) or 'nothing'} is no stage; choose among {', '.join(STAGES)}"
        )
    return [cast(StageName, name) for name in dict.fromkeys(names)]
