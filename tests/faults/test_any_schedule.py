"""A, B and C at random: whatever happens in whatever order, the oracle has the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from faults.data import feed
from faults.runs import survive
from faults.scenario import (
    CONT,
    KILL,
    LEAVE,
    REBALANCE,
    ROLLBACK,
    SNAPSHOT,
    START,
    STEP,
    STOP,
    TIME_OUT,
    WIPE,
    Op,
)
from faults.traps import POINTS
from faults.world import STAGES, Shape

STAGE: st.SearchStrategy[Any] = st.sampled_from(STAGES)
SOME = st.integers(0, 4)
IN_THE_STORE = [p for p in POINTS if "kafka" not in p]
STOPS = ["after_join", "before_commit", "after_publish"]

WORKERS: list[st.SearchStrategy[Op]] = [
    st.builds(STEP, STAGE, st.integers(1, 8), SOME),
    st.builds(STEP, STAGE, st.integers(1, 8), SOME),
    st.builds(KILL, STAGE, st.sampled_from(POINTS), SOME, SOME, st.just(True)),
    st.builds(KILL, STAGE, st.sampled_from(POINTS), SOME, SOME, st.just(True)),
    st.builds(TIME_OUT, STAGE, st.sampled_from(IN_THE_STORE), SOME, st.integers(1, 3)),
    st.builds(START, STAGE),
    st.builds(LEAVE, STAGE, SOME),
    st.builds(REBALANCE, STAGE),
    st.builds(STOP, STAGE, st.sampled_from(STOPS), SOME),
    st.builds(CONT),
]
STORE: list[st.SearchStrategy[Op]] = [
    st.builds(SNAPSHOT),
    st.builds(SNAPSHOT),
    st.builds(ROLLBACK, st.integers(0, 3)),
    st.builds(ROLLBACK, st.integers(0, 3)),
    st.builds(WIPE),
]
BATCHES = st.sampled_from([60, 150, 400])
QUICK = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""More of them: change `max_examples` here; shrinking takes minutes, and the lists are short enough to read."""


@pytest.mark.timeout(120)
@QUICK
@given(ops=st.lists(st.one_of(WORKERS), min_size=3, max_size=14), batch=BATCHES, blocks=st.integers(2, 3))
async def test_workers_that_die_sleep_come_and_go(ops: list[Op], batch: int, blocks: int) -> None:
    """Mutation: in `Ledger.take`, count second copies."""
    world = await survive(ops, Shape(max_batch=batch, blocks=blocks))
    assert world


@pytest.mark.timeout(120)
@QUICK
@given(
    ops=st.lists(st.one_of(WORKERS + STORE + STORE), min_size=4, max_size=14),
    batch=BATCHES,
    blocks=st.integers(2, 3),
)
async def test_and_a_store_that_forgets(ops: list[Op], batch: int, blocks: int) -> None:
    """Mutation: in `IngestStage.recover`, plan no ranges."""
    await survive(ops, Shape(max_batch=batch, blocks=blocks), feed(strays=False))
