"""Did retraining help? The error of a deployed version against that of the one it replaced, by whole days.

Days differ by more than events do, and days that raise an alarm are worse than those after them, whatever is done
about it. So the days of the alarm prove nothing. Compared with are, whichever is there first:

* the *same days*: the former version went on answering beside the new one (canary, shadow);
* the days *since the request* and before the deployment, which no alarm has chosen;
* the days *before the deployment*, where no alarm stood behind it;
* the days *since the onset*: then "lower" is the most that is said.

The first days that suffice decide, so it does not matter when the question is asked. Whole days count, from one p99
label delay after the deployment on: what is labelled sooner is of the former version, or of the quick labels only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from driftline.contracts.reactions import Alert, Fact, content_id
from driftline.contracts.records import Severity
from driftline.react.draft import Draft
from driftline.react.holding import silenced
from driftline.react.state import Comparison
from driftline.react.subject import Subject
from driftline.stats.daily import FEW, DayMean, Days, Difference, apart, mean, together
from driftline.stats.wording import number

DAY_MS: Final = 86_400_000
BEFORE_DAYS: Final = 28
LEAST_DAYS: Final = 3
LEAST_SHARE: Final = 0.05
"""A former version with fewer pairs than this part of the new one's does not answer any more: late labels come in."""
WITHIN_DAYS: Final = 60
"""A version that has not enough days and pairs by then is not waited for any longer."""

Basis = Literal["same_days", "since_request", "before_deployment", "since_onset"]
Verdict = Literal["helped", "lower", "unclear", "worse", "unknown"]
_SEVERITY: Final[dict[Verdict, Severity]] = {
    "helped": "info",
    "lower": "info",
    "unclear": "warning",
    "worse": "error",
    "unknown": "info",
}
_ADVICE: Final[dict[Verdict, str]] = {
    "helped": "Keep {new}.",
    "lower": "Keep {new}, and watch its errors.",
    "unclear": "Investigate: another retraining of the same kind is unlikely to help {new}.",
    "worse": "Roll back to {old}.",
    "unknown": "Keep {new}, and watch its errors.",
}
_REGRESSION: Final = (
    "Days that raise an alarm are worse than those after them even when nothing is done, so this is no proof."
)


@dataclass(frozen=True, slots=True)
class Compared:
    """The two series of days, and what follows from them."""

    basis: Basis
    new: Days
    old: Days
    difference: Difference

    @property
    def verdict(self) -> Verdict:
        match self.difference.sign:
            case -1:
                return "lower" if self.basis == "since_onset" else "helped"
            case 1:
                return "worse"
        return "unclear"


def since_of(comparison: Comparison) -> int:
    """From when on the former version's days are of interest, ms."""
    known = [t for t in (comparison.onset, comparison.asked) if t is not None]
    return min([*known, comparison.since - BEFORE_DAYS * DAY_MS])


