"""Fixtures that every test may use, and the choice of the servers that the connected tests run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from driftline.runtime.embedded import embedded_store
from support.own import Unavailable, missing
from support.real import RealServers, real_redis
from support.servers import AnyServer, AnyServers, Servers

_SERVERS: Final = pytest.StashKey[Servers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real",
        action="store_true",
        help="run the connected tests, on a real Apache Kafka and Redis",
    )


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("COLUMNS", None)  # a console keeps the width it was made with; tests say how wide theirs is
    config.stash[_SERVERS] = Servers(real=config.getoption("--real"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--real"):
        terminalreporter.write_line(f"servers: {config.stash[_SERVERS].versions}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --real: what is marked `connected` or `real`. Without: what is not `real`."""
    real = config.getoption("--real")
    chosen: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        chosen[bool(marks & {"connected", "real"}) if real else "real" not in marks].append(item)
    config.hook.pytest_deselected(items=chosen[False])
    items[:] = chosen[True]


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_SERVERS].stop()


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> AnyServers:
    """A broker and a store, running. Shared: take names from `support.servers.unique`."""
    return request.config.stash[_SERVERS].get()


@pytest.fixture
def real(servers: AnyServers) -> RealServers:
    """Apache Kafka and Redis."""
    assert isinstance(servers, RealServers), "mark the test `real`"
    return servers


@pytest.fixture
def own_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyServer]:
    """A store of this test's own, to be maltreated. It comes back empty."""
    made: AnyServer
    if request.config.getoption("--real"):
        try:
            made = real_redis(tmp_path, durable=False)
        except Unavailable as why:
            missing(str(why))
    else:
        made = embedded_store(tmp_path)
    made.start()
    yield made
    made.stop(kill=True)
