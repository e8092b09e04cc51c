"""Row 46: the disk is full. For it stand /dev/full, and a limit on the size of the files of this process."""

from __future__ import annotations

import logging
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backtest.making import rows, write_csv
from driftline.backtest.blockfile import BlockFile, BlockWriter
from driftline.cli import app
from driftline.errors import Misconfigured
from driftline.outputs import Output, write_whole
from driftline.telemetry.logs import log, setup

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="Linux has a device that is always full")


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("history") / "r.csv", rows(1_600))


@pytest.mark.parametrize("option", ["--json", "--blocks", "--deadletters"])
def test_row_46_an_output_that_takes_no_more_is_said_and_no_traceback(history: Path, option: str) -> None:
    """The screen has the result all the same, where it was known. Mutation: let OSError through in `outputs`."""
    given = history.read_text().splitlines()
    broken = history.with_name("broken.csv")
    broken.write_text("\n".join([*given, *["never" + given[-1][5:]] * 500]))
    common = ["backtest", str(broken if option == "--deadletters" else history), "--reference-events", "1200"]
    if option == "--blocks":
        target = history.with_name("kept.blocks")
        target.unlink(missing_ok=True)
        target.symlink_to(FULL)
    else:
        target = FULL
    done = CliRunner().invoke(app, [*common, option, str(target)])
    assert done.exit_code == 2, done.output
    assert f"{target}: cannot be written (No space left on device)" in done.output.replace("\n", " ")
    assert "Traceback" not in done.output
    if option == "--json":
        assert "1,600 predictions" in done.output


def test_row_46_what_a_file_held_is_kept_when_there_is_no_room_for_more(tmp_path: Path) -> None:
    """Mutation: `path.write_bytes` in `write_whole`; both are lost."""
    path = tmp_path / "result.json"
    write_whole(path, b"former")
    with (
        small_files(1_000),
        pytest.raises(Misconfigured, match=r"result\.json: cannot be written \(File too large\)"),
    ):
        write_whole(path, bytes(4_000))
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_link_goes_on_being_one(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"former")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_bytes() == b"new"
    with pytest.raises(Misconfigured, match="cannot be written"):
        write_whole(tmp_path / "none" / "file", b"x")


def test_who_may_read_a_file_is_as_before_and_a_long_name_is_no_matter(tmp_path: Path) -> None:
    """Mutations: no `fchmod` in `write_whole`; the name of the file in that of the one beside it."""
    path = tmp_path / ("n" * 255)
    path.write_bytes(b"former")
    path.chmod(0o600)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)


def test_a_link_may_lead_to_another_directory(tmp_path: Path) -> None:
    """Which may be on another disk. Mutation: `path.with_name` in `write_whole`; it is made beside the link."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    (there / "file").write_bytes(b"former")
    (here / "link").symlink_to(there / "file")
    seen: list[list[str]] = []

    def listed(fd: int) -> None:
        seen.append(sorted(one.name for one in here.iterdir()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", listed)
        write_whole(here / "link", b"new")
    assert seen == [["link"]]
    assert (there / "file").read_bytes() == b"new"


def test_row_46_a_file_of_blocks_that_was_cut_short_is_never_taken_for_whole(tmp_path: Path) -> None:
    """Mutation: let OSError through in BlockWriter."""
    path = tmp_path / "cut.blocks"
    with small_files(2_000), pytest.raises(Misconfigured, match="cannot be written"):  # noqa: SIM117
        with BlockWriter(path, 1, complete=True) as file:
            for i in range(1_000):
                file.bundle(0, random.Random(i).randbytes(200))
    with pytest.raises(Misconfigured):
        list(BlockFile(path).bundles())


def test_lines_say_it_too(tmp_path: Path) -> None:
    with small_files(100), pytest.raises(Misconfigured, match="cannot be written"):  # noqa: SIM117
        with Output(tmp_path / "letters") as out:
            out.write(bytes(1_000))


def test_row_46_standard_output_that_is_full() -> None:
    """Mutation: let every OSError through in `Group.invoke`; the answer is a traceback."""
    with FULL.open("wb") as full:
        command = [sys.executable, "-m", "driftline", "config", "check", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_row_46_a_log_that_cannot_be_written_stops_nothing_and_says_no_secret(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Mutation: leave `handleError` to Python; it repeats the record, with its secret."""
    root, ours = logging.getLogger(), logging.getLogger("driftline")
    before = list(root.handlers), root.level, ours.level
    try:
        with FULL.open("w", buffering=1) as full:
            setup("INFO", "json", ["canary-secret"], full)
            log("config.refused", mistakes=["canary-secret"])
            logging.getLogger("kafka").error("canary-secret")
    except OSError:
        pass  # the file's own, when it is closed
    finally:
        root.handlers[:], root.level, ours.level = before
    assert "canary" not in "".join(capfd.readouterr())
