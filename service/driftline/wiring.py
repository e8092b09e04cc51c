"""From the configuration to the settings that the runtime's parts take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import SecretStr

from driftline.config import Config
from driftline.contracts.limits import Limits
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_topics import TopicSpec
from driftline.runtime.loop import LoopSettings
from driftline.runtime.redis_client import RedisSettings

_HOUR_MS: Final = 3_600_000


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _open(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def kafka_settings(config: Config) -> KafkaSettings:
    kafka = config.kafka
    return KafkaSettings(
        bootstrap=kafka.bootstrap,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism or "PLAIN",
        sasl_username=kafka.sasl_username,
        sasl_password=_open(kafka.sasl_password),
        tls_ca_file=_text(kafka.tls_ca_file),
        tls_cert_file=_text(kafka.tls_cert_file),
        tls_key_file=_text(kafka.tls_key_file),
        client_id=kafka.client_id,
        idempotent=kafka.idempotent,
        end_lags=kafka.end_lags,
        request_timeout_ms=kafka.request_timeout_ms,
        session_timeout_ms=kafka.session_timeout_ms,
        rebalance_timeout_ms=kafka.rebalance_timeout_ms,
        max_message_bytes=kafka.max_message_bytes,
    )


def redis_settings(config: Config) -> RedisSettings:
    redis = config.redis
    return RedisSettings(
        url=redis.address,
        username=redis.username,
        password=_open(redis.password),
        tls_ca_file=_text(redis.tls_ca_file),
        tls_cert_file=_text(redis.tls_cert_file),
        tls_key_file=_text(redis.tls_key_file),
        timeout_s=redis.timeout_s,
    )


def topic_specs(config: Config) -> list[TopicSpec]:
    """Every topic, as `driftline topics create` makes those that are missing."""
    topics, partitions, hours = config.topics, config.topics.partitions, config.topics.retention_hours

    def ms(hours: int) -> int:
        return -1 if hours == -1 else hours * _HOUR_MS

    return [
        *(TopicSpec(name, partitions.events, retention_ms=ms(hours.events)) for name in topics.events),
        TopicSpec(topics.blocks, partitions.blocks, retention_ms=ms(hours.blocks)),
        TopicSpec(topics.profiles, 1, compact=True),
        TopicSpec(topics.signals, 1, retention_ms=ms(hours.signals)),
        TopicSpec(topics.deadletter, partitions.deadletter, retention_ms=ms(hours.deadletter)),
        TopicSpec(topics.lifecycle, 1, retention_ms=ms(hours.lifecycle)),
    ]


def limits(config: Config) -> Limits:
    return Limits(max_bytes=config.ingest.limits.max_bytes, max_features=config.ingest.limits.max_features)


def loop_settings(config: Config, *, structure: str, fingerprint: str) -> LoopSettings:
    ingest, runtime = config.ingest, config.runtime
    return LoopSettings(
        max_batch=ingest.max_batch,
        poll_s=ingest.poll_ms / 1000,
        idle_after_s=ingest.idle_after_s,
        revoke_deadline_s=runtime.revoke_deadline_s,
        watchdog_s=runtime.watchdog_s,
        on_log_gap=runtime.on_log_gap,
        on_fold_error=ingest.on_fold_error,
        dead_letters_per_s=ingest.limits.dead_letters_per_s,
        dead_letter_burst=ingest.limits.dead_letter_burst,
        structure=structure,
        fingerprint=fingerprint,
    )
