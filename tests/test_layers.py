"""Imports point inwards: the table of docs/architecture.md, "Layout", as a test. Those of functions count too."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[1] / "service"
LEAVES = {"errors.py"}
CORE = {"stats", "contracts", *LEAVES}
RUNNING = {*CORE, "runtime", "clock.py"}
STAGE = {*RUNNING, "outgoing.py", "system_signals.py"}
OUTERMOST = {"backtest", "demo", "cli", "service.py"}
MAY: dict[str, set[str]] = {
    "stats": CORE,
    "contracts": {*CORE, "__init__.py"},
    "runtime": {"clock.py", *LEAVES},
    "ingest": {*STAGE, "registry.py"},
    "judge": {*STAGE, "registry.py"},
    "react": {*STAGE, "telemetry", "react/notify"},
    "react/notify": {*STAGE, "react"},
    "client": RUNNING - {"stats"},
    "config": CORE,
    "telemetry": RUNNING - {"stats"},
}
"""What each room may import of ours, beside itself. Modules outside of the rooms may import all but the outermost."""
MAY_OUTERMOST = {"cli": {"backtest", "demo", "service.py"}, "__main__.py": {"cli"}}
OUTSIDE = {"asyncio", "aiokafka", "httpx", "os", "redis", "socket", "subprocess", "threading", "time"}
"""What neither the statistics nor the contracts may touch."""
CHANNELS = {f"driftline.react.notify.{name}" for name in ("alertmanager", "pagerduty", "slack", "webhook")}


@cache
def modules() -> dict[str, Path]:
    found = {}
    for file in SERVICE.rglob("*.py"):
        parts = file.relative_to(SERVICE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that one imports; of ours those that a name is taken from, or that are taken themselves."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, f"{module}: write the whole name"
            whole = {f"{node.module}.{alias.name}": node.module for alias in node.names}
            found.update(name if name in modules() else of for name, of in whole.items())
    return frozenset(found)


def room(module: str) -> str:
    """`stats`, `react/notify`, or `clock.py` of what is in no room."""
    parts = modules()[module].relative_to(SERVICE / "driftline").parts
    return "/".join(parts[:2]) if parts[:2] == ("react", "notify") else parts[0]


def crossings() -> list[tuple[str, str]]:
    """(module, what it imports of ours) wherever that is in another room."""
    pairs = ((module, other) for module in modules() for other in imports(module) if other in modules())
    return sorted((module, other) for module, other in pairs if room(module) != room(other))


def test_every_room_has_its_rule() -> None:
    assert {room(module) for module in modules()} >= MAY.keys()
    outer = {room(module) for module in modules() if not room(module).endswith(".py")} - MAY.keys()
    assert outer == {name for name in OUTERMOST if not name.endswith(".py")}


def test_imports_point_inwards() -> None:
    """Mutation: import `printable` from `driftline.cli.app` in backtest/report.py."""
    outwards = []
    for module, other in crossings():
        here, there = room(module), room(other)
        refused = OUTERMOST - MAY_OUTERMOST.get(here, set())
        if there in refused or (here in MAY and there not in MAY[here]):
            outwards.append(f"{module} imports {other}")
    assert outwards == []


@pytest.mark.parametrize("inner", ["stats", "contracts"])
def test_the_core_touches_nothing_outside(inner: str) -> None:
    """Mutation: `import time` in stats/block.py."""
    touched = {
        (module, other)
        for module in modules()
        if room(module) == inner
        for other in imports(module)
        if other.partition(".")[0] in OUTSIDE
    }
    assert touched == set()


def test_one_module_knows_all_channels() -> None:
    """Mutation: import `Webhook` in react/worker.py."""
    assert modules().keys() >= CHANNELS
    knowing = {module for module in modules() if imports(module) & CHANNELS and module not in CHANNELS}
    assert knowing == {"driftline.react.notify.registry"}
