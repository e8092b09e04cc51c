"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers import Servers

from driftline.runtime.embedded import EmbeddedServers


@pytest.fixture(scope="session")
def _all_servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def servers(_all_servers: Servers) -> EmbeddedServers:
    """The embedded broker and store, running. Share them: name topics and prefixes with `support.servers.unique`."""
    return _all_servers.get()
