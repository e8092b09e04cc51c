"""The command line as a person meets it: help, errors, exit codes; then against the embedded servers."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.letters import dead_letter
from cli.letters import signal as signal_record
from driftline import __version__
from driftline.cli import app
from support.servers import AnyServers, connection, unique

CANARY = "canary-5f2e"


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner(env={"DRIFTLINE_CONFIG": None, **environ}).invoke(app, list(arguments))


COMMANDS = [
    "run",
    "demo",
    "publish",
    "tail",
    "retrain",
    "status",
    "notify test",
    "notify routes",
    "topics create",
    "reference build",
    "reference pin",
    "reference list",
    "reference show",
    "reference compare",
    "model reset",
    "config check",
    "deadletter list",
    "deadletter replay",
]


def test_the_version() -> None:
    assert invoke("--version").output == f"driftline {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"driftline {command}" in " ".join(result.output.split())
    assert "Example" in result.output


def test_a_refused_configuration_is_a_message_and_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(f"kafka: {{bootstrp: x}}\nredis: {{passwort: {CANARY}}}\n")
    result = invoke("config", "check", "-c", str(file))
    assert result.exit_code == 2
    assert "2 mistakes" in result.stderr
    assert "did you mean kafka.bootstrap?" in result.stderr
    assert "did you mean redis.password?" in result.stderr
    assert CANARY not in result.output
    assert "Traceback" not in result.output


def test_config_check_says_what_a_reload_would_refuse_for_a_file_of_secrets(tmp_path: Path) -> None:
    """Mutation: no `_open_receivers` in `config check`; it calls sound what react then refuses."""
    file, secret = tmp_path / "driftline.yaml", tmp_path / "hook"
    file.write_text(
        f"notify: {{receivers: [{{name: chat, type: slack, url_file: {secret}}},"
        " {name: mail, type: webhook, url: 'https://canary.example/x'}]}"
    )
    for content, said in ((None, "cannot be read"), ("\n", "is empty"), ("canary", "write https://host/path")):
        if content is not None:
            secret.write_text(content)
        result = invoke("config", "check", "-c", str(file))
        assert result.exit_code == 0
        assert "react would refuse it: notify.receivers: chat" in result.stderr and said in result.stderr
        assert "mail" not in result.stderr and "canary" not in result.stderr
    secret.write_text("https://hooks.example/x")
    assert not invoke("config", "check", "-c", str(file)).stderr


def test_config_check_prints_everything_but_secrets(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text("join: {days: 7}\n")
    environ = {"DRIFTLINE_REDIS__PASSWORD": CANARY, "DRIFTLINE_CONFIG": str(file), "COLUMNS": "200"}
    text = invoke("config", "check", **environ)
    assert text.exit_code == 0
    lines = {line.split()[0]: line.split()[1:] for line in text.output.splitlines() if line.strip()}
    assert lines["join.days"] == ["7", "d.yaml:1"]
    assert lines["redis.password"] == ["(hidden)", "DRIFTLINE_REDIS__PASSWORD"]
    document = json.loads(invoke("config", "check", "--json", **environ).output)
    assert document["settings"]["redis"]["password"] == "(hidden)"
    assert document["origins"] == {"join.days": "d.yaml:1", "redis.password": "DRIFTLINE_REDIS__PASSWORD"}
    assert CANARY not in text.output + json.dumps(document)


def test_a_missing_file_is_said_before_any_broker_is_called() -> None:
    result = invoke("publish", "/nowhere/events.jsonl")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


@pytest.fixture
def connected(servers: AnyServers) -> dict[str, str]:
    kafka = {f"DRIFTLINE_KAFKA__{k.upper()}": str(v) for k, v in connection(servers)["kafka"].items()}
    return kafka | {"DRIFTLINE_TOPICS__PREFIX": f"{unique('cli')}."}


def publish_to(environ: dict[str, str], topic: str, file: Path, *values: bytes) -> None:
    """Put records on another topic than events, by the same command."""
    file.write_bytes(b"\n".join(values))
    name = f"{environ['DRIFTLINE_TOPICS__PREFIX']}{topic}"
    others = {"DRIFTLINE_TOPICS__EVENTS": name, f"DRIFTLINE_TOPICS__{topic.upper()}": f"{name}.unused"}
    assert invoke("publish", "--raw", str(file), **environ, **others).exit_code == 0


@pytest.mark.connected
def test_topics_are_created_once(connected: dict[str, str]) -> None:
    first = invoke("topics", "create", **connected, COLUMNS="120")
    assert first.exit_code == 0, first.output
    assert first.output.count("created") == 9
    again = invoke("topics", "create", **connected, COLUMNS="120")
    assert (again.output.count("created"), again.output.count("was there")) == (0, 9)


@pytest.mark.connected
def test_publishing_without_topics_says_to_create_them(connected: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"id": 1}\n')
    result = invoke("publish", str(tmp_path / "e.jsonl"), **connected)
    assert result.exit_code == 2
    assert "there is no topic" in result.stderr


@pytest.mark.connected
def test_publish_then_list_then_replay(connected: dict[str, str], tmp_path: Path) -> None:
    assert invoke("topics", "create", **connected).exit_code == 0
    (tmp_path / "e.jsonl").write_text('{"id": 1}\nnonsense\n{"id": 2}\n')
    result = invoke("publish", str(tmp_path / "e.jsonl"), **connected)
    assert result.exit_code == 1, result.output
    assert "published 2 events" in result.output
    assert "line 2: not JSON" in result.stderr

    empty = invoke("deadletter", "list", **connected)
    assert (empty.exit_code, empty.output) == (0, "no dead letters\n")
    letters = [dead_letter(b'{"a": 1}'), dead_letter(b"big" * 99, truncated=True, reason="too_large")]
    publish_to(connected, "deadletter", tmp_path / "d.jsonl", *letters)
    listed = invoke("deadletter", "list", "--json", **connected)
    assert [json.loads(line)["reason"] for line in listed.output.splitlines()] == ["json", "too_large"]
    table = invoke("deadletter", "list", "--reason", "json", **connected, COLUMNS="160")
    assert "events/2 @ 7" in table.output and "too_large" not in table.output
    assert base64.b64encode(b'{"a": 1}').decode() not in table.output

    dry = invoke("deadletter", "replay", "--dry-run", **connected)
    assert (dry.exit_code, "would replay 1 record to" in dry.output) == (1, True)
    done = invoke("deadletter", "replay", "--reason", "json", **connected)
    assert (done.exit_code, "replayed 1 record to" in done.output) == (0, True)
    whole = invoke("deadletter", "replay", **connected)
    assert whole.exit_code == 1
    assert "cannot be replayed" in whole.stderr


@pytest.mark.connected
def test_tail_ends_by_itself_and_by_ctrl_c(connected: dict[str, str], tmp_path: Path) -> None:
    assert invoke("topics", "create", **connected).exit_code == 0
    publish_to(connected, "signals", tmp_path / "s.jsonl", signal_record("first"), signal_record("second"))
    result = invoke("tail", "--from-start", "--json", "--for", "1", **connected)
    assert result.exit_code == 0
    assert [json.loads(line)["sentence"] for line in result.output.splitlines()] == ["first", "second"]

    command = [sys.executable, "-m", "driftline", "tail", "--from-start"]
    with subprocess.Popen(command, env=os.environ | connected, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "first" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.connected
def test_a_broker_that_is_not_there_is_a_message(
    connected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline.cli.connect.PATIENCE_S", 0.3)
    result = invoke("deadletter", "list", **connected | {"DRIFTLINE_KAFKA__BOOTSTRAP": "127.0.0.1:1"})
    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr
    assert "config check" in result.stderr
    assert "Traceback" not in result.output
