"""Notifications for the tests of channels: an ordinary one, and as hostile ones as can be."""

from __future__ import annotations

from typing import Final, get_args

from hypothesis import strategies as st

from driftline.contracts.reactions import (
    Alert,
    AlertStatus,
    Also,
    Budget,
    Cause,
    RetrainingRequested,
    Window,
    Witnessed,
)
from driftline.contracts.records import (
    Effect,
    Estimate,
    Lifecycle,
    LifecycleWhat,
    Part,
    Severity,
    Shape,
    UnitChange,
)
from driftline.react.notify.http import Poster
from driftline.react.notify.notification import Notification
from driftline.react.notify.settings import PostSettings, networks

T0: Final = 1_711_962_000_000
"""2024-04-01 09:00 UTC."""
HOUR: Final = 3_600_000
LOCAL: Final = networks(("127.0.0.0/8",))
SENTENCE: Final = (
    "features.amount: the mean went from 41.2 to 57.9 (±1.6) since 1 April 2024 08:00 UTC. "
    "Most of it: values 20 to 35: 30.1 % to 12.4 %."
)
SHAPE: Final = Shape(
    labels=["below 20", "20", "35", "50", "above 80"],
    reference=[0.1, 0.3, 0.3, 0.2, 0.1],
    current=[0.05, 0.12, 0.25, 0.33, 0.25],
)
EFFECT: Final = Effect(
    witness="mean",
    reference=41.2,
    current=Estimate(value=57.9, low=56.3, high=59.5, unit="value"),
    parts=[
        Part(
            what="values 20 to 35",
            reference=0.301,
            current=Estimate(value=0.124, low=0.1, high=0.15, unit="share"),
        )
    ],
    shape=SHAPE,
)


def poster(timeout_s: float = 5.0) -> Poster:
    return Poster(PostSettings(timeout_s, LOCAL))


def witnessed(monitor: str = "features.amount:distribution", sentence: str = SENTENCE) -> Witnessed:
    return Witnessed(
        monitor=monitor,
        signal="s-1",
        severity="warning",
        sentence=sentence,
        time=T0,
        onset=T0 - HOUR,
        effect=EFFECT,
        log_evidence=31.2,
        n=1_800,
    )


def alert(
    status: AlertStatus = "open", severity: Severity = "critical", *, id: str = "a-1", incident: str = "i-1"
) -> Alert:
    over = status == "resolved"
    return Alert(
        id=id,
        incident=incident,
        model="fraud",
        version="7",
        cause="data",
        status=status,
        severity=severity,
        sentence="features.amount: the mean is back: 41.3 (±0.9)." if over else SENTENCE,
        opened=T0,
        time=T0 + HOUR,
        monitors=[] if over else ["features.amount:distribution", "features.country:distribution"],
        count=0 if over else 2,
        onset=None if over else T0 - HOUR,
        evidence=[]
        if over
        else [witnessed(), witnessed("features.country:distribution", 'country: the share of "NL" fell.')],
        team="payments",
        advice="Look at what fills features.amount first.",
    )


def told(
    status: AlertStatus = "open", severity: Severity = "critical", *, id: str = "n-1", key: str = "i-1"
) -> Notification:
    return Notification(id=id, receiver="team", key=key, alert=alert(status, severity))


def request() -> RetrainingRequested:
    return RetrainingRequested(
        id="r-1",
        model="fraud",
        version="7",
        time=T0,
        expires=T0 + 168 * HOUR,
        decision="retrain",
        rule="error_alarm",
        reason=SENTENCE,
        window=Window(start=T0 - HOUR, to=T0, why="all that is since the change"),
        strategy="full",
        priority="high",
        evidence=[witnessed()],
        budget=Budget(used=1, limit=10, days=30),
    )


def verdict(severity: Severity = "error") -> Notification:
    """What has become of a deployment, as `react/comparison.py` says it."""
    said = Alert(
        id="c-1",
        incident="c-1",
        model="fraud",
        version="8",
        cause="retraining",
        status="resolved",
        severity=severity,
        sentence="Retraining made it worse: the error of fraud 8 is 24.4 % over 5,999 pairs on 7 days.",
        opened=T0,
        time=T0 + 168 * HOUR,
        request="r-1",
        advice="Roll back to fraud 7.",
        details={"verdict": "worse"},
    )
    return Notification(id="n-6", receiver="team", key="c-1", alert=said)


def event(what: LifecycleWhat = "deployed") -> Lifecycle:
    return Lifecycle(id="l-1", what=what, model="fraud", version="8", time=T0, details={"by": "ci"})


