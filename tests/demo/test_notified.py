"""What the stand-ins were sent, held against the alerts: one that is missing is missed."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import orjson
import pytest

from driftline.demo.checks import check_notified
from driftline.demo.notified import gravest, open_incidents, words
from driftline.demo.standins import ROUTING_KEY, StandIns
from driftline.react.notify.message import message_of
from driftline.react.notify.pagerduty import action_of, change_of, event_of
from driftline.react.notify.slack_blocks import payload_of
from react.notify.making import T0, told, verdict

LIFE = [told("open"), told("open", key="i-1"), told("resolved")]


def sent() -> tuple[list[Any], list[Any], list[Any]]:
    alerts = [msgspec.to_builtins(one.alert) for one in LIFE if one.alert is not None]
    slack = [payload_of(message_of(one)) for one in LIFE]
    return alerts, slack, [event_of(one, action_of(one), ROUTING_KEY) for one in LIFE]


def test_all_told_is_well_and_twice_is_too() -> None:
    assert all(check.holds for check in check_notified(*sent()))


@pytest.mark.parametrize("of", [1, 2])
def test_what_is_missing_is_missed(of: int) -> None:
    all_of = sent()
    del all_of[of][-1]
    assert [check.holds for check in check_notified(*all_of)] == [False, True]


def test_a_verdict_is_a_change_and_no_incident() -> None:
    alerts, slack, pagerduty = sent()
    alerts.append(msgspec.to_builtins(verdict().alert))
    slack.append(payload_of(message_of(verdict())))
    assert [check.holds for check in check_notified(alerts, slack, pagerduty)] == [False, True]
    pagerduty.append(change_of(verdict(), ROUTING_KEY, T0))
    assert all(check.holds for check in check_notified(alerts, slack, pagerduty))


def test_two_incidents_of_one_are_seen() -> None:
    alerts, slack, pagerduty = sent()
    pagerduty[1]["dedup_key"] = "i-2"
    assert not check_notified(alerts, slack, pagerduty)[1].holds


def test_what_was_held_back_is_not_missed() -> None:
    alerts, _, _ = sent()
    held = [alert | {"held": "silenced"} for alert in alerts]
    assert all(check.holds for check in check_notified(held, [], []))


def test_the_gravest_is_a_pair() -> None:
    _, slack, pagerduty = sent()
    assert gravest(slack, pagerduty) == (slack[0], pagerduty[0])
    assert gravest([], pagerduty) is None
    assert open_incidents(pagerduty) == {"i-1": "resolve"}


def test_words_are_as_people_read_them() -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "a &lt;&amp;lt; b"}}]
    assert words({"blocks": blocks}) == "a <&lt; b"


async def test_the_stand_ins_take_and_keep() -> None:
    async with StandIns() as people, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(people.slack_url, content=orjson.dumps({"text": "t"}))
        assert answer.text == "ok"
        answer = await client.post(people.pagerduty_url + "/v2/enqueue", json={"dedup_key": "k"})
        assert answer.status_code == 202
        assert (people.slack, people.pagerduty) == ([{"text": "t"}], [{"dedup_key": "k"}])
