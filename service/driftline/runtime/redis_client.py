"""The wire to Redis: packed pipelines of scripts, and every failure as one of our errors, without secrets.

A pipeline is packed by hiredis in C and written at once; redis-py's own packer takes a microsecond an argument in
Python, and the join sends two arguments for each half. One attempt a call: whoever calls repeats (`Transient`).
"""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple, cast

import hiredis
from redis import asyncio as redis_asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from driftline.errors import DriftlineError, Misconfigured, Transient

log = logging.getLogger(__name__)

Argument = bytes | str | int

_pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)  # its stub wants one argument

_MIN_MAJOR: Final = 7
_TRANSIENT: Final = {
    "BUSY": "is busy with a long script",
    "CLUSTERDOWN": "is part of a cluster that is down",
    "LOADING": "is loading its data",
    "MASTERDOWN": "is a replica that has lost its primary",
    "MISCONF": "cannot persist and refuses writes",
    "NOREPLICAS": "has too few replicas and refuses writes",
    "TRYAGAIN": "is moving keys between nodes",
    "UNBLOCKED": "has given up the call",
    "UNKILLABLE": "is busy with a long script",
}


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to reach Redis. `url` is redis://, rediss:// (TLS) or unix://, and may carry user and password.

    The files are PEM; they need a rediss:// address. `timeout_s` bounds connecting, writing, and each answer.
    """

    url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    timeout_s: float = 5.0


class Script(NamedTuple):
    """One script of `store.lua`."""

    source: bytes
    sha: str


class Call(NamedTuple):
    """A script to run, with all keys it touches."""

    script: str
    keys: Sequence[str]
    args: Sequence[Argument]


@cache
def scripts() -> dict[str, Script]:
    """The scripts of `store.lua` by name."""
    text = importlib.resources.files(__package__).joinpath("store.lua").read_text(encoding="utf-8")
    parts = re.split(r"^-- script: (\w+)\n", text, flags=re.MULTILINE)[1:]
    found = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        source = body.strip().encode()
        found[name] = Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())
    return found


class RedisClient:
    """Runs pipelines. Raises Transient where a repeat may help, Misconfigured where a person must act."""

    def __init__(self, settings: RedisSettings) -> None:
        options: dict[str, object] = {"username": settings.username, "password": settings.password}
        if settings.url.startswith("rediss://"):
            options |= {
                "ssl_ca_certs": settings.tls_ca_file,
                "ssl_certfile": settings.tls_cert_file,
                "ssl_keyfile": settings.tls_key_file,
            }
        elif settings.tls_ca_file or settings.tls_cert_file or settings.tls_key_file:
            raise Misconfigured("redis.url: TLS files are given, so the address must begin with rediss://")
        try:
            self._pool: Any = redis_asyncio.ConnectionPool.from_url(
                settings.url,
                **{name: value for name, value in options.items() if value is not None},
                socket_timeout=settings.timeout_s,
                socket_connect_timeout=settings.timeout_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                client_name="driftline",
            )
        except (ValueError, TypeError):
            raise Misconfigured(
                "redis.url is not an address: write redis://host:port/0, rediss://host:port/0 or unix:///path"
            ) from None
        known = self._pool.connection_kwargs
        self._where = str(known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}")
        self._timeout_s = settings.timeout_s

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts in order on one connection. If one fails, the others have still been run."""
        found = scripts()
        replies = await self._exchange([self._packed(found[c.script], c) for c in calls])
        forgotten = [i for i, r in enumerate(replies) if isinstance(r, exceptions.NoScriptError)]
        if forgotten:
            sources = {calls[i].script: found[calls[i].script].source for i in forgotten}
            loads = [_pack(("SCRIPT", "LOAD", source)) for source in sources.values()]
            again = await self._exchange(
                loads + [self._packed(found[calls[i].script], calls[i]) for i in forgotten]
            )
            for i, reply in zip(forgotten, again[len(loads) :], strict=True):
                replies[i] = reply
        return self._raise_first(replies)

    async def commands(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Run plain commands in order on one connection."""
        return self._raise_first(await self._exchange([_pack(c) for c in commands]))

    async def check(self, *, allow_eviction: bool) -> None:
        """Refuse a server older than Redis 7, or one that evicts, unless `allow_eviction`."""
        try:
            replies = await self.commands([("INFO", "server"), ("INFO", "memory")])
        except Misconfigured as error:
            if not isinstance(error.__cause__, exceptions.NoPermissionError):
                raise
            log.warning(
                "the store at %s does not let us read INFO: make sure that it is Redis 7 or Valkey, "
                "with maxmemory-policy noeviction",
                self._where,
            )
            return
        info = dict(line.split(":", 1) for r in replies for line in r.decode().splitlines() if ":" in line)
        version = info.get("redis_version", "0")
        if int(version.split(".")[0]) < _MIN_MAJOR:
            raise Misconfigured(
                f"redis.url: the store at {self._where} is Redis {version}; Redis 7 or Valkey is needed"
            )
        policy = info.get("maxmemory_policy", "noeviction")
        if policy == "noeviction":
            return
        text = f"the store at {self._where} has maxmemory-policy {policy} and would evict our state"
        if not allow_eviction:
            raise Misconfigured(
                f"redis.url: {text}. Set `CONFIG SET maxmemory-policy noeviction` there (and in its "
                "configuration), or accept the loss with redis.allow_eviction: true"
            )
        log.warning("%s (redis.allow_eviction is on)", text)

    async def close(self) -> None:
        await self._pool.aclose()

    def _packed(self, script: Script, call: Call) -> bytes:
        return _pack(("EVALSHA", script.sha, len(call.keys), *call.keys, *call.args))

    async def _exchange(self, packed: Sequence[bytes]) -> list[Any]:
        """Write all, read all. Error answers are returned in their places."""
        try:
            connection = await self._pool.get_connection()
            in_step = False
            try:
                await connection.send_packed_command(packed)
                replies: list[Any] = []
                for _ in packed:
                    try:
                        replies.append(await connection.read_response())
                    except exceptions.ResponseError as error:
                        replies.append(error)
                in_step = True
            finally:
                if not in_step:
                    await connection.disconnect(nowait=True)
                await self._pool.release(connection)
        except exceptions.RedisError as error:
            raise self._translated(error) from error
        return replies

    def _raise_first(self, replies: list[Any]) -> list[Any]:
        for reply in replies:
            if isinstance(reply, exceptions.RedisError):
                raise self._translated(reply) from reply
        return replies

    def _translated(self, error: exceptions.RedisError) -> DriftlineError:
        store, text = f"the store at {self._where}", str(error)
        match error:
            case (
                exceptions.AuthenticationError() | exceptions.AuthorizationError() | exceptions.NoPermissionError()
            ):
                return Misconfigured(f"redis.url: {store} refuses our user, password or rights: {text}")
            case exceptions.TimeoutError():
                return Transient(f"{store} did not answer within {self._timeout_s:g} s")
            case exceptions.BusyLoadingError():
                return Transient(f"{store} {_TRANSIENT['LOADING']}")
            case exceptions.ConnectionError():
                if "CERTIFICATE_VERIFY_FAILED" in text:
                    return Misconfigured(f"redis.tls_ca_file: {store} shows a certificate we do not trust")
                return Transient(f"{store} cannot be reached: {text}")
            case exceptions.OutOfMemoryError():
                return Transient(f"{store} is out of memory: raise its maxmemory")
            case exceptions.ReadOnlyError():
                return Transient(f"{store} is a read-only replica")
        code = text.split(" ", 1)[0]
        if code in _TRANSIENT:
            return Transient(f"{store} {_TRANSIENT[code]}")
        return Misconfigured(f"redis.url: {store} does not serve us: {text[:200]}")