EVERY_KIND: Final = [
    told(),
    told("resolved"),
    Notification(id="n-2", receiver="team", key="r-1", request=request()),
    Notification(id="n-3", receiver="team", key="l-1", event=event()),
    Notification(id="n-4", receiver="team", key="d-1", digest=[alert(), alert("resolved", "error", id="a-2")]),
    Notification(id="n-5", receiver="team", key="t-1", test=True),
    verdict(),
]

NASTY: Final = [
    "<!channel>",
    "<!here|all>",
    "<@U0123>",
    "@everyone",
    "<https://evil.example|log in>",
    "</script><script>alert(1)</script>",
    "&lt;&amp;",
    "&" * 4_000,
    "<" * 70,
    "x" * 20_000,
    "\u202egnp.exe",
    "a\u0300" + "\u0301" * 500,
    "\x00\x1b[31m\r\n\n\n\t",
    "\ud800",
    "😀" * 3_000,
    "```",
    "*_~`",
    "$\\frac{1}{0}$",
    "${jndi:ldap://x}",
    "",
    " ",
]
_LONG: Final = st.text(min_size=1, max_size=6).map(lambda text: 150 * text)
TEXT: Final = st.one_of(st.sampled_from(NASTY), st.text(max_size=12), _LONG)
_TIME: Final = st.one_of(st.integers(0, 253_402_300_799_000), st.sampled_from([-(2**62), 2**62, T0]))
_FLOAT: Final = st.floats(allow_nan=True, allow_infinity=True)
_SHARE: Final = st.floats(0.0, 1.0)
_SEVERITY: Final = st.sampled_from(get_args(Severity))

ESTIMATES: Final = st.builds(
    Estimate, value=_FLOAT, low=_FLOAT, high=_FLOAT, unit=st.sampled_from(["share", "value"])
)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    labels = draw(st.lists(TEXT, max_size=5))
    shares = st.lists(_SHARE, min_size=len(labels), max_size=len(labels))
    return Shape(labels=labels, reference=draw(shares), current=draw(shares))


EFFECTS: Final = st.builds(
    Effect,
    witness=TEXT,
    reference=_FLOAT,
    current=ESTIMATES,
    parts=st.lists(st.builds(Part, what=TEXT, reference=_SHARE, current=ESTIMATES), max_size=3),
    unit_change=st.none() | st.builds(UnitChange, scale=_FLOAT, offset=_FLOAT),
    shape=st.none() | shapes(),
)
WITNESSES: Final = st.builds(
    Witnessed,
    monitor=TEXT,
    signal=st.just("s"),
    severity=_SEVERITY,
    sentence=TEXT,
    time=st.none() | _TIME,
    onset=st.none() | _TIME,
    effect=st.none() | EFFECTS,
    log_evidence=st.none() | _FLOAT,
    n=st.none() | st.integers(0, 2**62),
)
ALERTS: Final = st.builds(
    Alert,
    id=st.just("a"),
    incident=st.just("i"),
    model=TEXT,
    version=TEXT,
    cause=st.sampled_from(get_args(Cause)),
    status=st.sampled_from(get_args(AlertStatus)),
    severity=_SEVERITY,
    sentence=TEXT,
    opened=_TIME,
    time=_TIME,
    monitors=st.lists(TEXT, max_size=6),
    count=st.integers(0, 5_000),
    onset=st.none() | _TIME,
    evidence=st.lists(WITNESSES, max_size=3),
    request=st.none() | TEXT,
    team=st.none() | TEXT,
    advice=TEXT,
    upstream=st.none() | TEXT,
    also=st.lists(st.builds(Also, incident=st.just("j"), model=TEXT, version=TEXT, sentence=TEXT), max_size=3),
    models=st.integers(0, 5_000),
    by=st.none() | TEXT,
    note=st.none() | TEXT,
)
EVENTS: Final = st.builds(
    Lifecycle,
    id=st.just("l"),
    what=st.sampled_from(get_args(LifecycleWhat)),
    model=TEXT,
    version=TEXT,
    time=_TIME,
    request=st.none() | TEXT,
    details=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | _FLOAT | TEXT, max_size=12),
)


def _notification(**what: object) -> Notification:
    return Notification(id="n", receiver="r", key="k", **what)  # type: ignore[arg-type]


HOSTILE: Final = st.one_of(
    ALERTS.map(lambda one: _notification(alert=one)),
    st.lists(ALERTS, min_size=1, max_size=3).map(lambda many: _notification(digest=many)),
    EVENTS.map(lambda one: _notification(event=one)),
)
