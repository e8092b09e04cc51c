"""A process ends in bounded time, whatever its stages do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def stages(*kinds: str) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join([str(ROOT / "service"), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.stubborn", *kinds],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _runs(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "runs\n"


@pytest.mark.parametrize("kinds", [["obeys"], ["obeys", "hangs"], ["obeys", "ignores"], ["threads"]], ids=".".join)
def test_a_stop_is_obeyed(kinds: list[str]) -> None:
    """A4. Mutation: `run_until_stopped` waits without a limit for what it cancelled: `ignores` never returns."""
    with stages(*kinds) as process:
        _runs(process)
        process.terminate()
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert said.count("service.stopping") == 1, said
    assert "returned" in said


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_where_it_stands(name: signal.Signals) -> None:
    """Mutation: `ask` leaves the handlers in place."""
    with stages("ignores") as process:
        _runs(process)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert "service.stopping" in process.stdout.readline()
        process.send_signal(name)
        assert process.wait(20) == -name


def test_a_stage_that_fails_stops_the_others() -> None:
    """Mutation: wait for all stages instead of the first that ends."""
    with stages("obeys", "fails") as process:
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "KeyError: 'a stage'" in said
