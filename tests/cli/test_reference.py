"""References by command: built, listed, compared, pinned from history and from a range of time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from driftline.cli import app
from driftline.cli.reference import succeeding
from driftline.clock import ManualClock
from driftline.contracts.decode import Decoder
from driftline.errors import Misconfigured
from driftline.reference_history import history_profile, read_history
from driftline.registry import Standing
from driftline.runtime.memory_log import MemoryLog, MemoryReader
from driftline.stats.compare import compare
from driftline.stats.limit_rules import LimitRule
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from faults.data import STEP_MS, T0
from faults.extra import outcome, plain, prediction
from stats.worlds import profile_of
from support.servers import AnyServers, connection, unique

SETTINGS = DetectionSettings()
NOW = 1_800_000_000_000


def made(seed: int = 0, moved: float = 0.0, n: int = 6_000) -> Profile:
    rng = np.random.default_rng(seed)
    town: list[str | None] = [("Oslo", "Bergen")[i] for i in (rng.random(n) < 0.3).astype(int)]
    return profile_of({"features.x": rng.normal(moved, 1.0, n), "features.town": town}, SETTINGS)


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner(env={"DRIFTLINE_CONFIG": None, "COLUMNS": "200", **environ}).invoke(app, list(arguments))


def test_a_first_reference_is_in_force_at_once_and_a_second_when_every_ingest_has_heard_of_it() -> None:
    """No event of its time passes the door before: an event more than `future_ms` ahead is refused. Mutation: leave
    `future_ms` out of `switch_time`."""
    first = succeeding(made(), Standing(), NOW, 60_000)
    assert (first.revision, first.judged_from, first.pinned) == (1, 0, True)
    standing = Standing((first,))
    second = succeeding(made(1), standing, NOW, 60_000)
    assert second.revision == 2
    assert NOW + 60_000 < second.judged_from < NOW + 60_000 + 10_000 + 60_000
    assert second.judged_from % 60_000 == 0
    with pytest.raises(Misconfigured, match="takes force only at"):
        succeeding(made(2), Standing((first, second)), NOW + 1, 60_000)
    assert succeeding(made(1), standing, NOW, 60_000, at=T0 + 1).judged_from == -(-T0 // 60_000) * 60_000
    with pytest.raises(Misconfigured, match="must be later than"):
        succeeding(made(1), Standing((second,)), NOW, 60_000, at=T0)
    assert succeeding(made(), Standing((), void=4), NOW, 60_000).revision == 5


def test_comparing_says_which_column_has_moved_and_by_how_much() -> None:
    same = {line.column: line for line in compare(made(), made())}
    assert all(line.exact and line.distances is not None and line.distances.psi == 0 for line in same.values())
    lines = compare(made(), made(1, moved=0.5))
    by_name = {line.column: line for line in lines}
    assert lines[0].column == "features.x"
    x = by_name["features.x"].distances
    assert x is not None and x.ks is not None and x.wasserstein_sd is not None
    assert x.ks == pytest.approx(0.197, abs=0.04)
    assert x.wasserstein_sd == pytest.approx(0.5, abs=0.08)
    assert not by_name["features.x"].exact
    town = by_name["features.town"].distances
    assert town is not None and town.psi < 0.01
    gone = profile_of({"features.x": np.random.default_rng(0).normal(size=6_000)}, SETTINGS)
    assert {line.column: line.verdict for line in compare(made(), gone)}["features.town"] == "only in A"


async def test_a_range_of_time_is_read_again_from_the_events() -> None:
    """Predictions of the range, of this version, once each; and pairs whose outcome came in it. Mutation: leave the
    comparison with `start` and `to` out of `read_history`."""
    log = MemoryLog(ManualClock(NOW), {"events": 2})
    rng = np.random.default_rng(0)
    for i in range(3_000):
        event = orjson.dumps(prediction("m", i, plain(i, rng)))
        log.append("events", i % 2, event)
        if not i % 100:
            log.append("events", 1, event)
        log.append("events", (i + 1) % 2, orjson.dumps(outcome("m", i, bool(i % 10))))
    log.append("events", 0, orjson.dumps({**prediction("m", 9_999, {}), "version": "2", "time": T0 + 700_000}))
    log.append("events", 0, b"{")
    start, to = T0 + 1_000 * STEP_MS, T0 + 2_500 * STEP_MS
    told: list[int] = []

    async def read(version: str) -> Profile:
        history = await read_history(
            MemoryReader(log),
            "events",
            Decoder(),
            "m",
            version,
            start,
            to,
            lambda done, of: told.append(done * 100 // of),
        )
        return history_profile(
            history, model="m", version=version, start=start, to=to, created=NOW, settings=SETTINGS
        )

    profile = await read("1")
    assert told[-1] == 100
    assert (profile.source, profile.predictions.n) == ("time_range", 1_500)
    assert start <= profile.predictions.start and profile.predictions.end < to
    assert profile.pairs is not None and 1_400 < profile.pairs.n <= 1_500
    with pytest.raises(Misconfigured, match=r"no prediction of m 3 .*; there are of 1, 2"):
        await read("3")


async def test_segments_that_limits_ask_for_come_from_the_events() -> None:
    """Mutation: no segments of `made` in `reference_history._pairs`."""
    log, rng = MemoryLog(ManualClock(NOW), {"events": 1}), np.random.default_rng(0)
    for i in range(3_000):
        groups = {"sex": "FM"[i % 2], "region": "north"}
        log.append("events", 0, orjson.dumps(prediction("m", i, plain(i, rng), segments=groups)))
        log.append("events", 0, orjson.dumps(outcome("m", i, bool(i % 10))))
    history = await read_history(MemoryReader(log), "events", Decoder(), "m", "1", T0, NOW, lambda done, of: None)
    rule = LimitRule(metric="recall_ratio", segment="sex", at_least=0.8)
    asked = replace(SETTINGS, limits=(rule,))
    profile = history_profile(history, model="m", version="1", start=T0, to=NOW, created=NOW, settings=asked)
    assert profile.pairs is not None
    grid = profile.pairs.grid
    assert {"F TP", "F FN", "M TP", "M FN"} < set(grid.columns[grid.index["segments.sex"]].categories)
    assert not [name for name in profile.predictions.grid.index if name.startswith("segments.")]
    plainly = history_profile(history, model="m", version="1", start=T0, to=NOW, created=NOW, settings=SETTINGS)
    assert plainly.pairs is not None and "segments.sex" not in plainly.pairs.grid.index


@pytest.fixture
def connected(servers: AnyServers) -> dict[str, str]:
    kafka = {f"DRIFTLINE_KAFKA__{k.upper()}": str(v) for k, v in connection(servers)["kafka"].items()}
    return kafka | {"DRIFTLINE_TOPICS__PREFIX": f"{unique('ref')}."}


@pytest.mark.connected
def test_built_listed_compared_pinned_and_reset(connected: dict[str, str], tmp_path: Path) -> None:
    def ran(*arguments: str, code: int = 0) -> Result:
        result = invoke(*arguments, **connected)
        assert result.exit_code == code, result.output + result.stderr
        return result

    rng = np.random.default_rng(0)
    for name, moved in (("a", 0.0), ("b", 1.0)):
        rows = [{"id": i, "time": T0 + i * 1_000, "x": float(rng.normal(moved))} for i in range(3_000)]
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    ran("topics", "create")
    build = ("reference", "build", "--model", "m", "--version", "1", "--json")
    first = json.loads(ran(*build, str(tmp_path / "a.jsonl")).stdout)
    second = json.loads(ran(*build, str(tmp_path / "b.jsonl"), "--at", "2024-01-01T00:00:00Z").stdout)
    assert (first["judged_from"], second["judged_from"]) == (0, 1_704_067_200_000)
    listed = [json.loads(line) for line in ran("reference", "list", "m", "--json").stdout.splitlines()]
    assert [(p["revision"], p["state"]) for p in listed] == [(1, "replaced"), (2, "in force")]
    assert "in force" in ran("reference", "list").output
    compared = json.loads(ran("reference", "compare", first["id"][:8], "m/1/2", "--json").stdout)
    assert compared["columns"][0]["distances"]["psi"] > 0.2
    assert "features.x" in ran("reference", "compare", "m/1/1", "m/1").output
    pin = ("reference", "pin", "m", "-v", "1")
    assert "there is no revision 9" in ran(*pin, "--revision", "9", code=2).stderr
    assert "is in force" in ran(*pin, "--revision", "2", code=2).stderr
    assert "give one of" in ran(*pin, code=2).stderr
    assert "no prediction of m 1" in ran(*pin, "--from", "2023-01-01", "--to", "2023-02-01", code=2).stderr
    again = json.loads(ran(*pin, "--revision", "1", "--json").stdout)
    assert (again["revision"], again["parent"]) == (3, first["id"])
    assert again["streams"]["predictions"]["grid"] == first["streams"]["predictions"]["grid"]
    assert f"revision {again['revision']}" in ran("reference", "show", "m", "-v", "1").output
    ran("model", "reset", "m", "-v", "1", "--yes")
    listed = [json.loads(line) for line in ran("reference", "list", "--json").stdout.splitlines()]
    assert {p["state"] for p in listed} == {"reset"}
    back = json.loads(ran(*pin, "--id", first["id"][:10], "--json").stdout)
    assert (back["revision"], back["judged_from"]) == (4, 0)
