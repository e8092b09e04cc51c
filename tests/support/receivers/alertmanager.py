"""Alertmanager's API v2: labels are the identity, an alert is over when its `endsAt` is past."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator

from driftline.clock import Clock
from support.receivers.http import Reply, Request, Service

_TIME: Final = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
_TEXTS: Final[dict[str, Any]] = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
    "additionalProperties": {"type": "string", "minLength": 1},
}
ALERTS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "labels": _TEXTS | {"minProperties": 1, "required": ["alertname"]},
            "annotations": _TEXTS,
            "startsAt": _TIME,
            "endsAt": _TIME,
            "generatorURL": {"type": "string"},
        },
    },
}
_VALID: Final = Draft202012Validator(ALERTS)
Labels = tuple[tuple[str, str], ...]


def problems(alerts: Any) -> list[str]:
    """Why Alertmanager would not take them."""
    found = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in _VALID.iter_errors(alerts)]
    if not found:
        found += [f"ends before it starts: {a}" for a in alerts if _ms(a["endsAt"]) < _ms(a["startsAt"])]
    return found


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(re.sub("Z$", "+00:00", text)).timestamp() * 1000)


class Alertmanager(Service):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._held: dict[Labels, dict[str, Any]] = {}
        self.refused: list[str] = []

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/api/v2/alerts"):
            return Reply(404)
        alerts = orjson.loads(request.body)
        found = problems(alerts)
        if found:
            self.refused += found
            return Reply(400, orjson.dumps(found))
        for alert in alerts:
            self._held[tuple(sorted(alert["labels"].items()))] = alert
        return Reply(200)

    def firing(self) -> list[dict[str, str]]:
        """The labels of what is not over."""
        now = self._clock.now_ms()
        return [alert["labels"] for alert in self._held.values() if _ms(alert["endsAt"]) > now]

    def restart(self) -> None:
        """Alertmanager keeps no alerts across a restart."""
        self._held.clear()
