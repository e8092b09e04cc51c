"""Input that goes wrong in the middle, through the whole service."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from faults.data import Message
from faults.extra import complaints, end_of, plain
from faults.oracle import facts
from faults.world import Shape, World

N = 2_400
BROKEN_FROM = 1_600
SMALL = Shape(max_batch=100)


async def run(messages: list[Message], shape: Shape = SMALL, n: int = N) -> World:
    world = World(shape)
    world.publish(messages)
    await world.drain(end_of(n))
    assert not complaints(world)
    return world


def verdicts(world: World, model: str) -> dict[str, bytes]:
    digest = hashlib.blake2b(f"{model}\x1f1".encode(), digest_size=10).hexdigest()
    return {name: data for name, data in facts(world).detectors.items() if digest in name}


def new_place(i: int, rng: np.random.Generator) -> dict[str, Any]:
    return {**plain(i, rng), **({"place": f"street {i}"} if i >= BROKEN_FROM else {})}
