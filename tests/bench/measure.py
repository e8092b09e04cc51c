"""`python -m bench.measure JOB`: one measurement in a process of its own. Prints its Cost as one line of JSON."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from bench import ways
from bench.job import Cost, Job
from driftline.errors import Misconfigured

LIMIT_S: Final = 120.0


def measured(job: Job) -> Cost:
    """The job's cost, from a process that does nothing else. Misconfigured, with what it said, if it fails."""
    command = [sys.executable, "-m", "bench.measure", msgspec.json.encode(job).decode()]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    try:
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Cost)
    except (IndexError, msgspec.DecodeError):
        raise Misconfigured(f"{job.name} gave no answer: {done.stderr.decode()[-2000:]}") from None


def _way(job: Job) -> Callable[[Job], Awaitable[Cost]]:
    if job.way == "faust":
        from bench.faust_agent import faust_agent  # a second to import, which the others are spared

        return faust_agent
    return {"consume": ways.consume, "decode": ways.decode, "bare": ways.bare, "ingest": ways.ingest}[job.way]


async def _main() -> None:
    job = msgspec.json.decode(sys.argv[1], type=Job)
    cost = await _way(job)(job)
    sys.stdout.write("\n" + msgspec.json.encode(cost).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(_main())
