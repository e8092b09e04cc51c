"""Alertmanager, API v2: for those who have its routes, groups and silences already.

Labels are the identity: the incident, and its severity, by which people route. When an incident's severity changes,
the same request ends the alert of the other severities. Alertmanager forgets alerts when it restarts and expects
senders to repeat them: a route's `repeat_s` does that, and `endsAt` lies `valid_s` ahead, so set the former well
below the latter. Times of the request are the wall clock's, as Alertmanager's are; when the data moved is an
annotation.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final, get_args

import orjson

from driftline.clock import Clock
from driftline.contracts.reactions import Alert
from driftline.contracts.records import Severity
from driftline.react.causes import compared
from driftline.react.notify.answers import expect_taken
from driftline.react.notify.http import Poster
from driftline.react.notify.message import CAUSES, Message, message_of
from driftline.react.notify.notification import Notification
from driftline.react.notify.pagerduty import timestamp
from driftline.react.notify.settings import AlertmanagerSettings
from driftline.react.notify.text import line

LABEL: Final = 200
ANNOTATION: Final = 2_000
BRIEF_MS: Final = 3_600_000
"""How long Alertmanager shows what is no alert: a request, a deployment, a test."""
_NO_NAME: Final = re.compile(r"^[^a-z_]|[^a-z0-9_]")
_SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


class Alertmanager:
    """Taken when Alertmanager answers 2xx (it says 200)."""

    def __init__(self, settings: AlertmanagerSettings, poster: Poster, clock: Clock) -> None:
        self._settings = settings
        self._poster = poster
        self._clock = clock

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        headers = {"content-type": "application/json"} | self._authorization()
        now = self._clock.now_ms()
        alerts = alerts_of(notification, now, round(self._settings.valid_s * 1000))
        url = self._settings.url.rstrip("/") + "/api/v2/alerts"
        answer = await self._poster.post(url, orjson.dumps(alerts), headers)
        expect_taken(answer, "Alertmanager", now)
        return None

    async def close(self) -> None:
        await self._poster.close()

    def _authorization(self) -> dict[str, str]:
        settings = self._settings
        if settings.token is not None:
            return {"authorization": f"Bearer {settings.token}"}
        if settings.username is None:
            return {}
        known = f"{settings.username}:{settings.password or ''}".encode()
        return {"authorization": f"Basic {base64.b64encode(known).decode()}"}


def alerts_of(notification: Notification, now_ms: int, valid_ms: int) -> list[dict[str, Any]]:
    """What is posted. A digest is its alerts: Alertmanager makes its own digests."""
    if notification.alert is not None:
        return _of_alert(notification, notification.alert, now_ms, valid_ms)
    if notification.digest:
        found = []
        for alert in notification.digest:
            one = Notification(id=alert.id, receiver=notification.receiver, key=alert.incident, alert=alert)
            found += _of_alert(one, alert, now_ms, valid_ms)
        return found
    message, told = message_of(notification), notification.request or notification.event
    labels = {"alertname": "DriftlineTest", "severity": "info", "incident": notification.key}
    if told is not None:
        name = "DriftlineRetrainingRequested" if notification.request is not None else "DriftlineLifecycle"
        labels |= {"alertname": name, "model": told.model, "version": told.version}
    return [_alert(labels, message, now_ms, now_ms, now_ms + BRIEF_MS)]


def _of_alert(notification: Notification, alert: Alert, now_ms: int, valid_ms: int) -> list[dict[str, Any]]:
    """The alert as it is, and the end of it in the severities it has not. What has become of a deployment is shown
    as long as a deployment is."""
    message = message_of(notification)
    start = min(max(alert.opened, 0), now_ms)
    labels = {
        "alertname": f"Driftline{CAUSES[alert.cause].removeprefix('Driftline').title().replace(' ', '')}",
        "cause": alert.cause,
        "incident": notification.key,
        "model": alert.model,
        "version": alert.version,
        "team": alert.team or "",
    }
    if compared(alert):
        labels |= {"severity": alert.severity}
        return [_alert(labels, message, now_ms, now_ms + BRIEF_MS, None)]
    found = []
    for severity in _SEVERITIES:
        fires = severity == alert.severity and alert.status != "resolved"
        end = now_ms + valid_ms if fires else now_ms
        found.append(_alert(labels | {"severity": severity}, message, start, end, alert.onset))
    return found


def _alert(
    labels: dict[str, str], message: Message, start_ms: int, end_ms: int, onset_ms: int | None
) -> dict[str, Any]:
    annotations = {_NO_NAME.sub("_", name.lower()): value for name, value in message.facts}
    annotations |= {"summary": message.title, "description": message.sentence, "advice": message.advice}
    annotations |= {"status": message.status or "", "onset": "" if onset_ms is None else timestamp(onset_ms)}
    return {
        # Alertmanager drops empty labels, and refuses an alert without any.
        "labels": {name: kept for name, text in labels.items() if (kept := line(text, LABEL))},
        "annotations": {name: kept for name, text in annotations.items() if (kept := line(text, ANNOTATION))},
        "startsAt": timestamp(start_ms),
        "endsAt": timestamp(end_ms),
    }
