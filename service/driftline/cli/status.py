"""`driftline status`: models, profiles, lag, refusals."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime

import orjson
import typer
from rich.table import Table

from driftline.cli.app import ConfigFile, Json, note, out, settings
from driftline.cli.connect import patiently, reading
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.contracts.blocks import NO_WATERMARK
from driftline.registry import ProfileRegistry
from driftline.status import Status, collect
from driftline.terminal import printable
from driftline.wiring import redis_store

EXAMPLES = "Examples: `driftline status -c driftline.yaml`, `driftline status --json`"


def status(config: ConfigFile = None, json: Json = False) -> None:
    """Show every model version, how far the stages have come, and what was refused."""
    loaded = settings(config).config
    found = asyncio.run(_look(loaded))
    if json:
        lags = {f"{p.stage}/{p.partition}": p.lag for p in found.partitions}
        typer.echo(orjson.dumps(asdict(found) | {"lag": lags}).decode())
        return
    show(found)


async def _look(config: Config) -> Status:
    store = redis_store(config)
    try:
        async with reading(config) as reader:
            registry = ProfileRegistry(reader, config.topics.profiles, SystemClock())
            await patiently(lambda: registry.refresh(force=True))
            return await patiently(lambda: collect(config, reader, store, registry))
    finally:
        await store.close()


def show(found: Status) -> None:
    models = Table("model", "version", "reference", "predictions", "joined", "late", "in alarm", title="Models")
    for m in found.models:
        reference = f"{m.source}, revision {m.revision}" if m.profile else ""
        waits = f"learning {m.waiting_for}" if m.waiting_for else ""
        models.add_row(
            printable(m.model),
            printable(m.version),
            "; ".join(filter(None, (reference, waits))),
            f"{m.predictions:,}",
            f"{m.joined:,}",
            f"{m.late:,}",
            printable("; ".join(" + ".join(group) for group in m.moved)) or "-",
        )
    out.print(models)
    limits = Table("model", "version", "limit", title="Limits")
    for m in found.models:
        for line in m.limits:
            limits.add_row(printable(m.model), printable(m.version), printable(line))
    if limits.row_count:
        out.print(limits)
    lags = Table("stage", "partitions", "read", "lag", title="Progress")
    for stage in ("ingest", "judge"):
        of_stage = [p for p in found.partitions if p.stage == stage]
        read, lag = sum(p.next or 0 for p in of_stage), sum(p.lag for p in of_stage)
        lags.add_row(stage, str(len(of_stage)), f"{read:,}", f"{lag:,}")
    out.print(lags)
    refused = Table("reason", "records", title="Refused")
    for reason, count in found.refused.items():
        refused.add_row(reason, f"{count:,}")
    if found.refused:
        out.print(refused)
    join = found.join
    out.print(
        f"join: {join.joined:,} joined, {join.pending_predictions:,} predictions and "
        f"{join.pending_outcomes:,} outcomes waiting, {join.expired_predictions + join.expired_outcomes:,} expired"
    )
    if found.watermark is not None and found.watermark > NO_WATERMARK:
        out.print(f"judged up to {datetime.fromtimestamp(found.watermark / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC")
    for m in found.models:
        if m.self_check is not None and m.self_check < 1.0:
            note(
                f"{m.model} {m.version}: its reference failed its self-check: false alarms will be "
                f"{1.0 / m.self_check:.1f} times as frequent as asked for; see `driftline explain {m.model}`"
            )
    watched = sum(m.watched for m in found.models)
    if found.fleet_models is not None and watched > found.fleet_models:
        note(
            f"{watched:,} model versions share a budget of false alarms that is for {found.fleet_models:,} "
            f"(detection.fleet_models): up to {watched / found.fleet_models:.1f} times as many may come"
        )
    for m in found.models:
        if m.not_judged:
            note(f"{m.not_judged:,} rows of {m.model} {m.version} were not judged: too many waited for a reference")
    if found.not_admitted:
        note(f"{found.not_admitted:,} predictions of model versions beyond judge.max_models_per_partition")
    if found.gaps:
        note(f"{found.gaps:,} gaps in the ledger were passed over")
    for name in found.unreadable:
        note(f"unreadable state: {name}")
