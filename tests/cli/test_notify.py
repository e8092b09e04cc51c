"""`driftline notify`: who would be told, and whether they can be; against stand-ins for the receivers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from driftline.cli import app

CANARY = "canary-93c1"


class Receiver(HTTPServer):
    """Answers 200 at /taken, 404 elsewhere."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200 if self.path.startswith("/taken") else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    where = f"http://127.0.0.1:{receiver.server_port}"
    (tmp_path / "url").write_text(f"{where}/taken?{CANARY}\n")
    file = tmp_path / "driftline.yaml"
    file.write_text(f"""
notify:
  allow_private: [127.0.0.0/8]
  teams:
    risk: ["fraud*"]
  receivers:
    - {{name: well, type: webhook, url_file: {tmp_path / "url"}}}
    - {{name: gone, type: webhook, url: "{where}/gone?{CANARY}"}}
  routes:
    - {{name: grave, match: {{severity: critical}}, receivers: [well, gone], continue: true, group_wait_s: 0}}
    - {{match: {{team: risk}}, receivers: well, group_wait_s: 30, escalate_s: 1800, escalate_to: gone}}
    - {{name: daily, match: {{severity: info}}, receivers: [gone], digest: "0 8 * * *", resolved: false}}
""")
    return file


def invoke(config: Path, *arguments: str) -> Result:
    result = CliRunner(env={"DRIFTLINE_CONFIG": str(config)}).invoke(app, ["notify", *arguments])
    assert CANARY not in result.output
    return result


def test_a_receiver_takes_a_test(config: Path, receiver: Receiver) -> None:
    result = invoke(config, "test", "well")
    assert (result.exit_code, result.output) == (0, "well: taken\n")
    assert len(receiver.bodies) == 1


def test_row_42_what_is_not_taken_is_said_and_ends_in_1(config: Path) -> None:
    """Mutation: exit 0 whatever came of it in cli.notify.test; whoever calls it takes the receiver for well."""
    result = invoke(config, "test", "grave", "--json")
    assert result.exit_code == 1
    well, gone = map(json.loads, result.output.splitlines())
    assert well == {"receiver": "well", "taken": True, "why": None}
    assert (gone["receiver"], gone["taken"]) == ("gone", False)
    assert "404" in gone["why"]


def test_a_route_without_a_name_is_called_by_its_place(config: Path, receiver: Receiver) -> None:
    assert "gone: not taken" in invoke(config, "test", "2").output
    assert len(receiver.bodies) == 2


@pytest.mark.parametrize("arguments", [("test", "nobody"), ("test",), ("test", "well", "--all")])
def test_who_is_meant_has_to_be_clear(config: Path, arguments: tuple[str, ...]) -> None:
    result = invoke(config, *arguments)
    assert result.exit_code == 2
    assert "receiver" in result.output


def test_a_file_that_cannot_be_read_is_said(config: Path) -> None:
    (config.parent / "url").unlink()
    result = invoke(config, "test", "well")
    assert result.exit_code == 2
    assert "url_file" in result.output.replace("\n", "")


def test_without_receivers_there_is_nothing_to_test(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("notify: {}")
    assert "notify.receivers" in invoke(tmp_path / "empty.yaml", "test", "--all").output


def test_who_would_be_told(config: Path) -> None:
    def routes(*arguments: str) -> Any:
        return json.loads(invoke(config, "routes", *arguments, "--json").output)

    assert [r["name"] for r in routes("fraud-eu", "--severity", "critical")["routes"]] == ["grave", "2"]
    said = routes("fraud-eu", "--cause", "quality")
    assert said["team"] == "risk"
    assert said["routes"] == [
        {
            "name": "2",
            "receivers": ["well"],
            "group_wait_s": 30.0,
            "repeat_s": 86_400.0,
            "escalate_s": 1_800.0,
            "escalate_to": ["gone"],
            "digest": None,
            "resolved": True,
        }
    ]
    assert [r["name"] for r in routes("churn", "--severity", "info")["routes"]] == ["daily"]
    shown = invoke(config, "routes", "fraud-eu").output
    assert "team risk" in shown
    assert "30 min" in shown
    assert "nobody is told" not in shown


@pytest.mark.parametrize("option", ["--cause", "--severity"])
def test_what_there_is_not_is_refused(config: Path, option: str) -> None:
    assert invoke(config, "routes", "m", option, "nonsense").exit_code == 2
