"""React's part of a reload: its policy, its routes, and its receivers with their secrets."""

from __future__ import annotations

from driftline.clock import Clock
from driftline.config import Config
from driftline.react.notify.sender import Sender
from driftline.react.notify.senders import Senders
from driftline.react.observe import ReactObserver
from driftline.react.worker import ReactWorker
from driftline.receivers import Line, lines
from driftline.reloading import Apply
from driftline.wiring import worker_settings

Made = dict[str, tuple[Line, Sender]]


class ReactPart:
    """Satisfies `reloading.Part`. A receiver that is called as before keeps its sender, and that what it waits for; any
    other has a new one, which sends what waits for it."""

    def __init__(self, config: Config, worker: ReactWorker, clock: Clock, observer: ReactObserver) -> None:
        self._worker = worker
        self._clock = clock
        self._observer = observer
        self._made: Made = {}
        self._made = self._make(config)
        self.senders = Senders(_senders(self._made))

    def prepare(self, config: Config) -> Apply:
        settings, made = worker_settings(config), self._make(config)

        def apply() -> None:
            self._made = made
            self._worker.reconfigure(settings)
            self.senders.replace(_senders(made))

        return apply

    def _make(self, config: Config) -> Made:
        made: Made = {}
        for line in lines(config):
            held = self._made.get(line.name)
            made[line.name] = held if held is not None and held[0] == line else (line, self._sender(line))
        return made

    def _sender(self, line: Line) -> Sender:
        channel, rate = line.channel(self._clock), line.rate(self._clock)
        return Sender(self._worker, line.name, channel, rate, observer=self._observer)


def _senders(made: Made) -> dict[str, Sender]:
    return {name: sender for name, (_, sender) in made.items()}
