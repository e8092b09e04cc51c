"""A limit on a ratio of error rates from events to the alarm, through log, join, blocks and judges: told where one
group's recall falls, in whatever order the events come, and not where all fall alike."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from driftline.stats.limit_rules import LimitRule
from driftline.stats.settings import DetectionSettings
from faults.data import STEP_MS, T0, Message
from faults.extra import end_of, in_order, outcome, plain, prediction, sent, signals
from faults.world import Shape, World

N = 4_000
MOVES = N // 2
RULE = LimitRule(metric="recall_ratio", segment="sex", at_least=0.8, min_count=50)
Told = list[tuple[str, str, str]]


def history(recalls: dict[str, tuple[float, float]], *, whole: bool = False) -> list[Message]:
    """Half of the outcomes are positive; of these each group's model finds so many before and after `MOVES`. `whole`:
    outcomes repeat their predictions."""
    rng, found = np.random.default_rng(11), []
    names = list(recalls)
    for i in range(N):
        name, truth = names[int(rng.integers(len(names)))], bool(rng.random() < 0.5)
        said = bool(rng.random() < (recalls[name][i >= MOVES] if truth else 0.1))
        told = {"prediction": said, "segments": {"sex": name, "region": "north"}}
        late = outcome("m", i, truth, delay_ms=700)
        if whole:
            found.append(sent({**late, **told, "version": "1"}))
        else:
            found += [sent(prediction("m", i, plain(i, rng), **told)), sent(late)]
    return in_order(found)


async def told(
    messages: list[Message], *, asked: bool = True, partitions: int = 1, blocks: int = 2, max_batch: int = 500
) -> Told:
    limits = (RULE,) if asked else ()
    base = Shape(partitions=partitions, blocks=blocks, max_batch=max_batch)
    detection = DetectionSettings(min_reference_panes=16, arl0_events=20_000.0, season="none", limits=(RULE,))
    judge = replace(base.judge, reference_events=1_200, reference_pairs=1_100, detection=detection)
    world = World(replace(base, ingest=replace(base.ingest, limits=limits), judge=judge))
    world.publish(messages)
    await world.drain(end_of(N) + 60_000)
    return [(s.monitor, s.state, s.sentence) for s in signals(world) if s.monitor.startswith("segments.")]


FALLS = {"F": (0.8, 0.4), "M": (0.8, 0.8)}


async def test_a_recall_that_falls_for_one_group_is_told_in_any_order() -> None:
    """With copies, and with outcomes before their predictions.

    Mutations: no `segments` in `prediction_half`'s payload; no `self._asked` in `IngestStage.prepare`."""
    messages = history(FALLS)
    in_turn = await told(messages, max_batch=700)
    ((monitor, state, sentence),) = in_turn
    assert (monitor, state) == ("segments.sex:recall_ratio >= 0.8", "alarm")
    assert 'with "F" against' in sentence and "the recall ratio is beyond its limit of at least 0.8: 0." in sentence
    draw = random.Random(5)
    moved = [replace(m, due=m.due + draw.uniform(-1_500, 1_500)) for m in messages]
    copies = [replace(m, due=m.due + 900) for m in draw.sample(moved, 400)]
    assert await told(in_order([*moved, *copies]), partitions=4, blocks=3, max_batch=90) == in_turn


async def test_outcomes_that_repeat_their_predictions_bring_their_segments() -> None:
    """Mutation: no `segments` in `accept_outcome`."""
    extra = [sent(prediction("m", N + 10 + i, {}), due=T0 + i * STEP_MS) for i in range(N)]
    ((_, state, sentence),) = await told(in_order([*history(FALLS, whole=True), *extra]))
    assert state == "alarm" and 'with "F" against' in sentence


@pytest.mark.parametrize("recalls", [{"F": (0.8, 0.5), "M": (0.8, 0.5)}, {"F": (0.8, 0.8), "M": (0.75, 0.75)}])
async def test_recalls_that_keep_their_ratio_are_nothing(recalls: dict[str, tuple[float, float]]) -> None:
    assert await told(history(recalls), partitions=2) == []


async def test_where_ingest_is_not_asked_nothing_is_judged() -> None:
    assert await told(history(FALLS), asked=False) == []
