"""Whatever the alert: what is sent is what the receiver takes, names ping nobody, and limits hold."""

from __future__ import annotations

import math
from typing import Any, Final

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from msgspec.structs import replace

from driftline.react.notify.alertmanager import alerts_of
from driftline.react.notify.message import lasted, message_of, sureness
from driftline.react.notify.notification import Notification
from driftline.react.notify.pagerduty import MOST_BYTES, NO_DETAILS, action_of, bounded, change_of, event_of
from driftline.react.notify.slack_blocks import payload_of
from react.notify.making import EVERY_KIND, HOSTILE, NASTY, T0, alert, told, witnessed
from support.receivers import alertmanager, pagerduty, slack

MANY: Final = settings(
    max_examples=80,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
)
"""Shrinking an alert takes longer than a test may."""
_INVISIBLE: Final = ("\u202e", "\u0000", "\u001b", "\u200f")


def pager(notification: Notification) -> list[str]:
    if notification.alert is None:
        return pagerduty.problems(bounded(change_of(notification, pagerduty.KEY, T0)), change=True)
    return pagerduty.problems(bounded(event_of(notification, action_of(notification), pagerduty.KEY)))


@given(HOSTILE)
@MANY
def test_slack_takes_whatever_is_said(notification: Notification) -> None:
    """Mutation: cut before escaping in `slack_blocks.escaped`; a header of `&` has 5 times its length."""
    payload = payload_of(message_of(notification))
    assert slack.problems(payload) == []
    assert not any(ch in orjson.dumps(payload).decode() for ch in _INVISIBLE)


@given(HOSTILE)
@MANY
def test_pagerduty_takes_whatever_is_said(notification: Notification) -> None:
    """Mutation: no `cut` in `pagerduty._summary`; a long name makes a summary of more than 1,024 characters."""
    assert pager(notification) == []


@given(HOSTILE)
@MANY
def test_alertmanager_takes_whatever_is_said(notification: Notification) -> None:
    """Mutation: keep empty labels in `alertmanager._alert`; a model without a name is refused."""
    assert alertmanager.problems(alerts_of(notification, T0, 1_000)) == []


@pytest.mark.parametrize("notification", EVERY_KIND)
def test_every_kind_is_taken(notification: Notification) -> None:
    assert slack.problems(payload_of(message_of(notification))) == []
    assert pager(notification) == []
    assert alertmanager.problems(alerts_of(notification, T0, 1_000)) == []


@pytest.mark.parametrize("name", NASTY)
def test_a_feature_with_a_nasty_name_pings_nobody(name: str) -> None:
    """Row 47 in front of people. Mutation: no escaping in `slack_blocks.escaped`; `<!channel>` pings everyone."""
    named = replace(alert(), model=name, monitors=[name], sentence=f"{name}: it moved.", advice=name, team=name)
    payload = payload_of(message_of(Notification(id="n", receiver="r", key="k", alert=named)))
    assert slack.problems(payload) == []
    assert not [text for text in slack.texts(payload) if "<" in text or ">" in text]


def test_the_worst_alert_fits_all_the_same() -> None:
    """Everything as long, and as much of it, as it can be."""
    long = "&" * 5_000
    grave = alert().evidence[0]
    every = replace(
        alert(),
        model=long,
        version=long,
        sentence=long,
        advice=long,
        team=long,
        upstream=long,
        request=long,
        by=long,
        note=long,
        monitors=[long] * 10,
        count=5_000,
        models=5_000,
        evidence=[replace(grave, sentence=long, monitor=long)] * 5,
    )
    for one in (Notification(id="n", receiver=long, key=long, alert=every),):
        assert slack.problems(payload_of(message_of(one))) == []
        assert pager(one) == []
    digest = Notification(id="n", receiver=long, key=long, digest=[every] * 1_000)
    assert slack.problems(payload_of(message_of(digest))) == []
    assert pager(digest) == []


def test_an_event_too_large_loses_its_details_and_says_so() -> None:
    """Mutation: return `body` always in `pagerduty.bounded`; PagerDuty refuses 600 kB."""
    event: dict[str, Any] = event_of(told(), "trigger", pagerduty.KEY)
    event["payload"]["custom_details"] = {"much": "x" * 600_000}
    body = bounded(event)
    assert len(body) <= MOST_BYTES
    assert orjson.loads(body)["payload"]["custom_details"] == {"details": NO_DETAILS}
    assert pagerduty.problems(body) == []


def test_a_message_says_what_when_how_much_how_sure_and_what_to_do() -> None:
    said = "\n".join(slack.texts(payload_of(message_of(told()))))
    for words in (
        "Critical: input data of fraud 7",
        "the mean went from 41.2 to 57.9 (±1.6) since 1 April 2024 08:00 UTC",
        "by chance once in 1,000 years at most; from 1,800 events",
        "2: features.amount:distribution, features.country:distribution",
        'country: the share of "NL" fell.',
        "*What to do*\nLook at what fills features.amount first.",
        "payments",
        "i-1",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("nats", "unit", "words"),
    [
        (5.0, "days", "by chance once in 148 days at most; from 1,800 events"),
        (7.5, "days", "by chance once in 5 years at most; from 1,800 events"),
        (31.2, "days", "by chance once in 1,000 years at most; from 1,800 events"),
        (1e308, "days", "by chance once in 1,000 years at most; from 1,800 events"),
        (14.0, "events", "by chance once in 1,202,604 events at most; from 1,800 events"),
        (math.inf, "events", "by chance once in 10^12 events at most; from 1,800 events"),
        (0.5, "days", "1,800 events"),
        (math.nan, "days", "1,800 events"),
        (None, "days", "1,800 events"),
    ],
)
def test_how_sure_is_said_in_days_that_people_know(nats: float | None, unit: Any, words: str) -> None:
    """An e-detector's evidence of x nats comes by chance once in e^x days at most. Mutation: nats read as odds."""
    assert sureness(replace(witnessed(), log_evidence=nats, unit=unit)) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-5, "0 minutes"),
        (60_000, "1 minute"),
        (7_199_999, "119 minutes"),
        (7_200_000, "2 hours"),
        (2 * 86_400_000, "2 days"),
    ],
)
def test_how_long_it_lasted(ms: int, words: str) -> None:
    assert lasted(ms) == words


def test_the_end_says_how_long_it_lasted_and_advises_nothing() -> None:
    said = "\n".join(slack.texts(payload_of(message_of(told("resolved")))))
    assert "*Lasted*\n60 minutes" in said
    assert "What to do" not in said
    assert said.startswith("✅ Resolved: input data of fraud 7")
    late = replace(alert("resolved"), closed=T0 + 1_800_000)
    said = "\n".join(slack.texts(payload_of(message_of(replace(told(), alert=late)))))
    assert "*Lasted*\n30 minutes" in said


def test_what_is_about_driftline_itself_is_of_no_model() -> None:
    """The version of such an alert is the name of a receiver. Mutation: no `if model` in message.who."""
    about = replace(alert(), model="", version="team", cause="notification")
    event = event_of(replace(told(), alert=about), "trigger", pagerduty.KEY)
    assert event["payload"]["source"] == "Driftline"
