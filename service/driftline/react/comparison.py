"""Did retraining help? The error of the version that was replaced, against the mean error of its successor."""

from __future__ import annotations

import math

from driftline.contracts.reactions import Alert, Fact, content_id
from driftline.contracts.records import Severity
from driftline.react.draft import Draft
from driftline.react.state import Before
from driftline.stats.wording import number


def compare(draft: Draft, model: str, facts: dict[str, Fact]) -> None:
    """Tell it once the new version has pairs enough. `facts` by version, from the tick in hand."""
    known = draft.look(model)
    comparison = known.comparison if known else None
    if comparison is None:
        return
    after = facts.get(comparison.new)
    if after is None or after.error is None or after.n < draft.settings.compare_pairs:
        return
    before = comparison.before
    if before is None or before.column != after.column:
        old = facts.get(comparison.old or "")
        before = None
        if old is not None and old.error is not None and old.column is not None and old.column == after.column:
            low, high = bounds(old)
            before = Before(old.version, old.column, old.error, low, high)
    draft.model(model).comparison = None
    severity, sentence = verdict(model, before, after)
    id = content_id("comparison", model, comparison.new, comparison.request or "", comparison.since)
    draft.said.append(
        Alert(
            id=id,
            incident=id,
            model=model,
            version=comparison.new,
            cause="retraining",
            status="resolved",
            severity=severity,
            sentence=sentence,
            opened=comparison.since,
            time=draft.now,
            request=comparison.request,
            details={
                "column": after.column,
                "error_before": before.error if before else None,
                "version_before": before.version if before else None,
                "error_after": after.error,
                "pairs_after": after.n,
            },
        )
    )


def bounds(fact: Fact) -> tuple[float | None, float | None]:
    """Two standard errors either way; None where the error is no rate, because its spread is not known."""
    if fact.error is None or fact.column != "error" or not fact.n:
        return None, None
    half = 2.0 * math.sqrt(fact.error * (1.0 - fact.error) / fact.n)
    return max(0.0, fact.error - half), min(1.0, fact.error + half)


def verdict(model: str, before: Before | None, after: Fact) -> tuple[Severity, str]:
    """Whether it helped, said as cautiously as the error bars ask for."""
    assert after.error is not None
    now = f"{number(after.error)} over {after.n:,} pairs"
    if before is None:
        said = f"{model} {after.version} is deployed: its {after.column} is {now}."
        return "info", f"{said} Nothing is known to compare it with."
    was = f"{model} {before.version} had {number(before.error)}"
    low, high = bounds(after)
    floor = before.low if before.low is not None else before.error
    ceiling = before.high if before.high is not None else before.error
    low, high = low if low is not None else after.error, high if high is not None else after.error
    if high < floor:
        return "info", f"Retraining helped: the {after.column} of {model} {after.version} is {now}; {was}."
    if low > ceiling:
        return "error", f"Retraining made it worse: the {after.column} of {model} {after.version} is {now}; {was}."
    return "warning", (
        f"Retraining has not clearly helped: the {after.column} of {model} {after.version} is {now}; {was}."
    )
