"""How the demo runs the stages: an own configuration file, and nothing of the caller's environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import orjson

from driftline.config import Config, load
from driftline.config.tree import ENV_PREFIX
from driftline.demo.standins import ROUTING_KEY, StandIns
from driftline.runtime.embedded import EmbeddedServers

PARTITIONS: Final = 4
SETTINGS_FILE: Final = "driftline.yaml"
DAY_S: Final = 86_400.0
COOLDOWN_S: Final = 270 * DAY_S
"""One retraining in the year: so the old version and the new one can be compared on all that comes after."""
ENOUGH_FLIGHTS: Final = 25_000
"""About as many as January has, which the first model was trained on."""


def write_settings(file: Path, servers: EmbeddedServers, people: StandIns) -> Config:
    """Write the file (JSON, which is YAML too) for the stages, and load it."""
    settings: dict[str, Any] = {
        "kafka": {
            "bootstrap": servers.kafka_bootstrap,
            "idempotent": False,
            "end_lags": True,
            "session_timeout_ms": 3_000,
            "rebalance_timeout_ms": 3_000,
        },
        "redis": {"url": servers.redis_url},
        # The stages start before there is anything to read. A partition that counted as idle meanwhile would not be
        # waited for when the others begin, and at this speed seconds are days of event time.
        "ingest": {"idle_after_s": 300.0},
        "topics": {"partitions": {"events": PARTITIONS}},
        "react": {
            "tick_s": 2.0,
            # Updates follow the wall clock, in which weeks of event time are seconds: they would differ in every run.
            "update_every_s": 366 * DAY_S,
            "retraining": {
                "cooldown_s": COOLDOWN_S,
                "enough_events": ENOUGH_FLIGHTS,
                "compare_pairs": 1_000,
                # Weeks of event time pass in seconds, and the publisher waits for the job.
                "escalate_s": 30 * DAY_S,
                "expire_s": 60 * DAY_S,
            },
        },
        "notify": {
            "receivers": [
                {"name": "slack", "type": "slack", "url": people.slack_url, "per_minute": 6_000},
                {
                    "name": "pagerduty",
                    "type": "pagerduty",
                    "key": ROUTING_KEY,
                    "url": people.pagerduty_url,
                    "per_minute": 6_000,
                },
            ],
            # By the clock of the events, of which days pass in a second: nobody is reminded of what lasts.
            "routes": [{"receivers": ["slack", "pagerduty"], "group_wait_s": 0.0, "repeat_s": None}],
            "requests": ["slack", "pagerduty"],
            "deployments": ["slack", "pagerduty"],
            "values": True,
            "allow_private": ["127.0.0.0/8"],
        },
        "runtime": {"revoke_deadline_s": 2.0, "http": {"port": 0}},
        "logging": {"format": "text"},
    }
    file.write_bytes(orjson.dumps(settings, option=orjson.OPT_INDENT_2))
    return load(file, environ={}).config


def clean_environment() -> dict[str, str]:
    """Ours without Driftline's variables, which would win over the file."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
