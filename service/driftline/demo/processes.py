"""The stages and the retraining job as processes of their own: started, killed, started again, stopped."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftline.clock import Clock
from driftline.demo.settings import clean_environment
from driftline.errors import Misconfigured
from driftline.runtime.embedded import die_with_parent

STOP_S: Final = 20.0
_TAIL_LINES: Final = 15


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: when (wall clock and event time, ms), how much of the script was published, and how many signals
    react had not answered."""

    stage: str
    pid: int
    at: int
    event_time: int
    published: int
    exit_code: int
    unanswered: int = 0


class Process:
    """A command under a name. Its log survives in `log`, over restarts too."""

    def __init__(self, name: str, command: Sequence[str], directory: Path, clock: Clock) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._command = command
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """On Linux it ends with the thread that calls this, so let it be the main one."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches us first
                preexec_fn=die_with_parent(),
                env=clean_environment(),
            )

    def check(self) -> None:
        """Misconfigured, with the end of its log, if it has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise Misconfigured(f"the {self.name} process has ended by itself, exit code {code}. {self._tail()}")

    def kill(self, event_time: int, published: int) -> Kill:
        """SIGKILL, and start again at once. Misconfigured if it was not running."""
        self.check()
        process = self._process
        if process is None:
            raise Misconfigured(f"the {self.name} process is not running: it cannot be killed")
        at = self._clock.now_ms()
        process.kill()
        code = process.wait()
        self.start()
        return Kill(self.name, process.pid, at, event_time, published, code)

    async def stop(self) -> int | None:
        """SIGTERM, and SIGKILL after STOP_S. Its exit code; None if it was not running or did not obey."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(["Its log ends:", *lines])


class StageProcess(Process):
    """`driftline run --stages STAGE` with a configuration file."""

    def __init__(self, stage: str, config: Path, directory: Path, clock: Clock) -> None:
        super().__init__(
            stage, driftline_command("run", "--stages", stage, "--config", str(config)), directory, clock
        )


def driftline_command(*arguments: str) -> Sequence[str]:
    """This very installation's command line."""
    return (sys.executable, "-m", "driftline", *arguments)


async def run_driftline(*arguments: str) -> None:
    """Run a command to its end. Misconfigured, with the end of what it printed, if it fails."""
    process = await asyncio.create_subprocess_exec(
        *driftline_command(*arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean_environment(),
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        tail = "\n".join(output.decode(errors="replace").splitlines()[-_TAIL_LINES:])
        raise Misconfigured(f"driftline {' '.join(arguments[:2])} fails, exit code {process.returncode}: {tail}")
