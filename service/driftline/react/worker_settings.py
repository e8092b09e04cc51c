"""What a worker of react goes by: where it reads and writes, its policy, and who is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from driftline.react.routes import RouteTable
from driftline.react.settings import ReactSettings
from driftline.react.topics import Topics


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """`max_pending`: notifications that may wait for one receiver."""

    topics: Topics = field(default_factory=Topics)
    policy: ReactSettings = field(default_factory=ReactSettings)
    routes: RouteTable = field(default_factory=RouteTable)
    max_pending: int = 1_000
