"""Receivers: who can be told, and by what. Their secrets are never shown; each may be in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from driftline.config.base import Number, Section, parsed, setting

Address = TypeVar("Address", SecretStr | None, str)
RECEIVER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"


def http_url(value: Address) -> Address:
    """ValueError for what is no address of a server, without repeating it."""
    if value is None:
        return value
    text = value if isinstance(value, str) else value.get_secret_value()
    try:
        parts = urlsplit(text)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("write https://host/path") from None
    if not text.isprintable() or " " in text:  # urlsplit passes over line ends, and no server can be called by them
        raise ValueError("write https://host/path, on one line and without spaces")
    if parts.scheme not in {"https", "http"} or not parts.hostname or not port_ok:
        raise ValueError("write https://host/path")
    return value


class _Receiver(Section):
    """`WANTED`: secrets of which exactly one has to be given; `OPTIONAL`: those that may be. Each may be given as
    itself or as a file."""

    WANTED: ClassVar[tuple[str, ...]] = ()
    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    name: str = setting(..., "What routes call it.", pattern=RECEIVER_NAME)
    per_minute: Number = setting(
        60.0, "Most calls a minute in the long run; five may come at once.", gt=0, le=6_000
    )

    @model_validator(mode="after")
    def _given_once(self) -> Self:
        for secret in (*self.WANTED, *self.OPTIONAL):
            if self._given(secret) == 2:
                raise ValueError(f"give either {secret} or {secret}_file")
        if self.WANTED and sum(map(self._given, self.WANTED)) != 1:
            raise ValueError(f"give one of {', '.join(self.WANTED)} (or of these as a file, such as url_file)")
        return self

    def _given(self, secret: str) -> int:
        return sum(getattr(self, name) not in (None, ()) for name in (secret, f"{secret}_file"))


class WebhookReceiver(_Receiver):
    """Signed CloudEvents over HTTP."""

    WANTED = ("url",)
    OPTIONAL = ("secret",)

    type: Literal["webhook"] = setting(..., "Signed CloudEvents over HTTP.")
    url: SecretStr | None = setting(None, "Where to post (https).")
    url_file: Path | None = setting(None, "A file that holds it.")
    secret: SecretStr | None = setting(
        None, "Key of the signature (HMAC-SHA256, Standard Webhooks); `whsec_` and base64 is understood."
    )
    secret_file: Path | None = setting(None, "A file that holds it.")

    _url = field_validator("url")(http_url)


class SlackReceiver(_Receiver):
    """Slack: an incoming webhook, or a bot with one thread for each incident."""

    WANTED = ("url", "token")

    type: Literal["slack"] = setting(..., "Slack: an incoming webhook, or a bot.")
    url: SecretStr | None = setting(None, "The incoming webhook.")
    url_file: Path | None = setting(None, "A file that holds it.")
    token: SecretStr | None = setting(
        None, "The bot's token (`chat:write`, `files:write`): one thread an incident."
    )
    token_file: Path | None = setting(None, "A file that holds it.")
    channel: str | None = setting(None, "Id of the channel that the bot writes to: `C0123456789`.", min_length=1)
    pictures: bool = setting(True, "Whether the bot adds a picture to an incident's thread.")
    api: str = setting("https://slack.com/api", "Where the bot's API is.")

    _url = field_validator("url", "api")(http_url)

    @model_validator(mode="after")
    def _where(self) -> Self:
        if self._given("token") and self.channel is None:
            raise ValueError("with a token, give the channel's id, such as C0123456789")
        return self


class PagerDutyReceiver(_Receiver):
    """PagerDuty: Events API v2."""

    WANTED = ("key",)

    type: Literal["pagerduty"] = setting(..., "PagerDuty: Events API v2.")
    key: SecretStr | None = setting(None, "The integration's routing key.")
    key_file: Path | None = setting(None, "A file that holds it.")
    url: str = setting(
        "https://events.pagerduty.com",
        "Where events go; in the European region `https://events.eu.pagerduty.com`.",
    )

    _url = field_validator("url")(http_url)


class AlertmanagerReceiver(_Receiver):
    """Alertmanager: API v2."""

    WANTED = ("url",)
    OPTIONAL = ("password", "token")

    type: Literal["alertmanager"] = setting(..., "Alertmanager: API v2.")
    url: SecretStr | None = setting(None, "Its address, without `/api/v2/alerts`.")
    url_file: Path | None = setting(None, "A file that holds it.")
    username: str | None = setting(None, "User, where it asks for one.")
    password: SecretStr | None = setting(None, "That user's password.")
    password_file: Path | None = setting(None, "A file that holds it.")
    token: SecretStr | None = setting(None, "A bearer token, in place of user and password.")
    token_file: Path | None = setting(None, "A file that holds it.")
    valid_s: Number = setting(
        604_800.0, "Seconds for which an alert that is not told again stays in force there.", gt=0
    )

    _url = field_validator("url")(http_url)


class AppriseReceiver(_Receiver):
    """E-mail, Teams, Opsgenie and the rest, by apprise."""

    WANTED = ("urls",)

    type: Literal["apprise"] = setting(
        ..., "E-mail, Teams, Opsgenie and the rest (`pip install driftline[apprise]`)."
    )
    urls: Annotated[tuple[SecretStr, ...], BeforeValidator(parsed)] = setting(
        (), "Apprise's addresses: `mailto://…`, `msteams://…`, `opsgenie://…`."
    )
    urls_file: Path | None = setting(None, "A file that holds them, one a line.")


Receiver = Annotated[
    WebhookReceiver | SlackReceiver | PagerDutyReceiver | AlertmanagerReceiver | AppriseReceiver,
    Field(discriminator="type"),
]
