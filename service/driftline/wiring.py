"""From the configuration to the settings that the runtime's parts take."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import SecretStr

from driftline.config import Config
from driftline.contracts.decode import Decoder
from driftline.contracts.limits import Limits
from driftline.contracts.reactions import Match
from driftline.ingest.stage import IngestSettings
from driftline.judge.rebaseline import DAY_MS, Rolling
from driftline.judge.stage import JudgeSettings
from driftline.react.settings import Maintenance, ReactSettings
from driftline.react.topics import Topics
from driftline.react.worker_settings import WorkerSettings
from driftline.routing import route_table
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_topics import TopicSpec
from driftline.runtime.owned import LoopSettings
from driftline.runtime.redis_client import RedisSettings
from driftline.runtime.redis_store import RedisStore
from driftline.stats.detector_rules import detector_of
from driftline.stats.distance_rules import distance_rule_of
from driftline.stats.limit_rules import limit_of
from driftline.stats.settings import DetectionSettings

StageName = Literal["ingest", "judge", "react"]
LoopName = Literal["ingest", "judge"]

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
        ssl_cafile=_text(kafka.ssl_cafile),
        ssl_certfile=_text(kafka.ssl_certfile),
        ssl_keyfile=_text(kafka.ssl_keyfile),
        ssl_key_password=_open(kafka.ssl_key_password),
        ssl_check_hostname=kafka.ssl_check_hostname,
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
        TopicSpec(topics.commands, 1, retention_ms=ms(hours.commands)),
        TopicSpec(topics.alerts, 1, retention_ms=ms(hours.alerts)),
        TopicSpec(topics.retraining, 1, retention_ms=ms(hours.retraining)),
    ]


def redis_store(config: Config) -> RedisStore:
    return RedisStore(
        redis_settings(config), prefix=config.redis.prefix, allow_eviction=config.redis.allow_eviction
    )


def decoder(config: Config) -> Decoder:
    ingest = config.ingest
    limits = Limits(max_bytes=ingest.limits.max_bytes, max_features=ingest.limits.max_features)
    return Decoder(limits, ingest.mapping.compiled() if ingest.mapping else None)


def detection_settings(config: Config) -> DetectionSettings:
    detection = config.detection
    return DetectionSettings(
        arl0_days=detection.arl0_days,
        arl0_events=detection.arl0_events,
        fleet_models=detection.fleet_models,
        season=detection.season,
        min_effect_sd=detection.min_effect_sd,
        min_rate_effect=detection.min_rate_effect,
        coalesce=detection.coalesce,
        features_pager=detection.pager.features,
        errors_pager=detection.pager.errors,
        limits=tuple(map(limit_of, detection.limits)),
        detectors=tuple(map(detector_of, detection.detectors)),
        distances=tuple(map(distance_rule_of, detection.distances)),
        positive_class=detection.positive_class,
        importance=detection.importance,
        multivariate=detection.multivariate,
    )


def ingest_settings(config: Config, sources: int, blocks: int, deadletters: int) -> IngestSettings:
    topics = config.topics
    return IngestSettings(
        sources=sources,
        blocks_partitions=blocks,
        events_topic=topics.events[0],
        blocks_topic=topics.blocks,
        deadletter_topic=topics.deadletter,
        deadletter_partitions=deadletters,
        signals_topic=topics.signals,
        lateness_ms=round(1000 * config.ingest.lateness_s),
        future_ms=round(1000 * config.ingest.future_s),
        max_write_bytes=config.ingest.max_bundle_bytes,
        join=config.join.enabled,
        join_days=config.join.days,
        positive_class=config.detection.positive_class,
        limits=tuple(map(limit_of, config.detection.limits)),
    )


def judge_settings(config: Config) -> JudgeSettings:
    topics = config.topics
    return JudgeSettings(
        blocks_topic=topics.blocks,
        signals_topic=topics.signals,
        profiles_topic=topics.profiles,
        deadletter_topic=topics.deadletter,
        reference_events=config.judge.reference_events,
        reference_pairs=config.judge.reference_pairs,
        new_version=config.judge.new_version,
        rolling=rolling(config),
        max_models_per_partition=config.judge.max_models_per_partition,
        invalid_share=config.judge.invalid_share,
        max_write_bytes=config.ingest.max_bundle_bytes,
        on_gap=config.judge.on_gap,
        detection=detection_settings(config),
    )


def rolling(config: Config) -> Rolling:
    settings = config.judge.rolling
    return Rolling(
        every_ms=round(settings.every_days * DAY_MS),
        window_ms=round(settings.window_days * DAY_MS),
        max_evidence=settings.max_evidence,
        max_distance=settings.max_distance,
    )


def react_topics(config: Config) -> Topics:
    topics = config.topics
    return Topics(
        signals=topics.signals,
        lifecycle=topics.lifecycle,
        commands=topics.commands,
        alerts=topics.alerts,
        retraining=topics.retraining,
        deadletter=topics.deadletter,
    )


def worker_settings(config: Config) -> WorkerSettings:
    react, retraining = config.react, config.react.retraining

    def ms(seconds: float) -> int:
        return round(1000 * seconds)

    routes, incidents = route_table(config), react.incidents
    policy = ReactSettings(
        routes=routes,
        retrain=retraining.enabled,
        cooldown_ms=ms(retraining.cooldown_s),
        expire_ms=ms(retraining.expire_s),
        escalate_ms=ms(retraining.escalate_s),
        update_every_ms=ms(react.update_every_s),
        quietest_ms=max(ms(incidents.quietest_s), ms(react.update_every_s)),
        reopen_ms=ms(incidents.reopen_s),
        together_ms=ms(incidents.together_s),
        upstream=incidents.upstream,
        importance=incidents.importance,
        busy_per_day=incidents.busy_per_day,
        idle_per_day=incidents.idle_per_day,
        maintenance=tuple(
            Maintenance(
                Match(**window.match.model_dump()), window.schedule, ms(window.lasts_s), window.reason, window.by
            )
            for window in incidents.maintenance
        ),
        enough_events=retraining.enough_events,
        compare_pairs=retraining.compare_pairs,
        compare_days=retraining.compare_days,
        budget=retraining.budget,
        strategy=retraining.strategy,
        schedule=retraining.schedule,
    )
    return WorkerSettings(
        topics=react_topics(config), policy=policy, routes=routes, max_pending=config.notify.max_pending
    )


def loop_settings(config: Config, stage: LoopName, *, structure: str) -> LoopSettings:
    """`structure`: what the stage's stored state is bound to for good."""
    ingest, runtime = config.ingest, config.runtime
    return LoopSettings(
        max_batch=ingest.max_batch,
        poll_s=ingest.poll_ms / 1000,
        idle_after_s=ingest.idle_after_s,
        revoke_deadline_s=runtime.revoke_deadline_s,
        watchdog_s=runtime.watchdog_s,
        on_log_gap=runtime.on_log_gap,
        # A bundle that cannot be folded is a defect of ours, and leaving it out a gap: judge always pauses.
        on_fold_error=ingest.on_fold_error if stage == "ingest" else "pause",
        dead_letters_per_s=ingest.limits.dead_letters_per_s,
        dead_letter_burst=ingest.limits.dead_letter_burst,
        structure=structure,
        fingerprint=config.fingerprint(stage),
    )
