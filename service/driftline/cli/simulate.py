"""`driftline simulate`: a made-up model's events, live, onto the events topic."""

from __future__ import annotations

import asyncio
import secrets
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

STEP_S: Final = 0.2
EXAMPLES: Final = "Examples: `driftline simulate`, `driftline simulate --rate 200 --shift-after 300 --seconds 900`"


async def simulate_onto(
    config: Config, simulation: Simulation, rate: float, shift_after: float, seconds: float, stop: asyncio.Event
) -> int:
    """Publish until stopped, or for so many seconds (0: no end). How many events were published."""
    clock, topic = SystemClock(), config.topics.events[0]
    published = predictions = 0
    async with reading(config) as reader, writing(config) as writer:
        partitions = await patiently(lambda: reader.partitions(topic))
        started = clock.monotonic()
        while not stop.is_set() and not 0 < seconds <= clock.monotonic() - started:
            ran = clock.monotonic() - started
            # What was missed while the broker was away is not made up for: a flood would be a finding of its own.
            due = min(int(rate * (ran + STEP_S)) - predictions, int(5 * rate * STEP_S) + 1)
            events = simulation.step(due, clock.now_ms(), shift=0 < shift_after <= ran)
            predictions = int(rate * (ran + STEP_S))
            batch = [
                Outgoing(topic, partition_of(id_, partitions), id_, orjson.dumps(event))
                for event in events
                for id_ in [event["id"].encode()]
            ]
            if batch:
                await patiently(lambda batch=batch: writer.publish(batch))  # type: ignore[misc]
            published += len(batch)
            await pause(stop, STEP_S)
    return published


def simulate(
    config: ConfigFile = None,
    model: Annotated[str, typer.Option("--model", help="What the model is called.")] = "simulated",
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=5_000, help="Predictions a second.")] = 100.0,
    shift_after: Annotated[
        float,
        typer.Option(
            "--shift-after", min=0, help="Seconds until a feature's unit changes and the model errs; 0: never."
        ),
    ] = 600.0,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="How long; 0: until stopped.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same values.")] = 0,
) -> None:
    """Publish a made-up model's predictions and outcomes as they would come: for a look at a deployment.

    The model learns its reference from its first events (judge.reference_events); let the shift come after that.
    """
    loaded = settings(config).config
    simulation = Simulation(model, secrets.token_hex(4), seed)
    note(f"publishing {rate:g} predictions a second of model {model} to {loaded.topics.events[0]}")
    published = run(lambda stop: simulate_onto(loaded, simulation, rate, shift_after, seconds, stop))
    if published is not None:
        out.print(f"published {published:,} events", highlight=False)
