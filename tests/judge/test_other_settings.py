"""Row 46: judge is restarted under other settings while monitors are in alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from driftline.react.settings import ReactSettings
from driftline.stats.limit_rules import LimitRule
from faults.data import Message
from faults.extra import end_of, prediction, sent, signals, stream
from faults.world import Shape, World
from react.making import Told, alerts

N = 3_000
LIMIT = LimitRule(metric="share_above", column="features.amount", value=0.0, at_most=0.41)


def shape(*limits: LimitRule) -> Shape:
    plain = Shape(max_batch=60)
    detection = msgspec.structs.replace(plain.judge.detection, limits=limits)
    loop = replace(plain.loop, fingerprint=str(limits))
    return replace(plain, loop=loop, judge=replace(plain.judge, detection=detection))


async def restarted(world: World, after: Shape) -> None:
    for worker in list(world.workers):
        world.bury(worker)
    world.shape = after


async def test_row_46_a_limit_that_was_removed_while_it_was_broken_is_resolved_with_its_reason() -> None:
    """Though its model has gone silent: another's events carry the time on.

    Mutation: leave `end_dropped` out of StreamMonitors.elapse; its incident is open for ever."""
    world = World(shape(LIMIT))
    world.publish(stream(N))
    await world.drain(end_of(N))
    said = [s for s in signals(world) if s.monitor == LIMIT.monitor]
    assert [s.state for s in said] == ["alarm"]
    await restarted(world, shape())
    world.publish([later(i) for i in range(400)])
    await world.drain(end_of(N + 400))
    assert any(worker.notes.of("config_changed") for worker in world.workers)
    alarm, over = [s for s in signals(world) if s.monitor == LIMIT.monitor]
    assert (over.state, over.sequence) == ("resolved", alarm.sequence + 1)
    assert "taken out of the configuration" in over.sentence
    told = Told(ReactSettings(retrain=False)).take(alarm, over)
    assert [alert.status for alert in alerts(told)] == ["open", "resolved"]
    assert alerts(told)[-1].sentence == over.sentence


def later(i: int) -> Message:
    rng = np.random.default_rng(i)
    features: dict[str, Any] = {"amount": float(rng.normal())}
    return sent(prediction("other", N + i, features))
