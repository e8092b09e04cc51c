"""`run`, `status`, `reference build` and `model reset`, against the embedded servers."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backtest import making
from driftline.cli import app
from support.servers import AnyServers, connection, unique

T0 = 1_700_000_000_000
SAID = ("model", "version", "monitor", "time", "onset", "sentence", "severity", "effect")
pytestmark = pytest.mark.connected


@pytest.fixture
def environ(servers: AnyServers) -> dict[str, str]:
    kafka = connection(servers)["kafka"]
    return {
        **{f"DRIFTLINE_KAFKA__{name.upper()}": str(value) for name, value in kafka.items()},
        "DRIFTLINE_KAFKA__GROUP": unique("group"),
        "DRIFTLINE_KAFKA__SESSION_TIMEOUT_MS": "2000",
        "DRIFTLINE_KAFKA__REBALANCE_TIMEOUT_MS": "3000",
        "DRIFTLINE_RUNTIME__REVOKE_DEADLINE_S": "2",
        "DRIFTLINE_RUNTIME__HTTP__PORT": "0",
        "DRIFTLINE_REDIS__URL": servers.redis_url,
        "DRIFTLINE_REDIS__PREFIX": unique("cli"),
        "DRIFTLINE_TOPICS__PREFIX": f"{unique('cli')}.",
        "DRIFTLINE_TOPICS__PARTITIONS__EVENTS": "2",
        "DRIFTLINE_TOPICS__PARTITIONS__BLOCKS": "2",
        "DRIFTLINE_JUDGE__REFERENCE_EVENTS": "500",
    }


def invoke(environ: dict[str, str], *arguments: str) -> Result:
    result = CliRunner(env={"DRIFTLINE_CONFIG": None, **environ}).invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result


@contextlib.contextmanager
def running(environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "driftline", "run", "--stages", "ingest,judge"],
            env={**os.environ, **environ},
            stderr=file,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def status_when(environ: dict[str, str], ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 25
    while True:
        found: dict[str, Any] = json.loads(invoke(environ, "status", "--json").output)
        if ready(found):
            return found
        assert time.monotonic() < deadline, found


def event(i: int) -> dict[str, Any]:
    rng = random.Random(i)
    features = {"size": rng.gauss(0, 1), "kind": rng.choice("ab")}
    return {
        "type": "prediction",
        "id": f"e{i}",
        "model": "shop",
        "version": "1",
        "time": T0 + 100 * i,
        "features": features,
        "prediction": rng.random() < 0.5,
    }


def write_events(path: Path, first: int, count: int) -> None:
    path.write_text("".join(json.dumps(event(i)) + "\n" for i in range(first, first + count)))


def only_model(found: dict[str, Any]) -> dict[str, Any]:
    (model,) = found["models"] or [{}]
    return dict(model)


@pytest.mark.timeout(60)
def test_a_reference_is_pinned_events_are_counted_and_a_reset_forgets(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Mutation: ignore tombstones in `ProfileRegistry._take`; the reset then changes nothing."""
    invoke(environ, "topics", "create")
    reference, events = tmp_path / "reference.jsonl", tmp_path / "events.jsonl"
    write_events(reference, 0, 800)
    write_events(events, 1_000, 400)
    events.write_text(events.read_text() + '{"type": "prediction", "id": "x"}\n')
    shown = invoke(environ, "reference", "build", str(reference), "-m", "shop", "-v", "1").output
    assert "features.size" in shown
    assert "800 predictions" in shown
    with running(environ, tmp_path / "run.log") as process:
        invoke(environ, "publish", str(events))
        found = status_when(environ, lambda s: only_model(s).get("predictions") == 400 and s["refused"])
        assert found["refused"] == {"schema": 1}
        assert only_model(found)["source"] == "training"
        assert only_model(found)["revision"] == 1
        invoke(environ, "model", "reset", "shop", "-v", "1", "--yes")
        write_events(events, 2_000, 50)
        invoke(environ, "publish", str(events))
        found = status_when(environ, lambda s: only_model(s).get("predictions") == 450)
        assert only_model(found)["profile"] is None
        assert "predictions" in only_model(found)["waiting_for"]
        process.send_signal(signals.SIGTERM)
        assert process.wait(15) == 0


