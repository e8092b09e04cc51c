"""Prometheus and its tools, from the PATH (apt-get install prometheus prometheus-alertmanager), and our rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from driftline.telemetry.declared_metrics import METRICS
from support.own import free_port, missing

ROOT: Final = Path(__file__).parents[2]
RULES: Final[list[dict[str, Any]]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
SUFFIXES: Final = ("_bucket", "_sum", "_count")


def tool(name: str) -> str:
    """Skips the test where there is none, and fails it where CI is true."""
    found = shutil.which(name)
    if found is None:
        missing(f"there is no {name} on the PATH (apt-get install prometheus prometheus-alertmanager)")
    return found


def succeeds(*command: str, cwd: Path) -> str:
    """Runs it; what it prints. AssertionError with that if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=25)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def emitted() -> set[str]:
    """Names that a process serves."""
    names = {metric.name for metric in METRICS}
    histograms = {metric.name for metric in METRICS if metric.kind == "histogram"}
    process = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
    return names | {name + suffix for name in histograms for suffix in SUFFIXES} | process


def unknown_in(expr: str) -> set[str]:
    """Metrics and labels that nothing emits."""
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    text = re.sub(r'"[^"]*"', '""', expr)
    names = set(re.findall(r"\b(?:driftline|process)[a-z0-9_:]+", text)) - {"driftline"}
    return names - emitted() - recorded


def unknown_labels(expr: str) -> set[str]:
    declared = {label.name for metric in METRICS for label in metric.labels}
    of_prometheus = {"job", "instance", "le", "alertname", "alertstate"}
    inside = re.findall(r"\{([^}]*)\}", expr)
    used = {name for part in inside for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", part)}
    used |= {name for part in re.findall(r"\bby \(([^)]*)\)", expr) for name in re.findall(r"\w+", part)}
    return used - declared - of_prometheus


def prometheus_at(found: str, directory: Path, *targets: str) -> tuple[httpx.Client, subprocess.Popen[bytes]]:
    """One of our own that scrapes `targets` every half second, with our rules."""
    settings = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms", "scrape_timeout": "400ms"}
    settings["rule_files"] = [str(ROOT / "deploy/prometheus/rules.yml")]
    settings["scrape_configs"] = [{"job_name": "driftline", "static_configs": [{"targets": list(targets)}]}]
    del settings["alerting"]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [found, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
    with (directory / "log").open("wb") as log:
        running = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    return httpx.Client(base_url=f"http://{address}", timeout=5), running


def answers(client: httpx.Client, expr: str) -> bool:
    """False too while it is not ready: it says so in plain text, with 503."""
    try:
        answer = client.get("/api/v1/query", params={"query": expr}).raise_for_status()
        return bool(answer.json()["data"]["result"])
    except httpx.HTTPError:
        return False