def compare(draft: Draft, model: str, facts: dict[str, Fact]) -> None:
    """Tell it once the new version has days and pairs enough. `facts` by version, from the tick in hand."""
    known = draft.look(model)
    comparison = known.comparison if known else None
    if comparison is None:
        return
    after, before = facts.get(comparison.new), facts.get(comparison.old or "")
    delay = max((f.label_delay_ms or 0 for f in (after, before) if f is not None), default=0)
    settled = -(-(comparison.since + delay) // DAY_MS) * DAY_MS
    days = _means(after, settled, draft.now - DAY_MS) if after is not None else []
    enough = _first(days, draft.settings.compare_days, draft.settings.compare_pairs)
    if after is None or enough is None:
        if draft.now >= settled + WITHIN_DAYS * DAY_MS:
            pairs = sum(d.n for d in days)
            end_waiting(draft, model, f"only {pairs:,} pairs have come in {WITHIN_DAYS} days")
        return
    draft.model(model).comparison = None
    same = before if before is not None and before.column == after.column else None
    found = _against(comparison, enough, same, settled, draft)
    _tell(draft, model, comparison, after, enough, same, found)


def end_waiting(draft: Draft, model: str, why: str) -> None:
    """Give a comparison up, and say so where there was anything to compare with."""
    comparison = draft.model(model).comparison
    draft.model(model).comparison = None
    if comparison is None or comparison.old is None:
        return
    wanted = f"{draft.settings.compare_pairs:,} pairs on {draft.settings.compare_days} whole days are wanted"
    sentence = f"Whether {model} {comparison.new} is better than {comparison.old} stays open: {why} ({wanted})."
    _say(draft, model, comparison, "unknown", sentence, draft.now, {})


def _means(fact: Fact, start: int, last: int) -> list[DayMean]:
    """The days with pairs that start from `start` to `last`, both included, ms."""
    return [DayMean(d.start, d.n, d.total / d.n) for d in fact.days if d.n and start <= d.start <= last]


def _first(days: Sequence[DayMean], least_days: int, least_pairs: int) -> list[DayMean] | None:
    """The shortest beginning that is enough."""
    for count in range(least_days, len(days) + 1):
        if sum(d.n for d in days[:count]) >= least_pairs:
            return list(days[:count])
    return None


def _against(
    comparison: Comparison, new: list[DayMean], former: Fact | None, settled: int, draft: Draft
) -> Compared | None:
    """The best that can be compared with; None where nothing is known."""
    if former is None:
        return None
    rate, pairs = former.column == "error", draft.settings.compare_pairs
    beside = {d.start: d for d in _means(former, settled, new[-1].start)}
    shared = [d for d in new if d.start in beside and beside[d.start].n >= LEAST_SHARE * d.n]
    old = [beside[d.start] for d in shared]
    if len(shared) >= FEW and min(_pairs(shared), _pairs(old)) >= pairs:
        return Compared("same_days", shared, old, together(shared, old))
    until = comparison.since - 1
    if comparison.asked is not None:
        old = _means(former, -(-comparison.asked // DAY_MS) * DAY_MS, until)
        if len(old) >= LEAST_DAYS and _pairs(old) >= pairs:
            return Compared("since_request", new, old, apart(new, old, rate=rate))
    basis: Basis = "before_deployment" if comparison.onset is None else "since_onset"
    start = since_of(comparison) if comparison.onset is None else comparison.onset // DAY_MS * DAY_MS
    old = _means(former, start, until)
    return Compared(basis, new, old, apart(new, old, rate=rate)) if old else None


def _pairs(days: Days) -> int:
    return sum(d.n for d in days)


def _tell(
    draft: Draft,
    model: str,
    comparison: Comparison,
    after: Fact,
    enough: list[DayMean],
    former: Fact | None,
    found: Compared | None,
) -> None:
    new, old = f"{model} {comparison.new}", f"{model} {comparison.old}"
    details: dict[str, str | int | float | bool | None] = {
        "column": after.column,
        "error_after": mean(enough),
        "pairs_after": _pairs(enough),
        "days_after": len(enough),
        "first_day": enough[0].start,
        "last_day": enough[-1].start,
        "error_reference": former.reference if former is not None else None,
    }
    end = enough[-1].start + DAY_MS
    if found is None:
        sentence = (
            f"{new} is deployed: its {after.column} is {_amount(after, mean(enough))} over {_span(enough)}. "
            "Nothing is known to compare it with."
        )
        _say(draft, model, comparison, "unknown", sentence, end, details)
        return
    difference, verdict = found.difference, found.verdict
    details |= {
        "basis": found.basis,
        "version_before": comparison.old,
        "error_after": difference.one,
        "error_before": difference.other,
        "pairs_after": _pairs(found.new),
        "days_after": len(found.new),
        "pairs_before": _pairs(found.old),
        "days_before": len(found.old),
        "difference": difference.value,
        "bar": difference.bar if difference.bar < float("inf") else None,
    }
    what = "Retraining" if comparison.asked is not None else f"Deploying {new}"
    opening = {
        "helped": f"{what} helped",
        "lower": f"The {after.column} of {new} is lower than in the days of the alarm, which may be chance",
        "unclear": f"{what} has not clearly helped",
        "worse": f"{what} made it worse",
        "unknown": "",
    }[verdict]
    was = _amount(after, difference.other)
    then = {
        "same_days": f"on the same days {old} had {was} over {_span(found.old)}",
        "since_request": f"{old} had {was} over {_span(found.old)} after the request",
        "before_deployment": f"{old} had {was} over {_span(found.old)} before it",
        "since_onset": f"{old} had {was} over {_span(found.old)} since the onset",
    }[found.basis]
    sentence = (
        f"{opening}: the {after.column} of {new} is {_amount(after, difference.one)} over {_span(found.new)}; {then} "
        f"(difference {_apart(after, difference)})."
    )
    if found.basis == "since_onset":
        sentence += f" {_REGRESSION}"
    if former is not None and former.reference is not None:
        sentence += f" The reference of {old} has {_amount(after, former.reference)}."
    _say(draft, model, comparison, verdict, sentence, end, details)


def _amount(fact: Fact, value: float) -> str:
    return f"{100.0 * value:.1f} %" if fact.column == "error" else number(value)


def _apart(fact: Fact, difference: Difference) -> str:
    value, bar, unit = difference.value, difference.bar, ""
    if fact.column == "error":
        value, bar, unit = 100.0 * value, 100.0 * bar, " points"
    known = f"±{number(round(bar, 1) if unit else bar)}" if bar < float("inf") else "with an unknown error bar"
    return f"{number(round(value, 1) if unit else value)} {known}{unit}"


def _span(days: Days) -> str:
    return f"{_pairs(days):,} pairs on {len(days)} day{'s' * (len(days) != 1)}"


def _say(
    draft: Draft,
    model: str,
    comparison: Comparison,
    verdict: Verdict,
    sentence: str,
    time: int,
    details: dict[str, str | int | float | bool | None],
) -> None:
    team = draft.attempt("route", lambda: draft.settings.routes.team(model), None)
    subject = Subject(model, comparison.new, "retraining", _SEVERITY[verdict], team, ())
    id = content_id("comparison", model, comparison.new, comparison.request or "", comparison.since)
    draft.said.append(
        Alert(
            id=id,
            incident=id,
            model=model,
            version=comparison.new,
            cause="retraining",
            status="resolved",
            severity=_SEVERITY[verdict],
            sentence=sentence,
            opened=comparison.since,
            time=max(time, comparison.since),
            request=comparison.request,
            team=subject.team,
            advice=_ADVICE[verdict].format(old=f"{model} {comparison.old}", new=f"{model} {comparison.new}"),
            held=draft.attempt("silence", lambda: silenced(draft, subject), None),
            details={"verdict": verdict, **details},
        )
    )
