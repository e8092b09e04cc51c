"""Trying again for as long as it takes, and saying so once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from driftline.errors import PublishRefused, Transient
from driftline.runtime.retry import FIRST_WAIT_S, LONGEST_WAIT_S

T = TypeVar("T")

_log: Final = logging.getLogger("driftline.client")


async def patiently(call: Callable[[], Awaitable[T]], doing: str, give_up: Callable[[], bool] = lambda: False) -> T:
    """Repeat `call` while it is Transient, waiting 0.05 s, doubling, to 2 s. PublishRefused passes at once, for it
    does not mend itself; so does the last Transient when `give_up()` says so."""
    wait, told = FIRST_WAIT_S, False
    while True:
        try:
            return await call()
        except PublishRefused:
            raise
        except Transient as error:
            if give_up():
                raise
            if not told:
                _log.warning("%s does not work yet and is tried again until it does: %s", doing, error)
            told = True
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_S)
