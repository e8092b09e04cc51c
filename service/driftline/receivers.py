"""From the configuration to the channels that lead to its receivers."""

from __future__ import annotations

import base64
import binascii
import contextlib
import ssl
from collections.abc import Collection
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Line:
    """All that a receiver is called by, its secrets read: one that equals another is called alike."""

    name: str
    settings: ChannelSettings
    post: PostSettings
    values: bool
    per_minute: float

    def channel(self, clock: Clock) -> Channel:
        """Misconfigured where it lacks what it needs."""

        def lost(why: str) -> None:
            log("notification.picture_lost", receiver=self.name, error=why)

        try:
            return open_channel(self.settings, self.post, clock, values=self.values, lost=lost)
        except Misconfigured as error:
            raise Misconfigured(f"notify.receivers: {self.name}: {error}") from None

    def rate(self, clock: Clock) -> Rate:
        return Rate(self.per_minute, BURST, clock)


def lines(config: Config, only: Collection[str] | None = None) -> list[Line]:
    """One for each receiver (of these names). Misconfigured where a file of secrets or certificates cannot be read."""
    notify = config.notify
    post = PostSettings(
        timeout_s=notify.timeout_s,
        allow_private=networks(notify.allow_private),
        certificates=None if notify.ca_file is None else _certificates(notify.ca_file),
    )
    return [
        Line(
            name=receiver.name,
            settings=channel_settings(receiver, notify.timeout_s),
            post=post,
            values=notify.values,
            per_minute=receiver.per_minute,
        )
        for receiver in notify.receivers
        if only is None or receiver.name in only
    ]


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


def _certificates(file: Path) -> str:
    """Read now, so that what cannot be used is said now."""
    try:
        text = file.read_text("ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (OSError, ValueError) as error:
        raise Misconfigured(f"notify.ca_file: {file} holds no certificates (PEM): {type(error).__name__}") from None
    return text


def _key(secret: str | None) -> bytes | None:
    """A secret of the form `whsec_` + base64 is a key in base64, any other is the key."""
    if secret is not None and secret.startswith("whsec_"):
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return None if secret is None else secret.encode()