def test_a_second_reference_goes_above_the_first(environ: dict[str, str], tmp_path: Path) -> None:
    invoke(environ, "topics", "create")
    file = tmp_path / "reference.csv"
    rows = [f"{T0 + 1000 * i},{random.Random(i).gauss(0, 1)},{i % 2}" for i in range(600)]
    file.write_text("\n".join(["time,size,outcome", *rows]))
    for revision in (1, 2):
        shown = invoke(environ, "reference", "build", str(file), "-m", "shop", "-v", "2").output
        assert f"revision {revision}" in shown


def test_what_cannot_be_a_reference_is_said(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "reference.csv"
    file.write_text("when,size\n1,2\n")
    result = CliRunner(env=dict(environ)).invoke(app, ["reference", "build", str(file), "-m", "m", "-v", "1"])
    assert result.exit_code == 2
    assert "--time" in result.stderr
    result = CliRunner(env=dict(environ)).invoke(app, ["run", "--stages", "ingest,jugde"])
    assert result.exit_code == 2
    assert "jugde is no stage" in result.stderr


@pytest.mark.timeout(60)
def test_run_without_topics_says_what_to_do(environ: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "driftline", "run"], env={**os.environ, **environ}, capture_output=True, timeout=30
    )
    assert result.returncode == 2
    assert b"there is no topic" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.timeout(90)
def test_exported_blocks_say_again_what_was_said(environ: dict[str, str], tmp_path: Path) -> None:
    """What the service has said of events, the exported counts of them say again; and how well the model does can be
    asked while it runs.

    Mutations: in `export_blocks`, begin every partition one bundle later; no `scorecard.flush` in `flush_model`."""
    environ |= {"DRIFTLINE_JUDGE__REFERENCE_EVENTS": "1200", "DRIFTLINE_JUDGE__REFERENCE_PAIRS": "1100"}
    blocks, result = tmp_path / "live.blocks", tmp_path / "again.json"
    rows = [row | {"score": 0.1 + 0.7 * row["prediction"] + 0.02 * (i % 10)} for i, row in enumerate(making.rows())]
    history = making.events(rows)
    invoke(environ, "topics", "create")
    with running(environ, tmp_path / "run.log"):
        for first in range(0, len(history), 1_000):
            part = making.write_jsonl(tmp_path / "part.jsonl", history[first : first + 1_000])
            invoke(environ, "publish", str(part))
        wanted = {"error:rate", "features.x:distribution"}
        status_when(environ, lambda s: wanted <= set(only_model(s).get("alarms", ())))
        performance = json.loads(invoke(environ, "performance", "model", "--by", "month", "--json").output)
        said = invoke(environ, "tail", "--topics", "signals", "--from-start", "--for", "2", "--json").output
        assert "1 profiles in live.blocks" in invoke(environ, "blocks", "export", "--out", str(blocks)).output
    (period,) = performance["periods"]
    assert period["predictions"] > 1_000 and period["outcomes"] > 1_000
    assert period["measured"]["accuracy"]["value"] < period["estimated"]["accuracy"]["value"] - 0.05
    assert "accuracy" in period["parted"]  # the error has moved, and scores knew nothing of it
    live = {s["id"]: s for s in map(json.loads, said.splitlines()) if s["state"] == "alarm"}
    invoke(environ, "backtest", str(blocks), "--json", str(result))
    again = json.loads(result.read_bytes())
    found = {alarm["id"]: alarm for alarm in again["alarms"]}
    assert again["summary"]["events"] == again["summary"]["outcomes"] == making.N
    assert {"error:rate", "features.x:distribution"} <= {s["monitor"] for s in live.values()}
    for id, signal in live.items():
        assert {name: found[id][name] for name in SAID} == {name: signal[name] for name in SAID}
    # A backtest judges the panes of the end, too, which live are still open.
    last = max(s["time"] for s in live.values())
    assert {id for id, alarm in found.items() if alarm["time"] <= last} == live.keys()
