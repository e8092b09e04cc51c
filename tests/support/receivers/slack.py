"""Slack as far as it is used here: the incoming webhook, and five methods of the Web API. It refuses what Slack
refuses: blocks that are none, texts beyond their limits, a thread that is not there, a token that is not right."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from jsonschema import Draft202012Validator

from support.receivers.http import Reply, Request, Service

TOKEN: Final = "xoxb-0-canary-token"
CHANNEL: Final = "C0123456789"
HOOK: Final = "/services/T0/B0/canarycanarycanary"
MOST_BLOCKS: Final = 50
MOST_TEXT: Final = 12_000
_ENTITY: Final = re.compile(r"&(?!amp;|lt;|gt;)|[<>]")


def _text(kind: list[str], most: int) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "text"],
        "additionalProperties": False,
        "properties": {
            "type": {"enum": kind},
            "text": {"type": "string", "minLength": 1, "maxLength": most},
            "emoji": {"type": "boolean"},
            "verbatim": {"type": "boolean"},
        },
        "if": {"properties": {"type": {"const": "plain_text"}}},
        "then": {"not": {"required": ["verbatim"]}},
        "else": {"not": {"required": ["emoji"]}},
    }


def _block(kind: str, required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", *required],
        "additionalProperties": False,
        "properties": {
            "type": {"const": kind},
            "block_id": {"type": "string", "maxLength": 255},
            **properties,
        },
    }


ANY: Final = ["plain_text", "mrkdwn"]
BLOCKS: Final[dict[str, Any]] = {
    "type": "array",
    "maxItems": MOST_BLOCKS,
    "items": {
        "oneOf": [
            _block("header", ["text"], text=_text(["plain_text"], 150)),
            _block("divider", []),
            _block(
                "section",
                [],
                text=_text(ANY, 3_000),
                fields={"type": "array", "minItems": 1, "maxItems": 10, "items": _text(ANY, 2_000)},
            )
            | {"anyOf": [{"required": ["text"]}, {"required": ["fields"]}]},
            _block(
                "context",
                ["elements"],
                elements={"type": "array", "minItems": 1, "maxItems": 10, "items": _text(ANY, 3_000)},
            ),
        ]
    },
}
PAYLOAD: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["text", "blocks"],
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 40_000}, "blocks": BLOCKS},
}
_VALID: Final = Draft202012Validator(PAYLOAD)


def texts(payload: Any) -> list[str]:
    """Every text that Slack would parse."""
    if isinstance(payload, dict):
        return [
            one for name, value in payload.items() for one in ([value] if name == "text" else []) + _deep(value)
        ]
    return _deep(payload)


def _deep(value: Any) -> list[str]:
    found: list[Any] = []
    if isinstance(value, dict):
        found = texts(value)
    elif isinstance(value, list):
        found = [one for item in value for one in texts(item)]
    return [one for one in found if isinstance(one, str)]


def problems(payload: Any) -> list[str]:
    """Why Slack would not take it, or would read names as orders."""
    found = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in _VALID.iter_errors(payload)]
    said = [one for one in texts(payload) if isinstance(one, str)]
    units = [len(one.encode("utf-16-le", "surrogatepass")) // 2 for one in said]
    if sum(units) > MOST_TEXT:
        found.append(f"{sum(units)} characters in all")
    found += [f"not escaped: {one[:80]!r}" for one in said if _ENTITY.search(one)]
    return found


@dataclass
class Said:
    """A message as it stands in the channel, in its thread if `thread`."""

    ts: str
    payload: dict[str, Any]
    thread: str | None = None
    edits: int = 0
    files: list[bytes] = field(default_factory=list)


class Slack(Service):
    """`said`: what stands there, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Said] = []
        self.refused: list[str] = []
        self.error: str | None = None
        """What the Web API answers, as HTTP 200, instead of doing anything."""
        self._files: dict[str, bytes] = {}

    @property
    def hook(self) -> str:
        return self.base + HOOK

    @property
    def api(self) -> str:
        return self.base + "/api"

    def answer(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405)
        if request.path.startswith("/api/"):
            return self._api(request.path.removeprefix("/api/"), request)
        if request.path.startswith("/upload/"):
            return self._upload(request)
        return self._hook(request)

    def _hook(self, request: Request) -> Reply:
        if request.path != HOOK:
            return Reply(404, b"no_service")
        try:
            payload = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return Reply(400, b"invalid_payload")
        if self._bad(payload):
            return Reply(400, b"invalid_blocks")
        self._say(payload, None)
        return Reply(200, b"ok")

    def _api(self, method: str, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error("invalid_auth")
        if self.error is not None:
            return _error(self.error)
        if method == "files.getUploadURLExternal":
            return self._place(request)
        given = orjson.loads(request.body)
        match method:
            case "chat.postMessage":
                if given.get("channel") != CHANNEL:
                    return _error("channel_not_found")
                thread = given.get("thread_ts")
                if thread is not None and self._find(thread) is None:
                    return _error("thread_not_found")
                if self._bad(given):
                    return _error("invalid_blocks")
                return _ok(ts=self._say(given, thread).ts, channel=CHANNEL)
            case "chat.update":
                first = self._find(given.get("ts"))
                if first is None or given.get("channel") != CHANNEL:
                    return _error("message_not_found")
                if self._bad(given):
                    return _error("invalid_blocks")
                first.payload, first.edits = given, first.edits + 1
                return _ok(ts=first.ts, channel=CHANNEL)
            case "files.completeUploadExternal":
                thread = self._find(given.get("thread_ts"))
                if thread is None or given.get("channel_id") != CHANNEL:
                    return _error("invalid_channel")
                for one in given["files"]:
                    thread.files.append(self._files.pop(one["id"]))
                return _ok(files=given["files"])
        return _error("unknown_method")

    def _place(self, request: Request) -> Reply:
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return _error("invalid_arguments")
        asked = parse_qs(request.body.decode())
        if not asked["filename"][0] or int(asked["length"][0]) <= 0:
            return _error("invalid_arguments")
        place = f"F{len(self._files):03}"
        self._files[place] = bytes(int(asked["length"][0]))
        return _ok(upload_url=f"{self.base}/upload/{place}", file_id=place)

    def _upload(self, request: Request) -> Reply:
        place = request.path.removeprefix("/upload/")
        if len(self._files.get(place, b"")) != len(request.body):
            return Reply(400, b"another length")
        self._files[place] = request.body
        return Reply(200, b"OK")

    def _bad(self, payload: Any) -> bool:
        found = problems(payload)
        self.refused += found
        return bool(found)

    def _say(self, payload: dict[str, Any], thread: str | None) -> Said:
        said = Said(f"1700000000.{len(self.said):06}", payload, thread)
        self.said.append(said)
        return said

    def _find(self, ts: object) -> Said | None:
        return next((one for one in self.said if one.ts == ts), None)


def _ok(**more: Any) -> Reply:
    return Reply(200, orjson.dumps({"ok": True, **more}), {"content-type": "application/json"})


def _error(error: str) -> Reply:
    return Reply(200, orjson.dumps({"ok": False, "error": error}), {"content-type": "application/json"})
