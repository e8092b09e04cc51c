"""Row 45: without `notify.values` no category and no value leaves the house, in any sentence that `stats/` can make."""

from __future__ import annotations

import re
from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from driftline.clock import ManualClock
from driftline.react.metrics import ReactMetrics
from driftline.react.notify.hiding import Discreet, hidden, hidden_text
from driftline.react.notify.notification import Notification
from driftline.stats.block import fold_rows
from driftline.stats.change import Change
from driftline.stats.contributions import part_sentence
from driftline.stats.limit_rules import LimitRule
from driftline.stats.limits import Limits
from driftline.stats.reference import learn_section
from driftline.stats.rows import Rows
from driftline.stats.settings import DetectionSettings
from driftline.stats.stream_monitors import StreamMonitors
from driftline.stats.wording import number
from driftline.telemetry.metrics import Metrics
from driftline.telemetry.progress import Progress
from react.notify.making import EVERY_KIND, alert, told, witnessed
from stats.worlds import PANE, Cells, rows_of

CANARY: Final = "cAnArY"
CATEGORIES: Final = [f"{CANARY}-{i}" for i in range(4)]


@given(
    st.text(max_size=40),
    st.sampled_from(
        ["share of {}", "x: the share of {} went from 1.0 % to 2.0 % (±0.1) since 1 May 2024 09:00 UTC."]
    ),
)
@settings(max_examples=200, deadline=None)
def test_a_category_is_not_told_whatever_it_is_called(name: str, frame: str) -> None:
    """Mutation: match to the next quote instead of the last in `hiding._QUOTED`; half of `a" b` is told."""
    said = hidden_text(frame.format(f'"{CANARY}{name}{CANARY}"'))
    assert CANARY not in said
    assert said == frame.format("a category")


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
@settings(max_examples=300, deadline=None)
def test_a_range_is_not_told_whatever_its_numbers(a: float, b: float) -> None:
    """Mutation: no exponent in `hiding._NUMBER`; the end of 1.2e+08 is told."""
    low, high = number(a), number(b)
    for text in (
        f"values {low} to {high}",
        f"values of {low}",
        f"values from {low} on",
        f"values up to {low}",
        f"values below {low}",
        f"share of values above {low}",
        f"share of values at or below {low}",
        f"share of values at or above {low}",
        f"share of values above the old P98 ({low})",
        f"share of values at or below the old P98 ({low})",
    ):
        said = hidden_text(text)
        assert not re.search(r"\d", said.replace("P98", "")), said
        assert "inf" not in said


def test_no_limit_tells_a_segment() -> None:
    """Mutation: in `RatioLimit.change`, the names as they are."""
    rule = LimitRule(metric="positive_rate_ratio", segment="sex", at_least=0.8)
    rng = np.random.default_rng(1)
    held = [f"{CANARY} {g} {'+' if up else '-'}" for g, up in rng.integers(2, size=(6_000, 2)).tolist()]
    settings = DetectionSettings(limits=(rule,), arl0_events=10_000.0, season="none", multivariate=False)
    section = learn_section("predictions", rows_of({rule.subject: [*held]}), PANE, settings)
    limits, said = Limits(section, settings), []
    gone = rows_of({rule.subject: [cell[:-1] + ("+" if " 1 " in cell else "-") for cell in held]})
    for start, counts in sorted(fold_rows(section.grid, gone).items()):
        said += limits.update(start, start + PANE, counts)
    (change,) = said
    assert change.effect is not None
    assert CANARY in change.sentence and CANARY in change.effect.witness
    assert CANARY not in hidden_text(change.sentence) + hidden_text(change.effect.witness)


def _said(reference: Cells, present: Cells) -> list[Change]:
    """What is said of a column when the present follows upon the reference."""
    learnt = learn_section("predictions", rows_of({"x": reference}), PANE, DetectionSettings())
    monitors = StreamMonitors(learnt, DetectionSettings(), learnt.end)
    later = rows_of({"x": present})
    rows = Rows(later.times - later.times.min() + learnt.end, later.ids, later.columns)
    thresholds = np.full(len(learnt.paging), 12.0)
    found: list[Change] = []
    for start, counts in sorted(fold_rows(learnt.grid, rows).items()):
        found += monitors.update(start, counts, thresholds)
    return found


