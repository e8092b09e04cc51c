"""SIGHUP: the configuration is read again, and either all of it is in force, or nothing has changed.

1. *read* file, environment and command line again, as at the start;
2. *refuse* what needs a restart (`config/tree.py` knows), each setting by its name;
3. *prepare* every part: read the files of secrets, make the channels. Whatever is wrong is found by here, nothing has
   been changed so far, and the former configuration stays in force. So far all is done in a thread: a file that does
   not come (a server of files that is away, a pipe) holds up nothing, and is a mistake like another;
4. *wait* until react is between two messages, and say so where that takes long;
5. *apply* all parts. None of them waits or fails, so nobody ever sees a half of it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, NamedTuple, Protocol, TextIO

from driftline.clock import Clock
from driftline.config.model import Config
from driftline.config.tree import changed, is_live
from driftline.errors import Misconfigured
from driftline.receivers import file_secrets
from driftline.telemetry import Metrics, log, setup
from driftline.telemetry.logs import MAX_ITEMS

Apply = Callable[[], None]
READ_S: Final = 20.0
WAITS_S: Final = 5.0
SUCCESSFUL = "driftline_config_last_reload_successful"
SUCCEEDED_AT = "driftline_config_last_reload_success_timestamp_seconds"


class Part(Protocol):
    """What goes by the configuration and can go by another one."""

    def prepare(self, config: Config) -> Apply:
        """What puts `config` into force here. Changes nothing itself; Misconfigured where it cannot be. Called in a
        thread."""
        ...


class _Prepared(NamedTuple):
    config: Config
    settings: list[str]
    applies: list[Apply]


class Reloader:
    """`read`: the configuration as it is given now. `between`: held while it is put into force."""

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        metrics: Metrics,
        clock: Clock,
        parts: Sequence[Part],
        between: AbstractAsyncContextManager[object] | None = None,
    ) -> None:
        self._config = config
        self._read = read
        self._metrics = metrics
        self._clock = clock
        self._parts = parts
        self._between = between or nullcontext()
        self._reading: asyncio.Task[_Prepared] | None = None

    async def run(self, asked: asyncio.Event) -> None:
        """Reload whenever `asked` is set, until cancelled."""
        while True:
            await asked.wait()
            asked.clear()
            await self.reload()

    async def reload(self) -> bool:
        """Whether what is given now is in force."""
        try:
            config, settings, applies = await self._prepared()
        except Misconfigured as error:
            return self._refused(str(error).splitlines())
        except Exception as error:  # noqa: BLE001 - a defect of ours: nothing is changed yet, and whoever asked is answered
            return self._refused([f"{type(error).__name__} while reading it"])
        waits = asyncio.get_running_loop().call_later(WAITS_S, log, "config.waiting")
        try:
            async with self._between:
                for apply in applies:
                    apply()
                self._config = config
        finally:
            waits.cancel()
        in_force(self._metrics, self._clock)
        log("config.reloaded", settings=settings)
        return True

    async def _prepared(self) -> _Prepared:
        """Misconfigured also where the files do not come. What comes later is read again by then."""
        if self._reading is not None and not self._reading.done():
            raise Misconfigured("a file of an earlier reload is still being read; reload again when it can be")
        self._reading = asyncio.create_task(asyncio.to_thread(self._prepare))
        try:
            async with asyncio.timeout(READ_S):
                return await asyncio.shield(self._reading)
        except TimeoutError:
            raise Misconfigured(f"its files could not be read within {READ_S:g} s") from None

    def _prepare(self) -> _Prepared:
        config = self._read()
        differ = changed(self._config, config)
        _refuse_restart([".".join(path) for path in differ if not is_live(path)])
        return _Prepared(
            config, [".".join(path) for path in differ], [part.prepare(config) for part in self._parts]
        )

    def _refused(self, mistakes: Sequence[str]) -> bool:
        self._metrics.set(SUCCESSFUL, 0)
        if len(mistakes) > MAX_ITEMS:
            more = len(mistakes) - MAX_ITEMS + 1
            mistakes = [*mistakes[: MAX_ITEMS - 1], f"  and {more} more, which `driftline config check` lists"]
        log("config.refused", mistakes=mistakes)
        return False


def in_force(metrics: Metrics, clock: Clock) -> None:
    """What was read just now is in force: said at the start, and by each reload that succeeds."""
    metrics.set(SUCCESSFUL, 1)
    metrics.set(SUCCEEDED_AT, clock.now_ms() / 1000)


class LogPart:
    """The log: its level and form, and the secrets it blots out. Former ones stay hidden. `receivers`: whether this
    process reads those of receivers."""

    def __init__(self, config: Config, *, receivers: bool, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._receivers = receivers
        self._secrets = frozenset[str]()
        self.prepare(config)()

    def prepare(self, config: Config) -> Apply:
        secrets = self._secrets | config.secrets() | (file_secrets(config) if self._receivers else frozenset())

        def apply() -> None:
            self._secrets = secrets
            setup(config.logging.level, config.logging.format, secrets, self._stream)

        return apply


class Hangups:
    """SIGHUP asks for a reload from here on, which would end the process otherwise; also while there is no loop yet."""

    def __init__(self) -> None:
        self._early = False
        signal.signal(signal.SIGHUP, self._note)

    def asked(self) -> asyncio.Event:
        """Set by each, and by those there have been. For the loop that runs."""
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        if self._early:
            asked.set()
        return asked

    def _note(self, signum: int, frame: object) -> None:
        self._early = True


def _refuse_restart(names: Sequence[str]) -> None:
    if names:
        raise Misconfigured(
            "\n".join(["nothing is reloaded: restart to change what needs a restart:", *(f"  {n}" for n in names)])
        )
