"""The dashboard: current, whole, and every query of it answered by a real Prometheus."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any, Final

import httpx
import pytest
import yaml

from driftline.telemetry.declared_metrics import METRICS
from driftline.telemetry.metrics import CONTENT_TYPE, Metrics
from support.prometheus import ROOT, answers, prometheus_at, tool, unknown_in, unknown_labels

FILE: Final = ROOT / "deploy/grafana/dashboards/driftline.json"
DASHBOARD: Final[dict[str, Any]] = json.loads(FILE.read_text())
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES: Final = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
WITHIN_S: Final = 20.0


def test_it_is_what_the_code_makes() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "deploy/grafana/dashboard.py"), "--check"], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()


def test_panels_have_a_place_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = set(product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not taken & cells, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    titles = [(panel["type"], panel["title"]) for panel in DASHBOARD["panels"]]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_is_whole(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    assert panel["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert unknown_in(target["expr"]) == set()
        assert unknown_labels(target["expr"]) == set()


def test_what_is_provisioned_is_where_it_is_mounted() -> None:
    here = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((here / "datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((here / "dashboards/driftline.yml").read_text())["providers"]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert DASHBOARD["templating"]["list"][0]["query"] == source["type"]


def everything() -> Metrics:
    """A process that has emitted every metric."""
    metrics = Metrics()
    for metric in METRICS:
        labels = {label.name: (*label.values, "0")[0] for label in metric.labels}
        match metric.kind:
            case "counter":
                metrics.inc(metric.name, 0.5, **labels)
            case "gauge":
                metrics.set(metric.name, 0.5, **labels)
            case "histogram":
                metrics.observe(metric.name, 0.5, **labels)
    return metrics


@pytest.fixture(scope="module")
def process() -> Iterator[str]:
    """Where such a process serves its metrics; counters grow from scrape to scrape."""
    metrics = everything()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            for metric in METRICS:
                if metric.kind != "gauge":
                    verb = metrics.inc if metric.kind == "counter" else metrics.observe
                    verb(metric.name, 1, **{label.name: (*label.values, "0")[0] for label in metric.labels})
            self.send_response(200)
            self.send_header("content-type", CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(metrics.render())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(process: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus with our rules that has scraped it a few times."""
    found, directory = tool("prometheus"), tmp_path_factory.mktemp("prometheus")
    started = prometheus_at(found, directory, process)
    client, running = started
    try:
        deadline = time.monotonic() + WITHIN_S
        while not answers(client, "driftline:batch_seconds:p99 > 0"):
            assert running.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < deadline, "nothing is scraped"
            time.sleep(0.1)
        yield client
    finally:
        client.close()
        running.kill()
        running.wait()


def test_every_query_is_answered(prometheus: httpx.Client) -> None:
    """Mutation: misspell a label in a query of dashboard.py; its panel is empty."""
    empty = []
    for title, expr in QUERIES:
        answer = prometheus.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", (title, expr, answer)
        if not answer["data"]["result"]:
            empty.append((title, expr))
    assert empty == []
    rules = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"] == []
