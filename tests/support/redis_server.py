"""Redis as Debian packages it: `redis-server` from the PATH, appending to its log every second."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

import redis

from support.own import OwnServer, Unavailable

SETTINGS: Final = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "auto-aof-rewrite-percentage": "0",
    "maxmemory-policy": "noeviction",
    "save": "",
}
"""What the tests need of any store: it survives a kill but for its last second."""
PING: Final = b"PING\r\n"
_LOADED_S: Final = 20.0
APPEND_ONLY_FILE: Final = "appendonlydir/appendonly.aof.1.incr.aof"


def options(*, durable: bool) -> list[str]:
    """On the command line."""
    settings = SETTINGS if durable else SETTINGS | {"appendonly": "no"}
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def wait_until_loaded(port: int) -> None:
    """A server that has begun to listen may still be reading its file."""
    deadline = time.monotonic() + _LOADED_S
    while True:
        try:
            with redis.Redis(port=port) as there:
                there.ping()
            return
        except redis.exceptions.ConnectionError:  # BusyLoadingError is one
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class RedisServer(OwnServer):
    """One server with its files in `directory`. Unless it is `durable`, it comes back empty."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        found = shutil.which("redis-server")
        if found is None:
            raise Unavailable("there is no redis-server on the PATH (apt-get install redis-server)")
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"v=(\S+)", told)
        self.version = f"Redis {version[1] if version else 'of unknown version'} ({found})"

        def command(port: int) -> list[str]:
            address = ["--port", str(port), "--bind", "127.0.0.1"]
            return [found, *address, "--dir", str(directory), *options(durable=durable)]

        super().__init__("redis", command, PING, directory)

    def wait_ready(self) -> None:
        super().wait_ready()
        wait_until_loaded(self.port)
