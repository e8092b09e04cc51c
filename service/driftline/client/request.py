"""One retraining request in the hands of a job, and the work on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from driftline.client.answers import JOB
from driftline.client.lifecycle import LifecycleReporter
from driftline.contracts.reactions import RetrainingRequested, Window, content_id
from driftline.contracts.records import Lifecycle, LifecycleWhat


class Job:
    """The work on a request. Set `version` to the version that was trained, and fill `metrics` (numbers, texts,
    booleans by name), before `working` ends: they are told with `retraining.succeeded`. Without a version it is
    the one that the request is about."""

    def __init__(self, request: RetrainingRequest) -> None:
        self.request = request
        self.version: str | None = None
        self.metrics: dict[str, Any] = {}


class RetrainingRequest:
    """A request as it was published (`requested`), and what a job can do with it: work on it, or decline it."""

    def __init__(
        self,
        requested: RetrainingRequested,
        job: str,
        started_before: bool,
        reporter: LifecycleReporter,
        settled: Callable[[Lifecycle | None], Awaitable[None]],
        let_go: Callable[[], None],
    ) -> None:
        """`settled` takes the answer (None: declined) and commits. `let_go` ends the work: without an answer, the
        request comes again."""
        self.requested = requested
        self.started_before = started_before
        """This job has begun to work on it before, and has not ended."""
        self._job = job
        self._reporter = reporter
        self._settled = settled
        self._let_go = let_go

    @property
    def id(self) -> str:
        """The same in every delivery."""
        return self.requested.id

    @property
    def model(self) -> str:
        return self.requested.model

    @property
    def version(self) -> str:
        """The version that should be replaced."""
        return self.requested.version

    @property
    def window(self) -> Window:
        """The training window advised: `start` (may be None), `to`, `mix`, `why`."""
        return self.requested.window

    @property
    def strategy(self) -> Literal["full", "incremental"]:
        return self.requested.strategy

    @property
    def reason(self) -> str:
        return self.requested.reason

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Job]:
        """Work on the request: `async with request.working() as job`.

        1. Publish `retraining.started`. Its id is a function of request and job: begun again after a crash, it is
           the same event.
        2. The body runs. A crash here, or a cancellation: nothing is published, and the request comes again.
        3. Publish `retraining.succeeded` with `job.version` and `job.metrics`; or, for an exception,
           `retraining.failed` with the exception's type and nothing else of it. A crash before that: the request
           comes again.
        4. Commit the request's offset. A crash before that: the answer is found on the topic when the request is
           read again, and it is not given out.

        The exception passes on. Steps 1, 3 and 4 wait for a broker that is away; step 1 may therefore delay the
        body."""
        job = Job(self)
        try:
            await self._tell("retraining.started", self.version, {})
            try:
                yield job
            except Exception as error:
                await self._answer("retraining.failed", self.version, {"error": _kind(error)})
                raise
            version = self.version if job.version is None else str(job.version)
            await self._answer("retraining.succeeded", version, job.metrics)
        finally:
            self._let_go()

    async def decline(self) -> None:
        """Leave the request to others: nothing is published, and this job does not see it again."""
        await self._settled(None)

    async def registered(self, version: str, *, details: Mapping[str, object] | None = None) -> Lifecycle:
        """There is such a version of the model, trained for this request."""
        return await self._tell("registered", version, details or {})

    async def deployed(self, version: str, *, details: Mapping[str, object] | None = None) -> Lifecycle:
        """The version serves from now on: error before and after will be compared."""
        return await self._tell("deployed", version, details or {})

    async def rolled_back(self, version: str, *, details: Mapping[str, object] | None = None) -> Lifecycle:
        """The version serves no longer; the one before it does again."""
        return await self._tell("rolled_back", version, details or {})

    async def retired(self, version: str, *, details: Mapping[str, object] | None = None) -> Lifecycle:
        """The version is gone for good."""
        return await self._tell("retired", version, details or {})

    async def _answer(self, what: LifecycleWhat, version: str, details: Mapping[str, object]) -> None:
        await self._settled(await self._tell(what, version, details))

    async def _tell(self, what: LifecycleWhat, version: str, details: Mapping[str, object]) -> Lifecycle:
        return await self._reporter.tell(
            what,
            self.model,
            version,
            request=self.id,
            id=content_id("lifecycle", what, self.id, self._job, version),
            details={JOB: self._job, **details} | {JOB: self._job},
        )


def _kind(error: Exception) -> str:
    """The exception's type. Never its text, which may hold data and secrets."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
