"""What the demo found out, as `--report FILE.json` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from driftline.demo.audit import LedgerFigures
from driftline.demo.memory_audit import JoinFigures
from driftline.demo.processes import Kill
from driftline.demo.signals import Said


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What the publisher knows: it has no part in the counted figures. `lonely`: outcomes whose prediction is
    poison; `refusals`: records that have to be refused, by reason; `by_partition`: records. By version: predictions
    without copies and poison, and outcomes of these."""

    predictions: int
    outcomes: int
    copies: int
    lonely: int
    refusals: Mapping[str, int]
    by_partition: Mapping[int, int]
    predictions_by_version: Mapping[str, int]
    outcomes_by_version: Mapping[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`predictions_published`, `outcomes_published` are the publisher's; every other count is summed from the topic
    `blocks` and from Redis. `outcomes_counted` are the joined ones, `orphans` those whose prediction never came.
    `alarms` are react's alerts, `retraining` its requests and what became of them (`retraining_rows`), `performance`
    how well each version was expected to do and did (`foretold`), `notifications` the very messages and events that
    stand-ins for Slack and PagerDuty were sent.
    Times are event time; only `at` of `kills` is wall time. Latencies are seconds; `events_per_s` leaves the holds
    of the publisher out, `wall_s` has them under `publish`, and as `held`."""

    by_version: Mapping[str, Mapping[str, int]]

    predictions_published: int
    outcomes_published: int
    predictions_counted: int
    outcomes_counted: int
    duplicates: int
    refused: int
    joined: int
    pending: int
    expired: int
    orphans: int
    duplicates_by_kind: Mapping[str, int]
    refused_by_reason: Mapping[str, int]
    orphans_by_fate: Mapping[str, int]
    signals: Sequence[Mapping[str, Any]]
    signal_latency_s: Mapping[str, float | None]
    alarms: Sequence[Mapping[str, Any]]
    retraining: Sequence[Mapping[str, Any]]
    performance: Sequence[Mapping[str, Any]]
    notifications: Mapping[str, Sequence[Mapping[str, Any]]]
    kills: Sequence[Mapping[str, Any]]
    judged_until: str
    checks: Sequence[Mapping[str, Any]]
    passed: bool
    events_per_s: float
    wall_s: Mapping[str, float]
    versions: Mapping[str, str]

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def count_figures(published: Published, ledger: LedgerFigures, join: JoinFigures) -> dict[str, Any]:
    """The counting part of a report."""
    return {
        "predictions_published": published.predictions,
        "outcomes_published": published.outcomes,
        "predictions_counted": ledger.predictions_counted,
        "outcomes_counted": ledger.joined,
        "duplicates": ledger.duplicates,
        "refused": ledger.refused.total(),
        "joined": ledger.joined,
        "pending": join.pending,
        "expired": join.expired,
        "orphans": join.orphans,
        "duplicates_by_kind": {
            "predictions": ledger.tallies["duplicate_predictions"],
            "outcomes": ledger.tallies["duplicate_outcomes"],
        },
        "refused_by_reason": dict(sorted(ledger.refused.items())),
        "by_version": {
            version: {name: ledger.by_version[version][name] for name in ("predictions", "outcomes_joined")}
            for version in published.predictions_by_version
        },
        "orphans_by_fate": {"waiting": join.orphans_waiting, "expired": join.orphans_expired},
    }


def signal_rows(verdicts: Sequence[Said]) -> list[dict[str, Any]]:
    return [
        {
            "model": said.source[0],
            "version": said.source[1],
            "monitor": said.monitor,
            "state": said.state,
            "onset": None if said.onset is None else rfc3339(said.onset),
            "time": rfc3339(said.time),
            "sentence": said.sentence,
        }
        for said in verdicts
    ]


def alarm_rows(alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    same = ("id", "incident", "model", "version", "cause", "status", "severity")
    return [
        {name: alert[name] for name in same}
        | {
            "opened": rfc3339(alert["opened"]),
            "time": rfc3339(alert["time"]),
            "onset": None if alert.get("onset") is None else rfc3339(alert["onset"]),
            "monitors": alert.get("monitors", []),
            "request": alert.get("request"),
            "evidence": alert.get("evidence", []),
            "details": alert.get("details", {}),
            "sentence": alert["sentence"],
        }
        for alert in alerts
    ]


def kill_rows(kills: Sequence[Kill]) -> list[dict[str, Any]]:
    return [
        {
            "stage": kill.stage,
            "pid": kill.pid,
            "at": rfc3339(kill.at),
            "event_time": rfc3339(kill.event_time),
            "published": kill.published,
            "signals_unanswered": kill.unanswered,
            "exit_code": kill.exit_code,
        }
        for kill in kills
    ]


def rfc3339(time: int) -> str:
    """A time in ms, to the second."""
    return datetime.fromtimestamp(time // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
