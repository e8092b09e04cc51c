"""What has to hold in the end. All of it, or the demo fails."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from driftline.demo.answers import Answers, alert_storms, request_storms, unanswered
from driftline.demo.audit import LedgerFigures
from driftline.demo.foretold import counted
from driftline.demo.memory_audit import JoinFigures
from driftline.demo.notified import is_verdict, missing, open_incidents
from driftline.demo.processes import Kill
from driftline.demo.report import Published
from driftline.demo.settings import COOLDOWN_S
from driftline.demo.signals import Spoken, storms

ERROR_MONITOR: Final = "error:rate"


def _ms(month: int, day: int) -> int:
    return round(datetime(2013, month, day, tzinfo=UTC).timestamp() * 1000)


ONSET_FROM: Final = _ms(4, 10)
ONSET_TO: Final = _ms(7, 16)
"""The error is to be found rising between 10 April and 15 July, both included."""


@dataclass(frozen=True)
class Check:
    """A claim, whether it holds, and the numbers."""

    claim: str
    holds: bool
    detail: str


def check_counts(published: Published, ledger: LedgerFigures, join: JoinFigures) -> list[Check]:
    """The identities: every record that was published has exactly one fate."""
    predictions = (ledger.predictions_counted, ledger.tallies["duplicate_predictions"], ledger.refused.total())
    outcomes = (ledger.joined, join.orphans, ledger.tallies["duplicate_outcomes"])
    fates = (ledger.joined, join.pending, join.expired)
    return [
        _sum("predictions published = counted + duplicates + refused", published.predictions, predictions),
        _sum("outcomes published = counted + orphans + duplicates", published.outcomes, outcomes),
        _sum("predictions counted = joined + pending + expired", ledger.predictions_counted, fates),
        _same("records read = records published", ledger.records, published.predictions + published.outcomes),
        _same("outcomes received = outcomes published", ledger.outcomes_received, published.outcomes),
        _same("joined, by the ledger = joined, by the store", ledger.joined, join.joined),
        _same(
            "predictions counted, by version = predictions published, without copies and poison",
            _by_version(ledger, "predictions", published.predictions_by_version),
            dict(published.predictions_by_version),
        ),
        _same(
            "joined, by version = outcomes published of these predictions",
            _by_version(ledger, "outcomes_joined", published.outcomes_by_version),
            dict(published.outcomes_by_version),
        ),
        _same("duplicates = copies that were sent", ledger.duplicates, published.copies),
        _same("orphans = outcomes whose prediction was poison", join.orphans, published.lonely),
        _same("refused by reason = poison that was sent", dict(ledger.refused), dict(published.refusals)),
        _same("the ledger ends where the events end", ledger.ends, dict(published.by_partition)),
        _none("ranges follow each other without gap or overlap, blocks hold what tallies say", ledger.problems),
        _none("the memory of the join agrees with itself", join.problems),
    ]


def check_signals(spoken: Spoken) -> list[Check]:
    onsets = [s.onset for s in spoken.verdicts if s.monitor == ERROR_MONITOR and s.state == "alarm" and s.onset]
    found = [datetime.fromtimestamp(onset / 1000, UTC) for onset in onsets]
    return [
        Check(
            "an alarm on the error with its onset between 10 April and 15 July",
            any(ONSET_FROM <= onset < ONSET_TO for onset in onsets),
            ", ".join(f"{onset.day} {onset:%B}" for onset in found) or "none",
        ),
        _none("no monitor notifies twice for one cause", storms(spoken.verdicts)),
        _none("every signal has an id of its own", spoken.problems),
        _none("nothing was lost: no signal says so", [said.sentence for said in spoken.system]),
    ]


def check_dead_letters(refused: int, letters: int) -> Check:
    return _same("every refused record is on the dead-letter topic", letters, refused)


def _by_version(ledger: LedgerFigures, name: str, published: Mapping[str, int]) -> dict[str, int]:
    """Of all versions that the ledger knows or that were published, but those with nothing."""
    versions = {*ledger.by_version, *published}
    return {version: n for version in versions if (n := ledger.by_version[version][name])}


def check_answers(answers: Answers, retraining: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Whether the loop was closed, once. Not whether it helped: that is what it is."""
    deployed = [row for row in retraining if row["deployed"]]
    return [
        Check("a retraining was requested, done and deployed", bool(deployed), f"{len(deployed)}"),
        _none("every request was started, has succeeded, and is deployed", unanswered(answers)),
        _none(
            "react has said of every deployment whether it helped",
            [f"nothing of {row['version']}" for row in deployed if not row["verdict"]],
        ),
        _none("no second request within the cool-down", request_storms(answers.requests, round(COOLDOWN_S * 1000))),
        _none("no second incident of a cause while one is open", alert_storms(answers.alerts)),
        _none("every alert, request and lifecycle event has an id of its own", answers.problems),
    ]


def check_foretold(rows: Sequence[Mapping[str, Any]], version: str, published: Published) -> Check:
    """Of a version that was replaced, every day is over and kept."""
    there = published.predictions_by_version[version], published.outcomes_by_version[version]
    found = dict(zip(("predictions", "outcomes"), counted(rows, version), strict=True))
    return _same(
        f"what is said of the performance of {version} rests on all that was published of it",
        found,
        dict(zip(found, there, strict=True)),
    )


def check_notified(
    alerts: Sequence[Mapping[str, Any]], slack: Sequence[Mapping[str, Any]], pagerduty: Sequence[Mapping[str, Any]]
) -> list[Check]:
    """Whether people heard of it: react was killed in between, and told twice is better than not at all."""
    told = [a for a in alerts if not a.get("held") and a["severity"] != "info"]
    incidents = {a["incident"] for a in told if not is_verdict(a)}
    return [
        _none("Slack and PagerDuty were told of every alert", missing(alerts, slack, pagerduty)),
        _same("PagerDuty has one incident for each of ours", len(open_incidents(pagerduty)), len(incidents)),
    ]


def check_processes(
    kills: Sequence[Kill], stages: Sequence[str], names: Sequence[str], exits: Mapping[str, int | None]
) -> list[Check]:
    """`names`: all processes, of which `stages` had to be killed."""
    killed = {kill.stage: kill.exit_code for kill in kills}
    return [
        _same("each stage was killed in mid-stream", killed, dict.fromkeys(stages, -signal.SIGKILL.value)),
        _same("each process ends in order when asked to", dict(exits), dict.fromkeys(names, 0)),
    ]


def _sum(claim: str, whole: int, parts: tuple[int, ...]) -> Check:
    return Check(claim, whole == sum(parts), f"{whole:,} = {' + '.join(f'{part:,}' for part in parts)}")


def _same(claim: str, one: object, other: object) -> Check:
    detail = f"{one:,}" if isinstance(one, int) else ", ".join(f"{k}: {v}" for k, v in sorted(one.items()))  # type: ignore[attr-defined]
    return Check(claim, one == other, detail if one == other else f"{one} against {other}")


def _none(claim: str, problems: Sequence[str]) -> Check:
    return Check(claim, not problems, "; ".join(problems[:3]) if problems else "")
