"""What `driftline run` prints, and where."""

from __future__ import annotations

import contextlib
import subprocess
from typing import NamedTuple

import pytest

from driftline.cli import run


class Servers(NamedTuple):
    kafka_bootstrap: str = "127.0.0.1:7001"
    redis_url: str = "redis://:Pa$word@127.0.0.1:7002/0"


def test_a_shell_can_read_where_the_embedded_servers_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: `note` in place of `typer.echo` in run._servers; standard output is empty."""
    monkeypatch.setattr(run, "EmbeddedServers", lambda: contextlib.nullcontext(Servers()))
    with run._servers(embedded=True):
        captured = capsys.readouterr()
    assert "gone at the end" in captured.err and "export" not in captured.err
    shell = subprocess.run(
        ["/bin/sh", "-c", f"{captured.out}\nenv"], env={}, capture_output=True, check=True, text=True, timeout=10
    )
    found = dict(line.split("=", 1) for line in shell.stdout.splitlines())
    assert {name: value for name, value in found.items() if name.startswith("DRIFTLINE_")} == {
        "DRIFTLINE_KAFKA__BOOTSTRAP": "127.0.0.1:7001",
        "DRIFTLINE_KAFKA__IDEMPOTENT": "false",
        "DRIFTLINE_KAFKA__END_LAGS": "true",
        "DRIFTLINE_REDIS__URL": "redis://:Pa$word@127.0.0.1:7002/0",
    }
