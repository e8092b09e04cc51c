"""A real Apache Kafka and a real Redis for tests, from the first of these that is there:

1. the addresses in DRIFTLINE_TEST_KAFKA (host:port) and DRIFTLINE_TEST_REDIS (a redis:// address);
2. containers, where a Docker engine answers;
3. Apache Kafka from Maven Central on the Java of this machine, and `redis-server` from the PATH.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import redis

from support.apache_kafka import ApacheKafka
from support.containers import kafka_container, redis_container, require_docker
from support.own import Elsewhere, Server, Unavailable
from support.redis_server import APPEND_ONLY_FILE, RedisServer

KAFKA: Final = "DRIFTLINE_TEST_KAFKA"
REDIS: Final = "DRIFTLINE_TEST_REDIS"


class RealServers:
    """The same surface as `EmbeddedServers`. Raises Unavailable, with the reasons, where there are none."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="driftline-real-"))
        for name in ("kafka", "redis"):
            (self.directory / name).mkdir()
        try:
            self.kafka = real_kafka(self.directory / "kafka")
            self.redis = real_redis(self.directory / "redis")
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    @property
    def kafka_bootstrap(self) -> str:
        return self.kafka.address

    @property
    def redis_url(self) -> str:
        return os.environ.get(REDIS) or f"redis://{self.redis.address}/0"

    @property
    def append_only_file(self) -> Path | None:
        """Redis's log of writes, if it is a file of ours."""
        file = self.directory / "redis" / APPEND_ONLY_FILE
        return file if file.exists() else None

    def start(self) -> None:
        try:
            self.kafka.start()
            self.redis.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.kafka.close()
        self.redis.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def real_kafka(directory: Path) -> Server:
    """A broker that is not started yet, with its data in `directory`."""
    address = os.environ.get(KAFKA)
    if address:
        return Elsewhere(f"Kafka at {address} ({KAFKA})", address)
    try:
        require_docker()
        return kafka_container()
    except Unavailable as no_docker:
        try:
            return ApacheKafka(directory)
        except Unavailable as no_jars:
            raise Unavailable(f"no real Kafka: {KAFKA} is not set, {no_docker}, {no_jars}") from None


def real_redis(directory: Path, *, durable: bool = True) -> Server:
    """A store that is not started yet, with its data in `directory`. Unless it is `durable`, it forgets them."""
    address = os.environ.get(REDIS)
    if address:
        with redis.Redis.from_url(address) as there:
            version = there.info("server")["redis_version"]
            options = there.connection_pool.connection_kwargs
        where = f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        return Elsewhere(f"Redis {version} at {where} ({REDIS})", where)
    try:
        require_docker()
        return redis_container(directory, durable=durable)
    except Unavailable as no_docker:
        try:
            return RedisServer(directory, durable=durable)
        except Unavailable as no_server:
            raise Unavailable(f"no real Redis: {REDIS} is not set, {no_docker}, {no_server}") from None
