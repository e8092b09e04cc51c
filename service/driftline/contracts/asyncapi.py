"""The AsyncAPI 3.0 document: which topics there are, who writes them, and what is on them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import yaml

from driftline import __version__
from driftline.contracts.cloudevents import type_of

_JSON: Final = "application/json"


class _Topic(NamedTuple):
    received: bool
    title: str
    description: str
    messages: tuple[str, ...]


class _Message(NamedTuple):
    title: str
    schema: str | None
    what: str | None
    content: str
    summary: str


TOPICS: Final = {
    "events": _Topic(
        True,
        "Predictions and outcomes",
        "What serving systems publish, on any number of partitions, in any order, keyed or not. Native JSON, "
        "CloudEvents 1.0 (structured or binary), or foreign JSON by a configured field mapping.",
        ("prediction", "outcome"),
    ),
    "lifecycle": _Topic(
        True,
        "Model lifecycle",
        "Written by whoever trains and deploys models. One partition.",
        ("lifecycle",),
    ),
    "blocks": _Topic(
        False,
        "Counts, from ingest to judge",
        "Internal, replayable. One bundle per range of events and partition, empty ones too; the partition of "
        "a model is crc32 of its name modulo the number of partitions, which is fixed at creation.",
        ("bundle",),
    ),
    "profiles": _Topic(
        False,
        "References",
        "Internal, compacted, keyed by model, version, revision and id: what the present is compared with, and was.",
        ("profile",),
    ),
    "signals": _Topic(
        False,
        "Verdicts",
        "A record whenever a verdict changes. At least once: drop repeats by id, or by monitor and sequence. "
        "One partition.",
        ("signal",),
    ),
    "commands": _Topic(
        True,
        "Commands",
        "What react is to do: ticks of event time, which it appends itself, and what people ask of it "
        "(`driftline retrain`). One partition.",
        ("command",),
    ),
    "alerts": _Topic(
        False,
        "Incidents",
        "One record for each transition of an incident, of which one is open per model version and cause. At least "
        "once: drop repeats by id. One partition.",
        ("alert",),
    ),
    "retraining": _Topic(
        False,
        "Retraining requests",
        "Models that should be retrained, with why and on what. At least once: drop repeats by id; the job answers "
        "on `lifecycle`. One partition.",
        ("retraining-requested",),
    ),
    "deadletter": _Topic(
        False,
        "Refused records",
        "Every record that is refused, with the reason, where it was, and the value itself unless it is too large.",
        ("dead-letter",),
    ),
}

MESSAGES: Final = {
    "prediction": _Message("Prediction", "prediction", "prediction", _JSON, "What a model answered."),
    "outcome": _Message("Outcome", "outcome", "outcome", _JSON, "What turned out to be true."),
    "lifecycle": _Message("Lifecycle event", "lifecycle", "lifecycle", _JSON, "What happened to a model version."),
    "bundle": _Message("Bundle", "bundle", None, "application/vnd.msgpack", "Blocks of one range of events."),
    "profile": _Message("Profile", None, None, _JSON, "The reference of a model version; its form is internal."),
    "signal": _Message("Signal", "signal", "signal", _JSON, "A verdict that changed."),
    "command": _Message("Command", "command", "command", _JSON, "Something react is to do."),
    "alert": _Message("Alert", "alert", "alert", _JSON, "A transition of an incident."),
    "retraining-requested": _Message(
        "Retraining request",
        "retraining-requested",
        "retraining.requested",
        _JSON,
        "A model version should be retrained.",
    ),
    "dead-letter": _Message("Dead letter", "dead-letter", "deadletter", _JSON, "A record that was refused."),
}


def _headers(kind: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": {"type": "string", "minLength": 1},
            "ce_source": {"type": "string", "minLength": 1},
            "ce_type": {"type": "string", "const": kind},
            "ce_time": {"type": "string", "format": "date-time"},
            "content-type": {"type": "string", "const": _JSON},
        },
    }


def _message(name: str, message: _Message, optional_headers: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": name,
        "title": message.title,
        "summary": message.summary,
        "contentType": message.content,
    }
    if message.what is not None:
        headers = _headers(type_of(message.what))
        if optional_headers:
            headers["description"] = "Of CloudEvents in binary mode; plain JSON needs no headers."
            del headers["required"]
        document["headers"] = headers
    if message.schema is not None:
        document["payload"] = {"$ref": f"./{message.schema}.schema.json"}
    return document


def asyncapi() -> dict[str, Any]:
    """The document as plain data."""
    received = {message for topic in TOPICS.values() if topic.received for message in topic.messages}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:driftline:asyncapi",
        "info": {
            "title": "Driftline",
            "version": __version__,
            "description": "Streaming drift monitoring: prediction logs in, believable verdicts out. The topics' "
            "names are the defaults; they are configurable.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": {
            name: {
                "address": f"driftline.{name}",
                "title": topic.title,
                "description": topic.description,
                "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in topic.messages},
            }
            for name, topic in TOPICS.items()
        },
        "operations": {
            ("receive" if topic.received else "send") + name.capitalize(): {
                "action": "receive" if topic.received else "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "title": topic.title,
                "messages": [{"$ref": f"#/channels/{name}/messages/{m}"} for m in topic.messages],
            }
            for name, topic in TOPICS.items()
        },
        "components": {
            "messages": {name: _message(name, message, name in received) for name, message in MESSAGES.items()}
        },
    }


def asyncapi_text() -> str:
    """The document as YAML."""
    return str(yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=100))
