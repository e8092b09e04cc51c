"""Fixtures of the tests that need Apache Kafka and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

pytest.register_assert_rewrite("kills.oracle")

from kills.workload import Said, Workload, clean_run, make_workload  # noqa: E402
from real.admin import Admin  # noqa: E402
from real.cluster import RealCluster  # noqa: E402
from support.real import RealServers  # noqa: E402


@pytest.fixture(scope="session")
def work() -> Workload:
    return make_workload()


@pytest.fixture(scope="session")
def clean(work: Workload) -> Said:
    """The verdicts of a clean run."""
    return asyncio.run(clean_run(work))


@pytest.fixture
async def cluster(request: pytest.FixtureRequest, real: RealServers, tmp_path: Path) -> AsyncIterator[RealCluster]:
    """Topics and keys of its own; no worker yet. `@pytest.mark.parametrize("cluster", [settings], indirect=True)`
    gives it more of the configuration."""
    async with RealCluster(real, tmp_path, getattr(request, "param", None)) as made:
        yield made


@pytest.fixture
def operator(real: RealServers) -> Any:
    """A person at Redis's own command line. Settings that are changed have to be changed back."""
    return redis.Redis.from_url(real.redis_url)


@pytest.fixture
async def admin(real: RealServers) -> AsyncIterator[Admin]:
    async with Admin(real.kafka_bootstrap) as made:
        yield made
