"""What the bench measures on: events as a serving system logs them, and the references they are judged by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import orjson
from aiokafka import AIOKafkaProducer

from driftline.config import Config, load
from driftline.reference_build import Columns, build_profile
from driftline.registry import profile_record
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.stats.profile import Profile, make_profile
from driftline.wiring import detection_settings, kafka_settings

PARTITIONS: Final = 4
START_MS: Final = 1_700_000_000_000
LABEL_LAG: Final = 5_000
"""Predictions between one and its outcome."""
_REFERENCE_ROWS: Final = 5_000
_PART: Final = 10_000
_IN_FLIGHT: Final = 64


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A topic of its own, with `events` events 1 ms of event time apart, spread evenly over the partitions; each is
    of a model drawn at random, so that every partition holds all models. `outcomes`: every other event is the
    outcome of a prediction, LABEL_LAG predictions later and on another partition."""

    name: str
    events: int
    features: int = 20
    models: int = 1
    outcomes: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "topics.events": [f"bench.{self.name}"],
            "topics.profiles": f"bench.{self.name}.profiles",
            "topics.partitions.events": PARTITIONS,
            "kafka.max_message_bytes": 8_000_000,  # a profile of 200 features has 2.4 MB
        }


def model_name(index: int) -> str:
    return f"model-{index:04d}"


def prediction(id_: str, model: str, time: int, values: list[float]) -> bytes:
    """A prediction of 20 features has 600 bytes."""
    return orjson.dumps(
        {
            "type": "prediction",
            "id": id_,
            "model": model,
            "version": "1",
            "time": time,
            "features": {f"f{k}": value for k, value in enumerate(values)},
            "prediction": int(values[0] > 0),
            "score": 0.25 if values[0] < 0 else 0.75,
        }
    )


def outcome(id_: str, model: str, time: int) -> bytes:
    return orjson.dumps({"type": "outcome", "id": id_, "model": model, "time": time, "outcome": 1})


def events_of(workload: Workload) -> Iterator[bytes]:
    rng = np.random.default_rng(7)
    step = 2 if workload.outcomes else 1
    owners = rng.integers(workload.models, size=workload.events // step + 1).tolist()
    number = 0
    while number * step < workload.events:
        rows = rng.normal(size=(_PART, workload.features)).round(14).tolist()
        for values in rows:
            time = START_MS + number * step
            yield prediction(f"event-{number:09d}", model_name(owners[number]), time, values)
            if workload.outcomes:
                told = number - LABEL_LAG
                yield outcome(f"event-{told:09d}", model_name(owners[told]), time + 1)
            number += 1


async def publish(config: Config, workload: Workload) -> float:
    """The mean size of an event in bytes."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=config.kafka.bootstrap, max_batch_size=1 << 19)
    await producer.start()
    topic, total = config.topics.events[0], 0
    builders = [producer.create_batch() for _ in range(PARTITIONS)]
    sent: list[Any] = []

    async def send(partition: int) -> None:
        builders[partition].close()
        sent.append(await producer.send_batch(builders[partition], topic, partition=partition))
        builders[partition] = producer.create_batch()
        if len(sent) >= _IN_FLIGHT:
            await sent.pop(0)

    for number, value in zip(range(workload.events), events_of(workload), strict=False):
        partition = number % PARTITIONS
        if builders[partition].append(timestamp=None, key=None, value=value) is None:
            await send(partition)
            builders[partition].append(timestamp=None, key=None, value=value)
        total += len(value)
    for partition in range(PARTITIONS):
        if builders[partition].record_count():
            await send(partition)
    for future in sent:
        await future
    await producer.stop()
    return total / workload.events


def reference(features: int, every_ms: int) -> Profile:
    """Learnt from rows `every_ms` apart, which decides how long its panes are."""
    rng = np.random.default_rng(11)
    rows = rng.normal(size=(_REFERENCE_ROWS, features))
    times = START_MS - (_REFERENCE_ROWS + 100 - np.arange(_REFERENCE_ROWS)) * every_ms
    table = {f"f{k}": rows[:, k].tolist() for k in range(features)}
    table |= {
        "time": times.tolist(),
        "prediction": (rows[:, 0] > 0).astype(int).tolist(),
        "score": np.where(rows[:, 0] < 0, 0.25, 0.75).tolist(),
        "outcome": rng.integers(2, size=_REFERENCE_ROWS).tolist(),
        "outcome_time": (times + 2 * LABEL_LAG).tolist(),
    }
    settings = detection_settings(load(None, {}).config)
    return build_profile(table, model="", version="1", columns=Columns(), settings=settings, created=START_MS)


async def pin(config: Config, profile: Profile, models: int) -> None:
    """Put it in force for each model, under its own name: learning takes a second, naming does not."""
    writer = KafkaWriter(kafka_settings(config))
    for index in range(models):
        own = make_profile(
            model=model_name(index),
            version="1",
            source="training",
            created=profile.created,
            judged_from=profile.judged_from,
            predictions=profile.predictions,
            pairs=profile.pairs,
        )
        await writer.publish([profile_record(config.topics.profiles, own)])
    await writer.close()
