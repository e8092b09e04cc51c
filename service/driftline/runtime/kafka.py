"""What the Kafka adapters share: settings, and every failure as one of our errors. Kafka >= 2.8."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from aiokafka import errors
from aiokafka.helpers import create_ssl_context

from driftline.errors import DriftlineError, Misconfigured, PublishRefused, Transient

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"]


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka, and how long things may take there (milliseconds). The files are PEM.

    `idempotent` makes the broker drop the duplicates of a producer's own retries; the embedded broker has it
    not. `rebalance_timeout_ms` bounds how long a rebalance waits for a busy member, so it must exceed the time a
    loop may take to let go; a batch may block the event loop no longer than `session_timeout_ms`. On the embedded
    broker a join takes half the session timeout, and twice that timeout where the last member has gone.
    `max_message_bytes` bounds key and value of a record that we publish; brokers allow a little more than the
    default. `end_lags` is for the embedded broker, which names the beginning of the last batch as the end of a log.
    """

    bootstrap: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_key_password: str | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True
    client_id: str = "driftline"
    idempotent: bool = True
    request_timeout_ms: int = 20_000
    session_timeout_ms: int = 30_000
    rebalance_timeout_ms: int = 30_000
    max_poll_interval_ms: int = 300_000
    max_message_bytes: int = 1_000_000
    end_lags: bool = False

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka client takes. Raises Misconfigured for unreadable TLS files."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL_"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = create_ssl_context(
                cafile=self.ssl_cafile,
                certfile=self.ssl_certfile,
                keyfile=self.ssl_keyfile,
                password=self.ssl_key_password,
            )
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured(
                "kafka.ssl_cafile, kafka.ssl_certfile, kafka.ssl_keyfile: one of these files cannot be read "
                f"as PEM: {type(error).__name__}"
            ) from error
        context.check_hostname = self.ssl_check_hostname
        return cast(ssl.SSLContext, context)

    @classmethod
    def embedded(cls, bootstrap: str, *, client_id: str = "driftline") -> KafkaSettings:
        """What suits the embedded broker: no idempotence, short rebalances, an end that lags."""
        return cls(
            bootstrap,
            client_id=client_id,
            idempotent=False,
            end_lags=True,
            session_timeout_ms=4_000,
            rebalance_timeout_ms=3_000,
        )


async def end_consumer(consumer: Any) -> None:
    """Stop a consumer of aiokafka, within `request_timeout_ms`. (While the broker is away its own `stop` passes on, as
    if it were ours, the cancellation of a fetch of its own, and leaves its connections open.)"""
    stopping = asyncio.create_task(consumer.stop())
    try:
        await asyncio.wait([stopping])
        if not stopping.cancelled():
            stopping.result()
    finally:
        stopping.cancel()
        await consumer._client.close()


_REFUSALS: Final[Mapping[type[errors.KafkaError], str]] = {
    errors.MessageSizeTooLargeError: "the record is too large (max.message.bytes of the topic)",
    errors.RecordListTooLargeError: "the batch is too large (segment.bytes of the topic)",
    errors.TopicAuthorizationFailedError: "we have no right to write",
    errors.ClusterAuthorizationFailedError: "we have no right to write idempotently (kafka.idempotent: false)",
}


def publish_error(settings: KafkaSettings, topic: str, error: BaseException) -> DriftlineError:
    """PublishRefused if the broker refuses the record itself, else as `kafka_error`."""
    for kind, text in _REFUSALS.items():
        if isinstance(error, kind):
            return PublishRefused(f"topic {topic}: {text}")
    return kafka_error(settings, f"publishing to {topic}", error)


def kafka_error(settings: KafkaSettings, doing: str, error: BaseException) -> DriftlineError:
    """Transient if a repeat may help, Misconfigured if the broker will not have us as we are."""
    where = f"Kafka at {settings.bootstrap}, {doing}"
    match error:
        case errors.TopicAuthorizationFailedError() | errors.GroupAuthorizationFailedError():
            return Misconfigured(f"{where}: our user has not the right ({type(error).__name__})")
        case errors.SaslAuthenticationFailed() | errors.AuthenticationFailedError():
            return Misconfigured(f"{where}: kafka.sasl_username or kafka.sasl_password is refused")
        case errors.UnsupportedSaslMechanismError() | errors.AuthenticationMethodNotSupported():
            return Misconfigured(f"{where}: kafka.sasl_mechanism {settings.sasl_mechanism} is not offered")
        case errors.UnsupportedVersionError() | errors.IncompatibleBrokerVersion():
            return Misconfigured(f"{where}: the broker is too old ({type(error).__name__}); 2.8 is needed")
        case errors.KafkaTimeoutError() | TimeoutError():
            return Transient(f"{where}: no answer within {settings.request_timeout_ms / 1000:g} s")
        case errors.KafkaConnectionError():
            return Transient(f"{where}: cannot be reached")
    return Transient(f"{where}: {type(error).__name__}")
