"""React's settings: crontabs, webhooks and networks are looked at when the process starts."""

from __future__ import annotations

import pytest

from driftline.config import load
from driftline.errors import Misconfigured
from driftline.wiring import webhook_settings, worker_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("react.retraining.schedule", "at night"),
        ("react.retraining.schedule", "0 3 * * * *"),
        ("notify.url", "ftp://canary/x"),
        ("notify.url", "https:///canary"),
        ("notify.allow_private", "10.0.0.0/99"),
    ],
)
def test_mistakes_are_refused(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(None, overrides={name: value})
    assert name in str(caught.value)
    if name == "notify.url":
        assert "canary" not in str(caught.value)


def test_without_a_webhook_nothing_is_notified() -> None:
    config = load(None).config
    assert webhook_settings(config) is None
    assert not worker_settings(config).notify


@pytest.mark.parametrize(
    ("secret", "key"), [("plain", b"plain"), ("whsec_c2VjcmV0", b"secret"), ("whsec_no base64", b"whsec_no base64")]
)
def test_the_key_of_the_signature(secret: str, key: bytes) -> None:
    overrides = {"notify.url": "https://h/x", "notify.secret": secret, "notify.allow_private": "10.0.0.0/8"}
    settings = webhook_settings(load(None, overrides=overrides).config)
    assert settings is not None
    assert settings.key == key
    assert "https" not in repr(settings)
    assert "plain" not in repr(settings)
