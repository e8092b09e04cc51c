"""The retraining job, a process of its own: `python -m driftline.demo.retraining_job DIRECTORY BOOTSTRAP`.

It knows `driftline.client`, the flights and the model. A request is answered by a model trained on the window that
it advises. The new version predicts the flights of the LEAD_MS after the request without being used; these
predictions, which are of flights it was not trained on, are pinned as its reference. Then it is deployed. What the
model says is left as a file of scores in the order of the flights watched, from which the publisher serves.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from driftline.client import KafkaSettings, RetrainingRequest, RetrainingSubscriber, Window
from driftline.demo.event_clock import EventClock
from driftline.demo.flights import Flights, read_flights
from driftline.demo.model import MODEL, DelayModel, Predictions, predictions_of, watched
from driftline.demo.pace import LEAD_MS
from driftline.demo.processes import run_driftline
from driftline.demo.reference import write_reference
from driftline.demo.settings import SETTINGS_FILE
from driftline.demo.training_set import held_out, training_rows, weights

JOB = "flight-delay-train"


def scores_file(directory: Path, version: str) -> Path:
    return directory / f"{version}.npy"


def served(directory: Path, version: str) -> Predictions:
    """What a deployed version says of the flights watched."""
    return predictions_of(np.load(scores_file(directory, version), allow_pickle=False))


class RetrainingJob:
    """`directory`: where the demo's files are."""

    def __init__(self, flights: Flights, directory: Path, clock: EventClock) -> None:
        self._flights = flights
        self._watched = watched(flights)
        self._directory = directory
        self._clock = clock

    async def answer(self, request: RetrainingRequest) -> None:
        asked = request.requested.time
        version = f"trained-{datetime.fromtimestamp(request.window.to / 1000, UTC):%Y-%m-%d}"
        async with request.working() as job:
            job.metrics["flights"] = await asyncio.to_thread(self._train, version, request.window, asked)
            job.version = version
        deploy_at = asked + LEAD_MS
        await self._clock.reach(deploy_at)
        file = self._directory / f"{version}.parquet"
        flights = await asyncio.to_thread(self._write_reference, file, version, asked, deploy_at)
        settings = str(self._directory / SETTINGS_FILE)
        await run_driftline(
            "reference", "build", str(file), "--model", MODEL, "--version", version, "--config", settings
        )
        await request.deployed(version, details={"reference_flights": flights})

    def _train(self, version: str, window: Window, now: int) -> int:
        """How many flights it was trained on."""
        chosen = self._flights.take(training_rows(self._flights, window, now))
        model = DelayModel(chosen, weights(chosen.time, window))
        np.save(scores_file(self._directory, version), model.predict(self._watched).score, allow_pickle=False)
        return chosen.n

    def _write_reference(self, file: Path, version: str, since: int, until: int) -> int:
        said = served(self._directory, version)
        held = (self._watched.time >= since) & (self._watched.time < until)
        flights = held_out(self._watched, since, until)
        write_reference(file, flights, Predictions(said.score[held], said.late[held]))
        return flights.n


async def main(directory: Path, kafka: KafkaSettings) -> None:
    """Until SIGTERM."""
    clock = EventClock(directory)
    job = RetrainingJob(await asyncio.to_thread(read_flights), directory, clock)
    async with RetrainingSubscriber(kafka, job=JOB, models={MODEL}, clock=clock) as requests:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, requests.stop)
        async for request in requests:
            await job.answer(request)


if __name__ == "__main__":
    embedded = KafkaSettings(
        sys.argv[2], idempotent=False, end_lags=True, session_timeout_ms=3_000, rebalance_timeout_ms=3_000
    )
    asyncio.run(main(Path(sys.argv[1]), embedded))
