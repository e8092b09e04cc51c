"""`driftline simulate`: a made-up model's events, live, onto the events topic."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

import orjson
import typer

from driftline.cli.app import ConfigFile, note, out, settings
from driftline.cli.connect import patiently, pause, reading, run, writing
from driftline.cli.publish import partition_of
from driftline.clock import SystemClock
from driftline.config import Config
from driftline.demo.simulated import Simulation
from driftline.runtime.log import Outgoing

STEP_MS: Final = 200
BATCH_EVENTS: Final = 5_000
EXAMPLES: Final = "Examples: `driftline simulate`, `driftline simulate --rate 200 --shift-after 300 --seconds 900`"


@dataclass(frozen=True)
class Plan:
    """Predictions a second; and seconds: of history before the start, until the shift after it (0: never), and until
    the end (0: none)."""

    rate: float
    history: float
    shift_after: float
    seconds: float


async def simulate_onto(config: Config, simulation: Simulation, plan: Plan, stop: asyncio.Event) -> int:
    """Publish event time from the history's beginning up to now, and on with the clock. How many events were
    published. What an outage of the broker held up comes later, with the times it would have had."""
    clock, topic = SystemClock(), config.topics.events[0]
    published = steps = 0
    async with reading(config) as reader, writing(config) as writer:
        partitions = await patiently(lambda: reader.partitions(topic))
        live = clock.now_ms()
        begin = live - round(1000 * plan.history)
        shift = live + round(1000 * plan.shift_after) if plan.shift_after else None
        end = live + round(1000 * plan.seconds) if plan.seconds else None
        while not stop.is_set():
            batch: list[Outgoing] = []
            while (at := begin + steps * STEP_MS) <= clock.now_ms() and len(batch) < BATCH_EVENTS:
                if end is not None and at >= end:
                    stop.set()
                    break
                due = int(plan.rate * (steps + 1) * STEP_MS / 1000) - int(plan.rate * steps * STEP_MS / 1000)
                for event in simulation.step(due, at, shift=shift is not None and at >= shift):
                    id_ = event["id"].encode()
                    batch.append(Outgoing(topic, partition_of(id_, partitions), id_, orjson.dumps(event)))
                steps += 1
            if batch:
                await patiently(partial(writer.publish, batch))
            published += len(batch)
            if len(batch) < BATCH_EVENTS:
                await pause(stop, STEP_MS / 1000)
    return published


def simulate(
    config: ConfigFile = None,
    model: Annotated[str, typer.Option("--model", help="What the model is called.")] = "simulated",
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=5_000, help="Predictions a second.")] = 100.0,
    history: Annotated[
        float, typer.Option("--history", min=0, help="Seconds before now that are published first, to learn from.")
    ] = 900.0,
    shift_after: Annotated[
        float,
        typer.Option(
            "--shift-after",
            min=0,
            help="Seconds from now until a feature's unit changes and the model errs; 0: never.",
        ),
    ] = 180.0,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="How long; 0: until stopped.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same values.")] = 0,
) -> None:
    """Publish a made-up model's predictions and outcomes as they would come: for a look at a deployment.

    The model learns its reference from its first events: judge.reference_events of them, over ten minutes. So its
    history comes first, as fast as it can.
    """
    loaded = settings(config).config
    simulation = Simulation(model, secrets.token_hex(4), seed)
    plan = Plan(rate, history, shift_after, seconds)
    note(f"publishing {rate:g} predictions a second of model {model} to {loaded.topics.events[0]}")
    published = run(lambda stop: simulate_onto(loaded, simulation, plan, stop))
    if published is None:
        note("cut off; the last batch may be published or not")
        raise typer.Exit(130)
    out.print(f"published {published:,} events", highlight=False)
