"""`driftline explain`, from a profile in a file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from driftline.cli import app
from driftline.stats.profile import Profile, encode_profile, make_profile
from driftline.stats.settings import DetectionSettings
from stats.worlds import profile_of


def make() -> Profile:
    rng = np.random.default_rng(1)
    columns = {"features.x": rng.normal(size=6_000), "features.slow": np.sin(np.arange(6_000) / 2_000.0)}
    errors = (rng.random(6_000) < 0.1).astype(np.float64)
    return profile_of({**columns}, DetectionSettings(), pairs={"error": errors})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profiles") / "m-1.profile"
    path.write_bytes(encode_profile(make()))
    return path


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner(env={"DRIFTLINE_CONFIG": None, "COLUMNS": "160", **environ}).invoke(app, list(arguments))


def test_a_person_is_told_what_will_be_noticed_and_what_cannot(file: Path) -> None:
    result = invoke("explain", "m", "--profile", str(file))
    assert result.exit_code == 0, result.output
    for words in (
        "at most one false alarm in 30 days of traffic",
        "0.2 SD: ",
        "+2 points: never",
        "error:rate",
        "features.slow:distribution never pages: the reference holds 0.0 days and moves slowly all through it",
        "Season of features.x:distribution",
        "Self-check: the reference in random blocks",
    ):
        assert words in result.output


def test_of_a_reference_learnt_from_counts(tmp_path: Path) -> None:
    """Mutation: in `_check`, one answer for every reference without a self-check."""
    section = msgspec.structs.replace(make().predictions, check=None)
    profile = make_profile(
        model="m", version="1", source="rolling", created=0, judged_from=make().judged_from, predictions=section
    )
    path = tmp_path / "rolled.profile"
    path.write_bytes(encode_profile(profile))
    result = invoke("explain", "m", "--profile", str(path))
    assert "Self-check: none, for the reference was learnt from counts" in result.output


def test_programs_are_told_in_json(file: Path) -> None:
    result = invoke(
        "explain", "m", "-v", "1", "--profile", str(file), "--json", DRIFTLINE_DETECTION__ARL0_EVENTS="1e6"
    )
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output)
    assert (plan["unit"], plan["arl0"]) == ("events", 1e6)
    monitors = {m["monitor"]: m for s in plan["streams"] for m in s["monitors"]}
    assert monitors["features.slow:distribution"]["level"] is None
    assert [d["values"] for d in monitors["features.slow:distribution"]["delays"]] == [None] * 4
    assert [d["shift"] for d in monitors["error:rate"]["delays"]] == [2.0, 5.0]


def test_a_model_of_a_fleet_is_told_what_its_share_means(file: Path) -> None:
    """Mutation: no `_shared` in `show`."""
    result = invoke("explain", "m", "--profile", str(file), DRIFTLINE_DETECTION__FLEET_MODELS="200")
    assert result.exit_code == 0, result.output
    assert "at most one false alarm in 6,000 days of traffic" in result.output
    told = next(line for line in result.output.splitlines() if line.startswith("It shares its budget"))
    assert "one false alarm in 30 days of traffic among all of 200 model versions" in told
    assert "so that it raises one of 200. Its monitors page at 5.3 nats more than with a budget of its own" in told
    later = re.search(r"notice a shift about (\d+) % later", told)
    assert later is not None and 10 <= int(later[1]) <= 100


def test_limits_are_told_and_why_one_cannot_be_judged(file: Path) -> None:
    """Mutation: no `limits` in `explain`."""
    limits = [
        {"metric": "error_rate", "at_most": 0.2},
        {"metric": "positive_rate_ratio", "segment": "sex", "at_least": 0.8},
        {"metric": "recall_ratio", "segment": "sex", "at_least": 0.8},
        {"metric": "error_rate", "at_most": 0.3, "model": "other"},
    ]
    result = invoke("explain", "m", "--profile", str(file), DRIFTLINE_DETECTION__LIMITS=json.dumps(limits))
    assert result.exit_code == 0, result.output
    said = [line for line in result.output.splitlines() if line.startswith("Limit ")]
    assert len(said) == 3
    assert said[0].startswith("Limit error:error_rate <= 0.2: nothing so far; from 100 rows; a row is worth ")
    for metric in ("positive_rate_ratio", "recall_ratio"):
        why = f"Limit segments.sex:{metric} >= 0.8: not judged: the reference has no column segments.sex."
        assert why in said


def test_what_is_not_there_is_said(file: Path, tmp_path: Path) -> None:
    other = invoke("explain", "other", "--profile", str(file))
    assert (other.exit_code, "there is no profile of other; there are: m 1" in other.stderr) == (2, True)
    none = invoke("explain", "m", "--profile", str(tmp_path / "none"))
    assert (none.exit_code, "cannot be read" in none.stderr) == (2, True)
    (tmp_path / "broken").write_bytes(b"{}")
    assert invoke("explain", "m", "--profile", str(tmp_path / "broken")).exit_code == 2
    both = invoke("explain", "m", DRIFTLINE_DETECTION__ARL0_EVENTS="1e6", DRIFTLINE_DETECTION__ARL0_DAYS="30")
    assert (both.exit_code, "either arl0_days or arl0_events" in both.stderr) == (2, True)
