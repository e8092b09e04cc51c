"""Stages as processes: one that dies by itself is an error that says why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from driftline.clock import SystemClock
from driftline.demo.processes import StageProcess, run_driftline
from driftline.errors import Misconfigured


def test_a_stage_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("kafka: {bootstrap: nowhere}\n")
    process = StageProcess("ingest", config, tmp_path, SystemClock())
    process.start()
    deadline = time.monotonic() + 20
    with pytest.raises(Misconfigured, match=r"exit code 2[\s\S]*kafka.bootstrap"):
        while time.monotonic() < deadline:
            process.check()
            time.sleep(0.05)


async def test_what_never_ran_has_no_exit_code(tmp_path: Path) -> None:
    process = StageProcess("judge", tmp_path / "none.yaml", tmp_path, SystemClock())
    assert await process.stop() is None
    with pytest.raises(Misconfigured, match="not running"):
        process.kill(0, 0)


async def test_a_command_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="reference build fails, exit code 2"):
        await run_driftline("reference", "build", str(tmp_path / "none.parquet"), "--model", "m", "--version", "1")