@pytest.mark.parametrize("kind", ["categories", "unseen", "numbers", "tail", "another type"])
def test_no_sentence_of_the_detectors_tells_a_value(kind: str) -> None:
    """The sentences are those that the monitors make. Mutation: leave `hidden_text` out for `Effect.witness`."""
    rng = np.random.default_rng(1)
    n = 6_000
    numbers: Cells = rng.choice(np.array([73_571.0, 73_572.0, 73_573.0, 73_574.0]), n)
    now: Cells
    match kind:
        case "categories":
            numbers, now = rng.choice(CATEGORIES, n).tolist(), [CATEGORIES[0]] * n
        case "unseen":
            numbers, now = rng.choice(CATEGORIES, n).tolist(), [f"{CANARY} new {i}" for i in range(n)]
        case "numbers":
            now = rng.choice(np.array([73_571.0, 73_574.0]), n)
        case "tail":
            now = np.full(n, 73_574.0)
        case _:
            now = [CANARY] * n
    changes = _said(numbers, now)
    assert changes
    texts = "\n".join(
        hidden_text(text)
        for change in changes
        for text in (change.sentence, *([change.effect.witness] if change.effect else []))
    )
    raw = "\n".join(change.sentence for change in changes)
    if kind in ("categories", "tail"):
        assert CANARY in raw or "7357" in raw.replace(",", "")
    assert CANARY not in texts
    assert not re.search(r"values[^.]*7357", texts.replace(",", ""))


@pytest.mark.parametrize("notification", EVERY_KIND)
def test_a_hidden_notification_is_one(notification: Notification) -> None:
    said = msgspec.json.encode(hidden(notification)).decode()
    for canary in ("NL", "20 to 35", '"20"', '"35"', "below 20"):
        assert canary not in said
    assert hidden(hidden(notification)) == hidden(notification)


def test_what_is_told_all_the_same() -> None:
    said = hidden(told()).alert
    assert said is not None
    assert said.sentence == (
        "features.amount: the mean went from 41.2 to 57.9 (±1.6) since 1 April 2024 08:00 UTC. "
        "Most of it: some values: 30.1 % to 12.4 %."
    )
    effect = said.evidence[0].effect
    assert effect is not None
    assert effect.shape is not None
    assert effect.shape.labels == [""] * 5
    assert effect.shape.current == [0.05, 0.12, 0.25, 0.33, 0.25]


def test_parts_are_hidden_wherever_they_stand() -> None:
    part = witnessed().effect
    assert part is not None
    text = part_sentence(part.parts[0])
    assert "20 to 35" not in hidden_text(f"x moved. Most of it: {text}.")


async def test_a_discreet_channel_is_not_told() -> None:
    heard: list[tuple[Notification, str | None]] = []

    class Ear:
        async def send(self, notification: Notification, receipt: str | None) -> str | None:
            heard.append((notification, receipt))
            return "r"

        async def close(self) -> None:
            heard.clear()

    channel = Discreet(Ear())
    grave = replace(alert(), sentence=f'x: the share of "{CANARY}" went up.')
    assert await channel.send(Notification(id="n", receiver="r", key="k", alert=grave), "old") == "r"
    assert CANARY not in msgspec.json.encode(heard[0][0]).decode()
    assert heard[0][1] == "old"
    await channel.close()


def test_no_log_line_has_a_category(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever `notify.values` says. Mutation: log `said.sentence` as it is in `ReactMetrics.said`."""
    clock = ManualClock(0)
    observer = ReactMetrics("react", Metrics(process=False), Progress(60, clock), clock)
    with caplog.at_level("INFO", "driftline"):
        observer.said(replace(alert(), sentence=f'country: the share of "{CANARY}" fell.'))
    (line,) = [record.__dict__["fields"] for record in caplog.records]
    assert line["sentence"] == "country: the share of a category fell."
