"""Where the log and the store are, and how to be let in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator

from driftline.config.base import LEGAL_NAME, Number, Section, Whole, setting


def _readable(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


class Kafka(Section):
    """The log."""

    bootstrap: str = setting(
        "127.0.0.1:9092", "Brokers to begin with: `host:port`, more of them separated by commas.", min_length=1
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "How to talk to the brokers. SSL and SASL_SSL are TLS."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = setting(
        None, "How to log in, with a SASL protocol."
    )
    sasl_username: str | None = setting(None, "Name to log in with.")
    sasl_password: SecretStr | None = setting(None, "Password to log in with.")
    ssl_cafile: Path | None = setting(
        None, "Certificates to trust (PEM). Without it, those of the system are trusted."
    )
    ssl_certfile: Path | None = setting(None, "Our own certificate (PEM), where the broker asks for one.")
    ssl_keyfile: Path | None = setting(None, "Key of our own certificate (PEM).")
    ssl_key_password: SecretStr | None = setting(None, "Password of that key, where it has one.")
    ssl_check_hostname: bool = setting(True, "Whether a broker's certificate must name the host we called.")
    client_id: str = setting("driftline", "What we call ourselves to the brokers.", min_length=1, max_length=200)
    group: str = setting(
        "driftline",
        "Prefix of the consumer groups: stage `ingest` joins `<group>.ingest`.",
        pattern=LEGAL_NAME,
        max_length=200,
    )
    session_timeout_ms: Whole = setting(
        10_000, "A worker not heard of for so long loses its partitions.", ge=1_000, le=300_000
    )
    rebalance_timeout_ms: Whole = setting(
        10_000, "How long workers may take to hand partitions over.", ge=1_000, le=300_000
    )
    request_timeout_ms: Whole = setting(20_000, "How long to wait for a broker's answer.", ge=1_000, le=300_000)
    max_message_bytes: Whole = setting(
        1_000_000, "Largest record we publish; at most what the brokers take.", ge=100_000, le=100_000_000
    )
    idempotent: bool = setting(
        True, "Let the broker drop what our own repeats would write twice. False for brokers that cannot."
    )
    end_lags: bool = setting(
        False, "The broker may say that a log ends sooner than it does. True for the embedded one only."
    )

    _files = field_validator("ssl_cafile", "ssl_certfile", "ssl_keyfile")(_readable)

    @field_validator("bootstrap")
    @classmethod
    def _hosts(cls, value: str) -> str:
        for one in value.split(","):
            host, _, port = one.strip().rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise ValueError("write host:port, more of them separated by commas")
            if "/" in one or "@" in one:
                raise ValueError("write host:port without a scheme or a password")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        sasl = self.security_protocol.startswith("SASL_")
        if sasl and (self.sasl_mechanism is None or not self.sasl_username or self.sasl_password is None):
            raise ValueError(
                f"security_protocol {self.security_protocol} needs sasl_mechanism, sasl_username and sasl_password"
            )
        if not sasl and self.sasl_mechanism is not None:
            raise ValueError("sasl_mechanism is set: set security_protocol to SASL_SSL (or SASL_PLAINTEXT) too")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ValueError("ssl_keyfile is set: set ssl_certfile too")
        tls = [n for n in ("ssl_cafile", "ssl_certfile", "ssl_keyfile") if getattr(self, n) is not None]
        if tls and not self.security_protocol.endswith("SSL"):
            raise ValueError(f"{tls[0]} is set, but {self.security_protocol} is not TLS: use SSL or SASL_SSL")
        return self


class Redis(Section):
    """The store: Redis 7 or Valkey, with `maxmemory-policy noeviction`."""

    url: str = setting(
        "redis://127.0.0.1:6379/0", "`redis://host:port/database`, `rediss://` for TLS, or `unix:///path`."
    )
    tls: bool = setting(False, "Talk TLS: the same as a `rediss://` URL.")
    tls_ca_file: Path | None = setting(None, "Certificates to trust (PEM), instead of those of the system.")
    tls_cert_file: Path | None = setting(None, "Our own certificate (PEM), where the store asks for one.")
    tls_key_file: Path | None = setting(None, "Key of our own certificate (PEM).")
    username: str | None = setting(None, "Name to log in with.")
    password: SecretStr | None = setting(None, "Password to log in with.")
    prefix: str = setting("driftline", "Begins every key.", pattern=r"^[A-Za-z0-9._:-]{1,64}$")
    timeout_s: Number = setting(5.0, "How long to wait for an answer, seconds.", gt=0, le=60)
    allow_eviction: bool = setting(
        False, "Start even if the server may evict our state. It will then be lost and rebuilt now and then."
    )

    _files = field_validator("tls_ca_file", "tls_cert_file", "tls_key_file")(_readable)

    @field_validator("url")
    @classmethod
    def _plain(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            port_ok = parts.port is None or parts.port > 0
        except ValueError:
            raise ValueError("write redis://host:port/database") from None
        if parts.scheme not in {"redis", "rediss", "unix"} or not port_ok:
            raise ValueError("write redis://host:port/database, rediss:// for TLS, or unix:///path")
        if "@" in parts.netloc:
            raise ValueError("do not put the password into the URL; use redis.username and redis.password")
        if parts.scheme == "unix" and not parts.path:
            raise ValueError("write unix:///path/of/the/socket")
        if parts.scheme != "unix" and not parts.hostname:
            raise ValueError("the URL names no host")
        if "password=" in parts.query:
            raise ValueError("do not put the password into the URL; use redis.password")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        files = [n for n in ("tls_ca_file", "tls_cert_file", "tls_key_file") if getattr(self, n) is not None]
        if files and not self.encrypted:
            raise ValueError(f"{files[0]} is set, but the store is called without TLS: set tls to true")
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_key_file is set: set tls_cert_file too")
        if self.tls and self.url.startswith("unix:"):
            raise ValueError("tls is set, but a unix socket has none")
        return self

    @property
    def encrypted(self) -> bool:
        return self.tls or self.url.startswith("rediss://")

    @property
    def address(self) -> str:
        """The URL to call: `rediss://` whenever `tls` is set."""
        plain = "redis://"
        return f"rediss://{self.url[len(plain) :]}" if self.tls and self.url.startswith(plain) else self.url
