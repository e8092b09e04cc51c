"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from driftline.runtime.embedded import EmbeddedServers
from support.servers import Servers


@pytest.fixture(scope="session")
def _all_servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def servers(_all_servers: Servers) -> EmbeddedServers:
    """The embedded broker and store, running. Shared: take names from `support.servers.unique`."""
    return _all_servers.get()
