"""What subscribers are asked in tests, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from client.making import RETRAINING, World
from driftline.client import RetrainingRequest, RetrainingSubscriber

Make = Callable[..., RetrainingSubscriber]


async def given(subscriber: RetrainingSubscriber) -> RetrainingRequest:
    """The next request; a failure where there is none."""
    return await asyncio.wait_for(anext(subscriber), 5)


async def nothing(subscriber: RetrainingSubscriber) -> bool:
    """Whether it has nothing to give, after it has looked at everything there is."""
    try:
        await asyncio.wait_for(anext(subscriber), 0.2)
    except TimeoutError:
        return True
    return False


async def kill(world: World, job: str = "train") -> None:
    """The group's members vanish without a word, as after SIGKILL and the session's end."""
    group = world.groups[RETRAINING, f"driftline.job.{job}"]
    for member in list(group.members):
        group.expel(member)
