"""The object: frozen, printable without secrets, fingerprinted, described."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from driftline.config import Config, load
from driftline.config.describe import in_force, kind, reference
from driftline.config.model import affected
from driftline.config.tree import env_name, is_secret, settings
from driftline.docs import PAGES, stale
from driftline.errors import Misconfigured

ROOT = Path(__file__).parents[2]
CANARY = "canary-5f2e"
URL = f"https://{CANARY}/hook"
RECEIVERS = [
    {"name": "a", "type": "webhook", "url": URL, "secret": CANARY},
    {"name": "b", "type": "slack", "token": CANARY, "channel": "C1"},
    {"name": "c", "type": "pagerduty", "key": CANARY},
    {"name": "d", "type": "alertmanager", "url": URL, "username": "u", "password": CANARY},
    {"name": "e", "type": "apprise", "urls": [f"mailto://{CANARY}"]},
]
SECRETS = [path for path in settings() if is_secret(path)]


def with_secrets() -> Config:
    environ = {
        "DRIFTLINE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "DRIFTLINE_KAFKA__SASL_MECHANISM": "PLAIN",
        "DRIFTLINE_KAFKA__SASL_USERNAME": "me",
    }
    return load(None, environ | {env_name(path): _secret(path) for path in SECRETS}).config


def _secret(path: tuple[str, ...]) -> str:
    return json.dumps(RECEIVERS) if path == ("notify", "receivers") else CANARY


def test_there_are_secrets_to_guard() -> None:
    assert {".".join(p) for p in SECRETS} == {
        *("kafka.sasl_password", "kafka.ssl_key_password", "redis.password"),
        "notify.receivers",
    }


def test_row_45_secrets_are_never_printed() -> None:
    """Mutation: return `value.get_secret_value()` for SecretStr in model._plain; `redacted()` shows it."""
    config = with_secrets()
    loaded = load(
        None, {env_name(path): _secret(path) for path in (("redis", "password"), ("notify", "receivers"))}
    )
    shown = [
        repr(config),
        str(config),
        repr(config.redacted()),
        config.model_dump_json(),
        repr(list(in_force(loaded))),
    ]
    assert all(CANARY not in text for text in shown)
    assert config.redacted()["redis"]["password"] == "(hidden)"
    assert config.redacted()["notify"]["receivers"][0]["url"] == "(hidden)"
    assert config.secrets() == {CANARY, URL, f"mailto://{CANARY}"}


@pytest.mark.parametrize(
    "text",
    [
        f"redis: {{password: [{CANARY}]}}",
        f"redis: {{password: {{{CANARY}: 1}}}}",
        f"redis: {{passwort: {CANARY}}}",
        f"redis: {CANARY}",
        f"redis: {{url: 'redis://:{CANARY}@h/0'}}",
        f"redis: {{url: '{CANARY}'}}",
        f"redis: {{url: 'redis://h/0?password={CANARY}'}}",
        f"kafka: {{bootstrap: 'u:{CANARY}@h:1'}}",
        f"kafka: {{sasl_password: *{CANARY}}}",
        f"notify: {{receivers: {CANARY}}}",
        f"notify: {{receivers: [{CANARY}]}}",
        f"notify: {{receivers: [{{name: a, type: slack, url: 'hook://{CANARY}'}}]}}",
        f"notify: {{receivers: [{{name: a, type: slack, url: [{CANARY}]}}]}}",
        f"notify: {{receivers: [{{name: a, type: {CANARY}}}]}}",
        f"notify: {{receivers: [{{name: '{CANARY}/', type: slack, url: 'https://{CANARY}/'}}]}}",
        f"notify: {{receivers: [{{name: a, type: slack, url: 'https://{CANARY}/', token: {CANARY}}}]}}",
        f"notify: {{receivers: [{{name: a, type: apprise, urls: {CANARY}}}]}}",
        f"notify: {{receivers: [{{name: a, type: apprise, urls: [{{x: {CANARY}}}]}}]}}",
        f"kafka: {{sasl_password: !{CANARY} x}}",
        f"kafka: {{sasl_password: {CANARY}, security_protocol: SASL_SSL}}",
        f"kafka: {{sasl_password: {CANARY}: x}}",
        f"kafka:\n  sasl_password: '{CANARY}",
    ],
)
def test_row_45_a_mistake_does_not_repeat_a_secret(text: str, tmp_path: Path) -> None:
    """Mutation: put `error.problem` unfiltered into sources.read_file's message; the alias shows it."""
    file = tmp_path / "d.yaml"
    file.write_text(text)
    with pytest.raises(Misconfigured) as caught:
        load(file, {})
    chain: BaseException | None = caught.value
    while chain is not None and (chain is caught.value or not chain.__suppress_context__):
        assert CANARY not in str(chain)
        chain = chain.__cause__


def test_the_object_is_frozen() -> None:
    config = Config()
    with pytest.raises(ValidationError):
        config.kafka.bootstrap = "x:1"
    with pytest.raises(ValidationError):
        config.join = config.join


@pytest.mark.parametrize(
    "path", ["kafka.bootstrap", "redis.url", "ingest.max_batch", "runtime.watchdog_s", "logging.level"]
)
def test_the_fingerprint_ignores_what_changes_no_result(path: str) -> None:
    value = {"kafka.bootstrap": "h:1", "redis.url": "redis://h/1", "logging.level": "DEBUG"}.get(path, 77)
    assert load(None, {}, {path: value}).config.fingerprint() == Config().fingerprint()


def test_the_fingerprint_tells_every_result_apart() -> None:
    changed = {
        "ingest.lateness_s": 6,
        "detection.arl0_days": 31,
        "join.enabled": False,
        "ingest.mapping": {"kind": "outcome", "id": "i", "time": "t", "model": "m", "outcome": "o"},
        "topics.events": "other",
    }
    prints = {load(None, {}, {path: value}).config.fingerprint() for path, value in changed.items()}
    assert len(prints | {Config().fingerprint()}) == len(changed) + 1


def test_a_stage_has_a_fingerprint_of_its_own() -> None:
    judge = load(None, {}, {"detection.arl0_days": 31}).config
    assert judge.fingerprint("ingest") == Config().fingerprint("ingest")
    assert judge.fingerprint("judge") != Config().fingerprint("judge")
    assert len(judge.fingerprint()) == 32


def test_every_detection_and_join_setting_affects_results() -> None:
    for path, info in settings().items():
        if path[0] in {"detection", "join", "judge"}:
            assert affected(info), path


def test_every_setting_says_what_it_means() -> None:
    for path, info in settings().items():
        assert info.description and info.description.endswith("."), path
        assert kind(info), path
    assert "`arl0_days`" in reference()


def test_the_generated_pages_are_current() -> None:
    assert stale(ROOT) == []


def test_stale_pages_are_found(tmp_path: Path) -> None:
    assert stale(tmp_path) == list(PAGES)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/metrics.md").write_text("old")
    assert "docs/metrics.md" in stale(tmp_path)


def test_the_example_file_is_sound_and_says_defaults() -> None:
    example = load(ROOT / "deploy/driftline.example.yaml", {}).config
    changed = {
        (section, key)
        for section, keys in example.redacted().items()
        for key, value in keys.items()
        if Config().redacted()[section][key] != value
    }
    assert changed == {("kafka", "bootstrap"), ("redis", "url"), ("runtime", "http")}
