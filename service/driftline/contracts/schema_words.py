"""What the schemas say of each field, in words. Generation fails for a field that is not described here."""

from __future__ import annotations

from typing import Final

TITLES: Final = {
    "prediction": "Prediction: what a model answered",
    "outcome": "Outcome: what turned out to be true",
    "lifecycle": "Lifecycle event: what happened to a model version",
    "signal": "Signal: a verdict that changed",
    "dead-letter": "Dead letter: a record that was refused",
    "bundle": "Bundle: what one range of events says to one partition of blocks",
}

_TIME: Final = (
    "Event time: RFC 3339 with a zone, or milliseconds since the epoch. Numbers that look like seconds are refused."
)
_MODEL: Final = "Name of the model. No control characters."
_VERSION: Final = "Version of the model: a string, whatever it looks like. No control characters."
_V: Final = (
    "Version of the record's form, 1 if absent. Minor versions add optional fields; unknown fields are ignored."
)

FIELDS: Final[dict[str, dict[str, str]]] = {
    "Prediction": {
        "type": "Tells predictions from outcomes.",
        "id": "Identifies the prediction within its model; its outcome carries the same id. Numbers are taken as "
        "their decimal text.",
        "model": _MODEL,
        "version": _VERSION,
        "time": "When the prediction was made. " + _TIME,
        "features": "Inputs of the model by name: numbers, strings, booleans. null and absent are counted as "
        "missing, arrays and objects as of the wrong type, numbers beyond float64 as non-finite.",
        "prediction": "What the model answered: a class (string, boolean, integer) or a number.",
        "score": "The model's confidence or probability for its answer.",
        "scores": "Score of each class, by class.",
        "segments": "Groups this event belongs to, by dimension: region, channel, ...",
        "latency_ms": "How long the model took, milliseconds.",
        "v": _V,
    },
    "Outcome": {
        "type": "Tells outcomes from predictions.",
        "id": "The id of the prediction it is the truth of.",
        "model": _MODEL,
        "time": "When the truth became known. " + _TIME,
        "outcome": "What turned out to be true, in the terms of `prediction`.",
        "version": "Version that made the prediction; needed if `prediction` is repeated.",
        "prediction": "The prediction, repeated: then the outcome needs no join.",
        "score": "The prediction's score, repeated.",
        "v": _V,
    },
    "Lifecycle": {
        "id": "Identifies the event; deliveries with the same id are one event.",
        "what": "What happened.",
        "model": _MODEL,
        "version": "Version it happened to.",
        "time": "When it happened, milliseconds since the epoch.",
        "request": "Id of the retraining request this answers.",
        "details": "Anything else worth keeping, flat.",
    },
    "Signal": {
        "id": "Function of model, version, monitor and sequence: a re-delivery carries the same id.",
        "model": "The model, or the part of the service for monitors that begin with system:.",
        "version": "Version of the model.",
        "monitor": "What is watched: <column>:<kind>, such as features.age:distribution or error:rate.",
        "sequence": "Counts the signals of this monitor from 1. A signal with a number already seen is a repeat.",
        "state": "alarm: it has moved. resolved: it is back. info: worth knowing, no alarm.",
        "severity": "How much it matters.",
        "time": "End of the pane that decided, milliseconds of event time since the epoch.",
        "sentence": "The verdict for a person.",
        "onset": "When the change began, by estimate, milliseconds of event time since the epoch.",
        "effect": "What moved and by how much.",
        "evidence": "How sure it is.",
        "distances": "Conventional distances, for display.",
        "profile": "Id of the profile that was the reference.",
        "details": "Particulars of the monitor, flat.",
    },
    "Effect": {
        "witness": "The share, mean or spread that moved.",
        "reference": "Its value in the reference.",
        "current": "Its present value.",
    },
    "Estimate": {
        "value": "The estimate.",
        "low": "Two standard errors below.",
        "high": "Two standard errors above.",
        "unit": "Unit of the three.",
    },
    "Evidence": {
        "detector": "The detector that decided.",
        "log_evidence": "Logarithm of the evidence, nats.",
        "log_threshold": "Logarithm of the threshold it had to pass, nats.",
        "n": "Events since onset.",
        "n_eff": "How many independent events these are worth.",
        "opinions": "Second opinions: detector to the event time (ms) of its last change point, null if none.",
    },
    "Distances": {
        "psi": "Population stability index.",
        "js": "Jensen-Shannon divergence, base 2.",
        "ks": "Kolmogorov-Smirnov statistic, null for categories.",
        "wasserstein_sd": "Wasserstein-1 distance in standard deviations of the reference, null for categories.",
        "n": "Events in the recent window.",
    },
    "DeadLetter": {
        "reason": "Stable token of what is wrong.",
        "detail": "A sentence for a person; names the field, never its value.",
        "origin": "Where the record was read.",
        "timestamp": "The record's timestamp, milliseconds since the epoch.",
        "size": "Bytes of the whole value.",
        "sha256": "SHA-256 of the whole value, in hex.",
        "key": "The record's key as text, cut; bytes that are no UTF-8 stand as \\xNN.",
        "payload": "The value, base64; null for a tombstone or where `truncated`.",
        "truncated": "The value is too large to be carried.",
        "headers": "The record's headers as text, cut.",
    },
    "Origin": {
        "topic": "Topic the record was read from.",
        "partition": "Its partition.",
        "offset": "Its offset.",
    },
    "Bundle": {
        "source": "Partition of the events topic that was read.",
        "sources": "Number of partitions that topic has.",
        "first": "First offset of the range.",
        "next": "Offset after the last of the range.",
        "watermark": "Milliseconds of event time; -2^63 where no event has been seen.",
        "clock": "The reader's wall clock when it read the range, milliseconds.",
        "idle": "The source has had nothing to read for a while.",
        "blocks": "What the range holds for this partition's models.",
        "tallies": "What the range did for each model.",
        "emitted": "Offsets whose pairs this bundle carries.",
        "duplicates": "Offsets found to be duplicates.",
        "records": "Records of the whole range.",
        "refused": "Records refused in the whole range, by reason.",
        "v": "Version of the bundle's form.",
    },
    "RawBlock": {
        "model": "The model.",
        "version": "Its version.",
        "stream": "predictions or pairs.",
        "times": "int64 x n, milliseconds.",
        "ids": "uint64 x n, hashes of the event ids.",
        "columns": "Columns by name.",
    },
    "RawColumn": {
        "numbers": "float64 x n, NaN where the row has no number.",
        "texts": "One string or null a row; empty if no row has a string.",
        "status": "uint8 x n status codes; empty if all are 0.",
    },
    "BinnedBlock": {
        "model": "The model.",
        "version": "Its version.",
        "stream": "predictions or pairs.",
        "grid": "Id of the grid that binned it.",
        "pane": "Start of the pane, milliseconds of event time.",
        "n": "Rows counted.",
        "layout": "How codes and counts are to be read: 0 row codes, 1 sparse counts, 2 dense counts.",
        "codes": "Codes, by layout.",
        "counts": "Counts, by layout.",
        "moments": "int64 x columns x 2, fixed-point sums.",
        "extra": "Rows with a value in columns that the grid does not know, by name.",
    },
    "ModelTally": {
        "model": "The model.",
        "version": "Its version; empty for outcomes that have met no prediction.",
        "predictions": "Predictions counted.",
        "outcomes_joined": "Outcomes that completed a pair.",
        "outcomes_waiting": "Outcomes that wait for their prediction.",
        "duplicate_predictions": "Predictions whose id had been seen.",
        "duplicate_outcomes": "Outcomes whose id had been seen.",
        "before_reference": "Of the predictions: older than the reference, so in no block.",
    },
}
