"""docker-compose.yml: what the specification allows, pinned, hardened, and of commands and files that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
import yaml
from jsonschema import Draft202012Validator

from driftline.cli import app
from driftline.config import load

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "docker-compose.yml"
TEXT: Final = FILE.read_text(encoding="utf-8")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(TEXT)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = sorted(name for name, service in SERVICES.items() if service["image"].startswith("driftline:"))
ONCE: Final = {"topics"}
WITHOUT_LOOKS: Final = {"topics", "demo"}
"""They serve no HTTP: one ends, the other only publishes."""


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    name: str = request.param
    return {"name": name, **SERVICES[name]}


def test_it_is_what_the_specification_allows() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"a": {"imagge": "b"}}}
    assert list(Draft202012Validator(schema).iter_errors(broken))


def test_it_has_what_it_takes() -> None:
    wanted = {"kafka", "redis", "topics", "ingest", "judge", "react", "prometheus", "alertmanager", "grafana"}
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == wanted
    assert SERVICES["demo"]["profiles"] == ["demo"]
    assert OURS == ["demo", "ingest", "judge", "react", "topics"]


def test_versions_are_pinned(service: dict[str, Any]) -> None:
    """Mutation: say `prom/prometheus:latest`, or `:v3`; it is found here."""
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+(-[a-z]+)?", service["image"])


def test_nothing_may_more_than_it_must(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert service["read_only"] is (service["name"] != "kafka")
    assert "privileged" not in service and "network_mode" not in service
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert "max-size" in service["logging"]["options"]
    for port in service.get("ports", ()):
        assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:"), "published on this machine only"


def test_every_service_is_looked_after(service: dict[str, Any]) -> None:
    assert service["restart"] == ("no" if service["name"] in ONCE else "unless-stopped")
    if service["name"] in WITHOUT_LOOKS:
        assert service["healthcheck"] == {"disable": True}
    elif service["name"] not in OURS:
        assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    for other, how in service.get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how["condition"] == expected


def test_what_is_mounted_is_there(service: dict[str, Any]) -> None:
    for mount in service.get("volumes", ()):
        source, *rest = mount.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert rest[-1] == "ro"
        else:
            assert source in COMPOSE["volumes"]


def test_every_variable_is_in_the_example() -> None:
    """And no secret has a default."""
    used = dict(re.findall(r"\$\{([A-Z_]+)(:[-?])", TEXT))
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    assert set(used) == set(example)
    for name, operator in used.items():
        assert (operator == ":?") == ("PASSWORD" in name) == (example[name] == ""), name
    for name, default in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT):
        assert example[name] == default, name


@pytest.mark.parametrize("name", OURS)
def test_our_commands_are_commands(name: str) -> None:
    """Parsed as the image's entry point would, and not run.

    Mutation: say `--stage` in docker-compose.yml; there is no such option."""
    arguments = [re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", word) for word in SERVICES[name]["command"]]
    command: Any = typer.main.get_command(app)
    context = command.make_context("driftline", arguments, resilient_parsing=False)
    while (rest := [*context._protected_args, *context.args]) and hasattr(command, "resolve_command"):
        word, command, rest = command.resolve_command(context, rest)
        assert command is not None, word
        context = command.make_context(word, rest, parent=context)
    assert not context.args


def test_our_settings_are_sound() -> None:
    given = SERVICES["ingest"]["environment"]
    assert given["DRIFTLINE_CONFIG"] == "/etc/driftline/driftline.yaml"
    environ = {name: str(value) for name, value in given.items() if "__" in name}
    environ["DRIFTLINE_REDIS__PASSWORD"] = "canary-1b2c"
    loaded = load(ROOT / "deploy/compose/driftline.yaml", environ)
    assert loaded.config.kafka.bootstrap == "kafka:9092"
    assert loaded.config.redis.password is not None
    assert "canary" not in str(loaded.config.redacted())
    assert loaded.config.runtime.http.host == "0.0.0.0"
    assert [receiver.name for receiver in loaded.config.notify.receivers] == ["alertmanager"]


def test_the_store_forgets_nothing() -> None:
    lines = (ROOT / "deploy/compose/redis.conf").read_text().splitlines()
    assert {"maxmemory-policy noeviction", "appendonly yes", "appendfsync everysec"} <= set(lines)


def test_the_image_is_that_of_the_stages() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.11\.\d+-slim-bookworm$", text, re.M)
    assert text.count("FROM python:${PYTHON}") == 2
    assert "--require-hashes" in text and "USER 10001:10001" in text and 'ENTRYPOINT ["driftline"]' in text
    assert SERVICES["ingest"]["user"] == "10001:10001"
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version and SERVICES["ingest"]["image"] == f"driftline:{version[1]}"
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in ("LICENSE", "README.md", "pyproject.toml", "service", "deploy/*.lock"):
        assert f"!{copied}" in ignored
