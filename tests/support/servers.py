"""The embedded broker and store for tests: started once, told apart by unique names."""

from __future__ import annotations

import itertools
import os

from driftline.runtime.embedded import EmbeddedServers

_numbers = itertools.count()


def unique(name: str) -> str:
    """A topic, group or prefix that no other test uses, also not in another process."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


class Servers:
    """The embedded servers, started when first asked for."""

    def __init__(self) -> None:
        self._started: EmbeddedServers | None = None

    def get(self) -> EmbeddedServers:
        if self._started is None:
            servers = EmbeddedServers()
            servers.start()
            self._started = servers
        return self._started

    def stop(self) -> None:
        if self._started is not None:
            self._started.stop()
            self._started = None
