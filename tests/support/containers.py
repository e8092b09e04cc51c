"""Kafka and Redis as containers, where a Docker engine answers. Ports are chosen here: they outlive a stop."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from support import apache_kafka, redis_server
from support.own import Unavailable, free_port

_REDIS: Final = "redis:7.4"
_READY_S: Final = 120.0


def require_docker() -> None:
    """Raises Unavailable where no engine answers."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        raise Unavailable("testcontainers is not installed") from None
    try:
        docker.from_env(timeout=5).ping()
    except (DockerException, OSError) as error:
        raise Unavailable(f"no Docker engine answers ({type(error).__name__})") from None


class Container:
    """One container that keeps its port and its data over `stop` and `start`."""

    def __init__(
        self,
        image: str,
        port: int,
        question: bytes,
        environment: Mapping[str, str],
        command: Sequence[str] = (),
        data: Path | None = None,
    ) -> None:
        from testcontainers.core.container import DockerContainer

        self.version = f"{image} (Docker)"
        self.address = f"127.0.0.1:{port}"
        self.port = port
        self._question = question
        made = DockerContainer(image).with_bind_ports(f"{port}/tcp", port)
        for name, value in environment.items():
            made.with_env(name, value)
        if command:
            made.with_command(list(command))
        if data is not None:
            made.with_volume_mapping(str(data), "/data", "rw").with_kwargs(user=f"{os.getuid()}:{os.getgid()}")
        self._made: Any = made
        self._created = False

    def start(self) -> None:
        if self._created:
            self._made.get_wrapped_container().start()
        else:
            self._made.start()
            self._created = True
        deadline = time.monotonic() + _READY_S
        while not _answers(self.port, self._question):
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.version} does not answer on {self.address}")
            time.sleep(0.1)
        if self._question == redis_server.PING:
            redis_server.wait_until_loaded(self.port)

    def stop(self, *, kill: bool = False) -> None:
        container = self._made.get_wrapped_container()
        container.kill() if kill else container.stop(timeout=20)

    def freeze(self) -> None:
        self._made.get_wrapped_container().pause()

    def thaw(self) -> None:
        self._made.get_wrapped_container().unpause()

    def close(self) -> None:
        if self._created:
            self._made.stop()


def kafka_container() -> Container:
    port, controller = free_port(), free_port()
    settings = apache_kafka.SETTINGS | {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@localhost:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    environment = {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in settings.items()}
    return Container(f"apache/kafka:{apache_kafka.VERSION}", port, apache_kafka.QUESTION, environment)


def redis_container(directory: Path, *, durable: bool) -> Container:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--dir", "/data", *redis_server.options(durable=durable)]
    return Container(_REDIS, port, redis_server.PING, {}, command, directory)


def _answers(port: int, question: bytes) -> bool:
    # A published port accepts before anything listens behind it: only an answer counts.
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(question)
        return bool(connection.recv(1))
    return False
