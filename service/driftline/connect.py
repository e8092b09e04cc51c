"""From the configuration to clients: the one place that knows both."""

from __future__ import annotations

from driftline.config.model import Config
from driftline.contracts.decode import Decoder
from driftline.contracts.limits import Limits
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_topics import TopicSpec
from driftline.runtime.redis_client import RedisSettings
from driftline.runtime.redis_store import RedisStore
from driftline.stats.settings import DetectionSettings

HOUR_MS = 3_600_000


def kafka_settings(config: Config) -> KafkaSettings:
    kafka = config.kafka
    password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    return KafkaSettings(
        bootstrap=kafka.bootstrap,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism or "PLAIN",
        sasl_username=kafka.sasl_username,
        sasl_password=password,
        tls_ca_file=_path(kafka.ssl_cafile),
        tls_cert_file=_path(kafka.ssl_certfile),
        tls_key_file=_path(kafka.ssl_keyfile),
        client_id=kafka.client_id,
        idempotent=kafka.idempotent,
        session_timeout_ms=kafka.session_timeout_ms,
        rebalance_timeout_ms=kafka.rebalance_timeout_ms,
    )


def redis_store(config: Config) -> RedisStore:
    redis = config.redis
    settings = RedisSettings(
        url=redis.address,
        username=redis.username,
        password=redis.password.get_secret_value() if redis.password else None,
        tls_ca_file=_path(redis.tls_ca_file),
        tls_cert_file=_path(redis.tls_cert_file),
        tls_key_file=_path(redis.tls_key_file),
        timeout_s=redis.timeout_s,
    )
    return RedisStore(settings, prefix=redis.prefix, allow_eviction=redis.allow_eviction)


def topic_specs(config: Config) -> list[TopicSpec]:
    """Every topic Driftline uses, as it would create it."""
    topics, hours = config.topics, config.topics.retention_hours
    return [
        *(TopicSpec(name, topics.partitions.events, retention_ms=_ms(hours.events)) for name in topics.events),
        TopicSpec(topics.blocks, topics.partitions.blocks, retention_ms=_ms(hours.blocks)),
        TopicSpec(topics.profiles, 1, compact=True),
        TopicSpec(topics.signals, 1, retention_ms=_ms(hours.signals)),
        TopicSpec(topics.deadletter, topics.partitions.deadletter, retention_ms=_ms(hours.deadletter)),
        TopicSpec(topics.lifecycle, 1, retention_ms=_ms(hours.lifecycle)),
    ]


def detection_settings(config: Config) -> DetectionSettings:
    detection = config.detection
    return DetectionSettings(
        arl0_days=detection.arl0_days,
        min_effect_sd=detection.min_effect_sd,
        min_rate_effect=detection.min_rate_effect,
        coalesce=detection.coalesce,
        features_pager=detection.pager.features,
        errors_pager=detection.pager.errors,
    )


def decoder(config: Config) -> Decoder:
    limits = config.ingest.limits
    return Decoder(Limits(max_bytes=limits.max_bytes, max_features=limits.max_features))


def _ms(hours: int) -> int:
    return hours * HOUR_MS if hours > 0 else hours


def _path(path: object) -> str | None:
    return str(path) if path is not None else None
