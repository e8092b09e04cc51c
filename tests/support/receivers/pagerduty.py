"""PagerDuty's Events API v2: it refuses what PagerDuty refuses, and keeps its incidents by `dedup_key`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from jsonschema import Draft202012Validator, FormatChecker

from support.receivers.http import Reply, Request, Service

KEY: Final = "canary0123456789canary0123456789"
MOST_BYTES: Final = 512 * 1024
_COMMON: Final[dict[str, Any]] = {
    "summary": {"type": "string", "minLength": 1, "maxLength": 1_024},
    "source": {"type": "string", "minLength": 1},
    "timestamp": {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
    "custom_details": {"type": "object"},
}
_LINKS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "object", "required": ["href"], "properties": {"href": {"type": "string"}}},
}
EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": {"type": "string"},
        "client_url": {"type": "string"},
        "links": _LINKS,
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": _COMMON
            | {
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
CHANGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["routing_key", "payload"],
    "additionalProperties": False,
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "links": _LINKS,
        "payload": {
            "type": "object",
            "required": ["summary"],
            "additionalProperties": False,
            "properties": _COMMON,
        },
    },
}
_EVENT: Final = Draft202012Validator(EVENT, format_checker=FormatChecker())
_CHANGE: Final = Draft202012Validator(CHANGE, format_checker=FormatChecker())


def problems(body: bytes, change: bool = False) -> list[str]:
    """Why PagerDuty would not take it."""
    if len(body) > MOST_BYTES:
        return [f"{len(body)} bytes"]
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ["no JSON"]
    found = (_CHANGE if change else _EVENT).iter_errors(event)
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in found]


@dataclass
class Incident:
    """`events`: how many it has been told; `severity`: of the last trigger."""

    key: str
    state: Literal["triggered", "acknowledged", "resolved"]
    severity: str
    events: int = 1


class PagerDuty(Service):
    """`incidents` in the order in which they opened: a key that triggers again after its resolve opens another."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: list[Incident] = []
        self.events: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.refused: list[str] = []

    def answer(self, request: Request) -> Reply:
        if request.path not in ("/v2/enqueue", "/v2/change/enqueue") or request.method != "POST":
            return Reply(404)
        change = request.path.endswith("change/enqueue")
        found = problems(request.body, change)
        if found or request.json["routing_key"] != KEY:
            self.refused += found or ["another routing key"]
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": found}
            return Reply(400, orjson.dumps(said))
        if change:
            self.changes.append(request.json)
        else:
            self._take(request.json)
        return Reply(202, orjson.dumps({"status": "success", "message": "Event processed"}))

    def _take(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        key = event.get("dedup_key") or f"made-{len(self.events)}"
        last = next((one for one in reversed(self.incidents) if one.key == key), None)
        alive = last if last is not None and last.state != "resolved" else None
        match event["event_action"]:
            case "trigger" if alive is None:
                self.incidents.append(Incident(key, "triggered", event["payload"]["severity"]))
            case "trigger":
                assert alive is not None
                alive.severity, alive.events = event["payload"]["severity"], alive.events + 1
            case action if alive is not None:
                alive.state, alive.events = (
                    ("resolved" if action == "resolve" else "acknowledged"),
                    alive.events + 1,
                )
