"""Fixtures of the kill tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("kills.oracle")

from kills.cluster import Cluster  # noqa: E402
from kills.workload import Said, Workload, clean_run, make_workload  # noqa: E402
from support.servers import AnyServers  # noqa: E402


@pytest.fixture(scope="session")
def work() -> Workload:
    return make_workload()


@pytest.fixture(scope="session")
def clean(work: Workload) -> Said:
    """The verdicts of a clean run: alarms of at least four monitors."""
    said = asyncio.run(clean_run(work))
    assert len({one["monitor"] for one in said.values()}) >= 4
    return said


@pytest.fixture
async def cluster(servers: AnyServers, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Topics and keys of its own on the shared servers; no worker yet."""
    async with Cluster(servers, tmp_path) as made:
        yield made
