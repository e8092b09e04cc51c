"""Every metric there is. Nothing else can be emitted (`metrics.py`), and docs/metrics.md is made from this list.

Names end in their unit. No label takes a model, feature or event id: those are unbounded and chosen by others;
what is known of a model is on the `signals` topic and in `driftline status`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BYTES: Final = (1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: what it says, and what an operator does about it (nothing, where it is only for looking at)."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    action: str = ""
    buckets: tuple[float, ...] = ()


_ON = ("stage", "partition")

METRICS: Final = (
    Metric(
        "driftline_info",
        "gauge",
        "",
        ("version", "fingerprint"),
        "Always 1; the version and configuration.",
        "Two fingerprints in one group: bring all workers to the same configuration.",
    ),
    Metric(
        "driftline_records_total",
        "counter",
        "records",
        ("stage",),
        "Records folded and written.",
        "Flat while driftline_lag_records grows: see driftline_paused and driftline_retries_total.",
    ),
    Metric(
        "driftline_refused_total",
        "counter",
        "records",
        ("reason",),
        "Events refused at the door, by reason.",
        "`driftline deadletter list` shows them with their reason; tell the producer.",
    ),
    Metric(
        "driftline_dead_letters_total",
        "counter",
        "records",
        ("stage",),
        "Dead letters published.",
        "As driftline_refused_total; `driftline deadletter replay` once the cause is mended.",
    ),
    Metric(
        "driftline_batch_seconds",
        "histogram",
        "seconds",
        ("stage",),
        "Time from a batch in hand to its state written and output acknowledged.",
        "High: look at the store's and the broker's latency.",
        SECONDS,
    ),
    Metric(
        "driftline_batch_records",
        "histogram",
        "records",
        ("stage",),
        "Records in a batch.",
        "",
        (1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000),
    ),
    Metric(
        "driftline_commits_total",
        "counter",
        "writes",
        ("stage", "verdict"),
        "Writes of state, by what the store said: applied, repeated, fenced, moved, lost.",
        "`moved` or `lost`: the store went back in time; see driftline_state_lost_total. `fenced` is "
        "normal in a rebalance.",
    ),
    Metric(
        "driftline_commit_bytes",
        "histogram",
        "bytes",
        ("stage",),
        "Size of a write of state and outbox.",
        "Near 1 MB: fewer models a partition, or smaller batches.",
        BYTES,
    ),
    Metric(
        "driftline_published_total",
        "counter",
        "records",
        ("stage",),
        "Records published and acknowledged.",
    ),
    Metric(
        "driftline_outbox_pending",
        "gauge",
        "records",
        _ON,
        "Records written to the store but not yet acknowledged by the broker.",
        "Above 0 for minutes: the broker does not take them; see the log.",
    ),
    Metric(
        "driftline_selfcheck_ratio",
        "gauge",
        "",
        (),
        "Lowest self-check of the references in force: false alarms allowed over those their own panes gave.",
        "Below 1: `driftline explain` names the reference; build it from a longer time.",
    ),
    Metric(
        "driftline_position",
        "gauge",
        "offset",
        _ON,
        "Offset that is read next.",
        "Standing still while lag is above 0 and nothing is paused: restart the worker.",
    ),
    Metric(
        "driftline_lag_records",
        "gauge",
        "records",
        _ON,
        "Records in the log that are not yet folded.",
        "Growing: more workers, or more partitions.",
    ),
    Metric(
        "driftline_partitions_owned",
        "gauge",
        "partitions",
        ("stage",),
        "Partitions this worker owns.",
        "0 everywhere: no worker reads; see the log.",
    ),
    Metric(
        "driftline_paused",
        "gauge",
        "",
        _ON,
        "1 while a partition is paused.",
        "The log says why (`partition.paused`); it goes on by itself once the cause is gone.",
    ),
    Metric(
        "driftline_retries_total",
        "counter",
        "attempts",
        ("stage", "what"),
        "Repeated calls to the broker or the store.",
        "Rising: one of them is away or slow. Nothing is lost; lag grows.",
    ),
    Metric(
        "driftline_watermark_ms",
        "gauge",
        "milliseconds",
        _ON,
        "Event time, since the epoch, up to which a source partition is complete.",
        "One far behind the others holds back every verdict: look at its producer.",
    ),
    Metric(
        "driftline_late_events_total",
        "counter",
        "events",
        (),
        "Events later than the lateness; merged into the open pane.",
        "Many: raise ingest.lateness_s.",
    ),
    Metric(
        "driftline_duplicates_total",
        "counter",
        "events",
        ("what",),
        "Events dropped because their id was counted before; what: prediction, outcome.",
        "Many: a producer repeats itself.",
    ),
    Metric(
        "driftline_join_total",
        "counter",
        "events",
        ("met",),
        "Halves of pairs, by what they met: new, paired, settled, duplicate.",
        "`paired` flat while outcomes come: their ids or models do not fit.",
    ),
    Metric(
        "driftline_join_pending",
        "gauge",
        "events",
        ("side",),
        "Halves that wait for their other half; side: prediction, outcome.",
        "Outcomes piling up: their predictions are missing.",
    ),
    Metric(
        "driftline_join_expired_total",
        "counter",
        "events",
        ("side",),
        "Halves that waited join.days in vain.",
        "Predictions: outcomes never come. Outcomes: they are of unknown ids.",
    ),
    Metric(
        "driftline_models",
        "gauge",
        "model versions",
        ("state",),
        "Model versions known to this worker; state: learning, watched.",
    ),
    Metric(
        "driftline_models_refused_total",
        "counter",
        "model versions",
        (),
        "New models not taken on for want of room.",
        "A producer invents models, or judge.max_models_per_partition is too small.",
    ),
    Metric(
        "driftline_panes_total",
        "counter",
        "panes",
        (),
        "Panes closed and judged.",
    ),
    Metric(
        "driftline_signals_total",
        "counter",
        "signals",
        ("state",),
        "Signals published; state: alarm, resolved, info.",
        "`driftline tail` shows them.",
    ),
    Metric(
        "driftline_rebalances_total",
        "counter",
        "partitions",
        ("stage", "what"),
        "Partitions that came or went; what: assigned, revoked, abandoned, fenced, state_lost.",
        "Rising steadily: a worker comes and goes; raise kafka.session_timeout_ms. `abandoned`: raise"
        " runtime.revoke_deadline_s.",
    ),
    Metric(
        "driftline_state_lost_total",
        "counter",
        "times",
        ("stage",),
        "Times the store had forgotten or rolled back our state. It is rebuilt from the log.",
        "Look at the store: eviction, a restart without a file, failover.",
    ),
    Metric(
        "driftline_state_quarantined_total",
        "counter",
        "fields",
        ("stage",),
        "State fields that could not be read and were set aside.",
        "Their part starts cold; keep the bytes for a report.",
    ),
    Metric(
        "driftline_log_gaps_total",
        "counter",
        "gaps",
        ("stage",),
        "Records that were gone before they were read.",
        "Lengthen the topic's retention; see runtime.on_log_gap and judge.on_gap.",
    ),
    Metric(
        "driftline_refolded_total",
        "counter",
        "ranges",
        ("stage",),
        "Ranges folded again to rebuild state; they are not counted twice.",
    ),
    Metric(
        "driftline_fold_failures_total",
        "counter",
        "failures",
        ("stage",),
        "Batches that our own code failed on.",
        "A defect: report it with the log's `fold.failed`.",
    ),
    Metric(
        "driftline_stalls_total",
        "counter",
        "times",
        ("stage",),
        "Partitions that had records and were not fetched; the consumer was restarted.",
        "Repeatedly: look at the broker.",
    ),
    Metric(
        "driftline_alerts_total",
        "counter",
        "alerts",
        ("cause", "status"),
        "Alerts published, by cause and by what became of the incident: open, updated, resolved.",
        "`driftline tail --topics alerts` shows them.",
    ),
    Metric(
        "driftline_retraining_requests_total",
        "counter",
        "requests",
        ("rule",),
        "Retraining requests published, by the rule that decided.",
        "`driftline tail --topics retraining` shows them.",
    ),
    Metric(
        "driftline_notifications_total",
        "counter",
        "notifications",
        ("outcome",),
        "Posts to the webhook; outcome: sent, retried, refused, dropped.",
        "`refused`: mend notify.url or notify.secret. `dropped`: the webhook has been away for long.",
    ),
    Metric(
        "driftline_notifications_pending",
        "gauge",
        "notifications",
        (),
        "Alerts that wait to be posted.",
        "Above 0 for minutes: the webhook is away; see the log.",
    ),
    Metric(
        "driftline_react_active",
        "gauge",
        "",
        (),
        "1 on the instance of react that is active, 0 on those that stand by.",
        "0 everywhere: no react decides; see the log.",
    ),
    Metric(
        "driftline_last_progress_timestamp_seconds",
        "gauge",
        "seconds",
        ("stage",),
        "When the loop last went round, since the epoch.",
        "Older than runtime.watchdog_s: /healthz fails; let the worker be restarted.",
    ),
)
