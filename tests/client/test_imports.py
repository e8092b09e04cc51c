"""What a serving process pays for importing the clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys

PROBE = """
import json, sys
from driftline.client import EventLogger, LifecycleReporter, RetrainingSubscriber, run, announce
logger = EventLogger("127.0.0.1:1", linger_s=60)
assert logger.log_prediction(model="m", version="1", id="e", features={"a": 1.5, "b": float("nan"), "c": None})
assert logger.log_outcome(model="m", id="e", outcome=True)
print(json.dumps(sorted(sys.modules)))
logger.close(0)
"""
HEAVY = {
    "numpy",
    "river",
    "starlette",
    "uvicorn",
    "pydantic",
    "redis",
    "typer",
    "rich",
    "yaml",
    "prometheus_client",
}
STAGES = {"ingest", "judge", "react", "stats", "config", "telemetry", "cli", "service", "wiring"}


def test_nothing_heavy_is_imported() -> None:
    """Mutation: import anything of `stats` in `client/events.py`: numpy and river come along."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, check=True, text=True, timeout=20
    )
    modules = set(json.loads(done.stdout))
    assert not HEAVY & {name.partition(".")[0] for name in modules}
    assert not {f"driftline.{stage}" for stage in STAGES} & modules
