"""Servers that a test may stop, kill and freeze: child processes that keep their port and their data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import Final, NoReturn, Protocol

import pytest

from driftline.runtime.embedded import EmbeddedServer

_STOP_S: Final = 20.0


class Unavailable(Exception):
    """Why there is no such server here, and the remedy."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server(Protocol):
    """A broker or a store of the tests. What it is not ours to do skips the test (`Elsewhere`)."""

    version: str
    """Name, version and origin, for people."""

    @property
    def port(self) -> int:
        """On 127.0.0.1, unless the environment says where the server is."""
        ...

    @property
    def address(self) -> str:
        """host:port"""
        ...

    def start(self) -> None:
        """Returns once it answers. What it held before `stop` is there again, if it keeps data."""
        ...

    def stop(self, *, kill: bool = False) -> None: ...

    def freeze(self) -> None:
        """It keeps its connections and answers nothing until `thaw`."""
        ...

    def thaw(self) -> None: ...

    def close(self) -> None:
        """Gone for good."""
        ...


class OwnServer(EmbeddedServer):
    """A child process that is given time to stop in order, and can be frozen."""

    version = ""
    ready_s = 120.0  # Kafka after a kill, with the topics of all tests, on a loaded machine

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None and not kill:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                kill = True
        super().stop(kill=kill)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        self.stop(kill=True)


class Elsewhere:
    """A server whose address the environment gives: it is used, and left alone."""

    def __init__(self, version: str, address: str) -> None:
        self.version = version
        self.address = address
        self.port = int(address.rpartition(":")[2])

    def start(self) -> None: ...

    def stop(self, *, kill: bool = False) -> None:
        missing(f"{self.version} is not ours to stop")

    def freeze(self) -> None:
        self.stop()

    def thaw(self) -> None: ...

    def close(self) -> None: ...


def missing(why: str) -> NoReturn:
    """Skips the test at home, and fails it where CI is true."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
