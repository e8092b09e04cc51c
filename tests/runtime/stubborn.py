"""`python -m runtime.stubborn KIND...`: a process of stages that do not stop as they should. It says `runs`."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress

from driftline import stopping
from driftline.telemetry import setup


class Stage:
    """Of one of the kinds: `obeys`, `hangs` until it is cancelled, `ignores` cancellation too, `fails`, `threads`
    leaves a thread behind that the event loop waits for."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._stop = asyncio.Event()

    @property
    def waiting(self) -> frozenset[int]:
        return frozenset()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        match self._kind:
            case "obeys":
                await self._stop.wait()
            case "hangs":
                await asyncio.Event().wait()
            case "ignores":
                while True:
                    with suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()
            case "fails":
                raise KeyError("a stage")
            case "threads":
                threads = asyncio.create_task(asyncio.to_thread(time.sleep, 60))
                await self._stop.wait()
                threads.cancel()
                with suppress(asyncio.CancelledError):
                    await threads


async def main(*kinds: str) -> None:
    setup(form="text")
    asyncio.get_running_loop().call_later(0.05, print, "runs")
    await stopping.run_until_stopped([Stage(kind) for kind in kinds])
    print("returned")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    stopping.GRACE_S, stopping.CLOSING_S, stopping.LAST_S = 0.3, 0.2, 1.5  # type: ignore[misc]
    asyncio.run(main(*sys.argv[1:]))
