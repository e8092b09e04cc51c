"""Names in records are chosen by others: what looks like markup in them is shown as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from driftline.cli import app
from driftline.cli.status import show
from driftline.runtime.store import JoinTotals
from driftline.stats.profile import encode_profile
from driftline.stats.settings import DetectionSettings
from driftline.status import ModelStatus, Status
from stats.worlds import profile_of

NAMES = ("[/b]", "[red]", "[link=x]", ":boom:")


@pytest.mark.parametrize("name", NAMES)
def test_status_shows_a_name_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One model with such a name would keep everyone from the status of all. Mutation: `Console()` in `cli/app.py`."""
    model = ModelStatus(name, "1", "p", 1, "learnt", "", 9, 0, 0, 0, [], 1, [], None, [f"limit {name}"], True)
    show(Status([], [model], {}, JoinTotals(0, 0, 0, 0, 0), None, 0, 0, None))
    assert capsys.readouterr().out.count(name) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_explain_shows_a_name_as_it_is(name: str, tmp_path: Path) -> None:
    """Mutation: `Console()` in `cli/app.py`."""
    column = f"features.{name}"
    profile = profile_of({column: np.random.default_rng(1).normal(size=2_000)}, DetectionSettings())
    (tmp_path / "p").write_bytes(encode_profile(profile))
    told = CliRunner(env={"DRIFTLINE_CONFIG": None, "COLUMNS": "200"}).invoke(
        app, ["explain", profile.model, "--profile", str(tmp_path / "p")]
    )
    assert told.exit_code == 0, told.output
    assert column in told.output
