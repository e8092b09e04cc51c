"""What one would write first: a Faust agent that feeds every feature of every event to a river detector."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from typing import Any

import faust
from river.drift import ADWIN

from bench.job import Cost, Job, Meter


async def faust_agent(job: Job) -> Cost:
    """JSON by Faust's own serialiser, an ADWIN for each model and feature; no tables, no state that is kept."""
    config, meter = job.config(), Meter(job)
    done: asyncio.Future[Cost] = asyncio.get_running_loop().create_future()
    with tempfile.TemporaryDirectory() as directory:
        app = faust.App(
            job.name,
            broker=f"aiokafka://{config.kafka.bootstrap}",
            store="memory://",
            datadir=directory,
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=False,
            broker_session_timeout=4.0,
            broker_heartbeat_interval=1.0,
            broker_rebalance_timeout=4.0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            autodiscover=False,
            web_enabled=False,
        )
        topic = app.topic(config.topics.events[0], value_serializer="json", key_serializer="raw")
        detectors: defaultdict[tuple[str, str], Any] = defaultdict(ADWIN)

        async def take(stream: Any) -> None:
            seen = 0
            async for event in stream:
                model = event["model"]
                for name, value in event["features"].items():
                    detectors[model, name].update(value)
                seen += 1
                if seen == job.warm:
                    meter.start()
                elif seen == job.warm + job.events and not done.done():
                    done.set_result(meter.stop(job.events))

        app.agent(topic, name=f"{job.name}.agent", concurrency=1)(take)
        await app.start()
        cost = await done
        await app.stop()
    return cost
