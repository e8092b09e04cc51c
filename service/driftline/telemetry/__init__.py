"""What Driftline says of itself: metrics, logs, health."""

from driftline.telemetry.health import HealthServer
from driftline.telemetry.logs import log, setup
from driftline.telemetry.metrics import Metrics
from driftline.telemetry.progress import Progress, Readiness

__all__ = ["HealthServer", "Metrics", "Progress", "Readiness", "log", "setup"]
