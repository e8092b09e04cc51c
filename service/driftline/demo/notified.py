"""What the stand-ins were sent, held against the alerts on the topic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

Payload = Mapping[str, Any]

ERRORS: Final = "model errors"
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ACTIONS: Final = {"resolved": "resolve", "acknowledged": "acknowledge"}
_MARKS: Final = re.compile(r"&(?:lt|gt|amp);")


def missing(alerts: Sequence[Payload], slack: Sequence[Payload], pagerduty: Sequence[Payload]) -> list[str]:
    """Alerts that people were to be told of and were not, and ends that PagerDuty does not know of."""
    said = [words(payload) for payload in slack]
    actions = [(event.get("dedup_key"), event.get("event_action")) for event in pagerduty]
    changes = [event["payload"]["summary"] for event in pagerduty if "dedup_key" not in event]
    found = []
    for alert in alerts:
        if alert.get("held") or alert["severity"] == "info" or alert["status"] == "updated":
            continue
        action = _ACTIONS.get(alert["status"], "trigger")
        if is_verdict(alert):
            if not any(alert["sentence"][:100] in summary for summary in changes):
                found.append(f"PagerDuty has no change of {alert['incident']}")
        elif (alert["incident"], action) not in actions:
            found.append(f"PagerDuty has no {action} of {alert['incident']}")
        if not any(alert["incident"] in text and alert["sentence"][:100] in text for text in said):
            found.append(f"Slack has nothing of {alert['id']}")
    return found


def is_verdict(alert: Payload) -> bool:
    """What has become of a deployment: no incident, so PagerDuty hears of it as of a change."""
    return "verdict" in alert.get("details", {})


def open_incidents(pagerduty: Sequence[Payload]) -> dict[str, str]:
    """Every incident that PagerDuty knows, and what was done last: one for each key, however often it was told."""
    return {event["dedup_key"]: event["event_action"] for event in pagerduty if "dedup_key" in event}


def gravest(slack: Sequence[Payload], pagerduty: Sequence[Payload]) -> tuple[Payload, Payload] | None:
    """The Slack message and the PagerDuty event of the first alarm over the model's errors, else of the first."""
    triggers = [event for event in pagerduty if event.get("event_action") == "trigger"]
    triggers.sort(key=lambda event: event["payload"].get("class") != ERRORS)
    for event in triggers:
        for message in slack:
            if event["dedup_key"] in words(message):
                return message, event
    return None


def words(payload: Payload) -> str:
    """A Slack message as people read it."""
    lines: list[str] = []
    for block in payload.get("blocks", ()):
        texts = [block["text"]] if "text" in block else []
        lines += [text["text"] for text in [*texts, *block.get("fields", ())]]
    return _MARKS.sub(lambda found: _ENTITIES[found[0]], "\n".join(lines))
