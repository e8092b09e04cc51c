"""`driftline topics`: the topics, created as the configuration has them."""

from __future__ import annotations

import asyncio

import typer
from rich.table import Table

from driftline.cli.app import ConfigFile, out, settings
from driftline.cli.connect import patiently
from driftline.config import Config
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.wiring import kafka_settings, topic_specs

commands = typer.Typer(no_args_is_help=True, help="Create the topics.")


async def create_topics(config: Config) -> list[tuple[str, int, bool]]:
    """Create what is missing: (name, partitions it has, whether it is new), in the configuration's order."""
    specs = topic_specs(config)
    async with KafkaTopics(kafka_settings(config)) as kafka:
        created = set(await kafka.create(specs, replication=config.topics.replication or -1))
        found = await kafka.describe()
    return [(spec.name, found.get(spec.name, spec.partitions), spec.name in created) for spec in specs]


@commands.command(epilog="Example: `driftline topics create --config driftline.yaml`")
def create(config: ConfigFile = None) -> None:
    """Create the topics that do not exist yet.

    Existing topics stay as they are, whatever the configuration says: running it again is harmless.
    """
    loaded = settings(config).config

    async def work() -> list[tuple[str, int, bool]]:
        return await patiently(lambda: create_topics(loaded))

    table = Table("topic", "partitions", "")
    for name, partitions, new in asyncio.run(work()):
        table.add_row(name, str(partitions), "created" if new else "was there")
    out.print(table)
