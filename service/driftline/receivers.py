"""From the configuration to the channels that lead to its receivers."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from driftline.clock import Clock
from driftline.config import Config
from driftline.config.receivers import (
    AlertmanagerReceiver,
    AppriseReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
    http_url,
)
from driftline.errors import Misconfigured
from driftline.react.notify.notification import Channel
from driftline.react.notify.rate import Rate
from driftline.react.notify.registry import open_channel
from driftline.react.notify.settings import (
    AlertmanagerSettings,
    AppriseSettings,
    ChannelSettings,
    PagerDutySettings,
    PostSettings,
    SlackSettings,
    WebhookSettings,
    networks,
)
from driftline.telemetry.logs import log

BURST = 5
"""Calls that may come at once after a pause."""


def channels(config: Config, clock: Clock) -> Iterator[tuple[str, Channel, Rate]]:
    """Every receiver's name, its channel, and how often it may be called. Misconfigured where a secret's file cannot
    be read, or a channel lacks what it needs."""
    for receiver in config.notify.receivers:
        channel = channel_of(config, receiver, clock)
        yield receiver.name, channel, Rate(receiver.per_minute, BURST, clock)


def channel_of(config: Config, receiver: Receiver, clock: Clock) -> Channel:
    notify = config.notify
    post = PostSettings(
        timeout_s=notify.timeout_s, allow_private=networks(notify.allow_private), ca_file=notify.ca_file
    )

    def lost(why: str) -> None:
        log("notification.picture_lost", receiver=receiver.name, error=why)

    settings = channel_settings(receiver, notify.timeout_s)
    try:
        return open_channel(settings, post, clock, values=notify.values, lost=lost)
    except Misconfigured as error:
        raise Misconfigured(f"notify.receivers: {receiver.name}: {error}") from None


def file_secrets(config: Config) -> frozenset[str]:
    """What the files of secrets hold, for the log to blot out. Misconfigured where one cannot be read."""
    found: set[str] = set()
    for receiver in config.notify.receivers:
        for name in type(receiver).model_fields:
            if name.endswith("_file") and (file := getattr(receiver, name)) is not None:
                found.update(_secret(receiver, name.removesuffix("_file"), file).split())
    return frozenset(found)


def channel_settings(receiver: Receiver, timeout_s: float) -> ChannelSettings:
    match receiver:
        case WebhookReceiver():
            return WebhookSettings(_wanted(receiver, "url"), _key(_given(receiver, "secret")))
        case SlackReceiver():
            return SlackSettings(
                url=_given(receiver, "url"),
                token=_given(receiver, "token"),
                channel=receiver.channel,
                api=receiver.api,
                pictures=receiver.pictures,
            )
        case PagerDutyReceiver():
            return PagerDutySettings(_wanted(receiver, "key"), receiver.url)
        case AlertmanagerReceiver():
            return AlertmanagerSettings(
                url=_wanted(receiver, "url"),
                username=receiver.username,
                password=_given(receiver, "password"),
                token=_given(receiver, "token"),
                valid_s=receiver.valid_s,
            )
        case AppriseReceiver():
            file = receiver.urls_file
            given = [url.get_secret_value() for url in receiver.urls]
            return AppriseSettings(
                tuple(given if file is None else _secret(receiver, "urls", file).split()), timeout_s
            )


def _given(receiver: Receiver, name: str) -> str | None:
    value: SecretStr | None = getattr(receiver, name)
    file: Path | None = getattr(receiver, f"{name}_file")
    if file is None:
        return None if value is None else value.get_secret_value()
    text = _secret(receiver, name, file)
    if name == "url":
        try:
            http_url(text)
        except ValueError as error:
            raise Misconfigured(f"notify.receivers: {receiver.name}: {file}: {error}") from None
    return text


def _wanted(receiver: Receiver, name: str) -> str:
    """One that the configuration has made sure of."""
    value = _given(receiver, name)
    assert value is not None
    return value


def _secret(receiver: Receiver, name: str, file: Path) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"notify.receivers: {receiver.name}: {name}_file {file} cannot be read ({type(error).__name__})"
        ) from None
    if not text:
        raise Misconfigured(f"notify.receivers: {receiver.name}: {name}_file {file} is empty")
    return text


def _key(secret: str | None) -> bytes | None:
    """A secret of the form `whsec_` + base64 is a key in base64, any other is the key."""
    if secret is not None and secret.startswith("whsec_"):
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return None if secret is None else secret.encode()
