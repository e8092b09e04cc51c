"""A message as Slack's Block Kit, within Slack's limits whatever the message: at most 50 blocks, 150 characters a
header, 3,000 a section's text, 10 fields of 2,000, 12,000 in all.

`&`, `<` and `>` are escaped everywhere: a feature named `<!channel>` pings nobody. `verbatim` keeps Slack from making
links of names. Limits count what is sent, so they hold after escaping.
"""

from __future__ import annotations

from typing import Any, Final

from driftline.contracts.records import Severity
from driftline.react.notify.message import Message
from driftline.react.notify.text import ELLIPSIS, size

HEADER: Final = 150
SECTION: Final = 2_900
SENTENCE: Final = 1_200
FIELD: Final = 300
FALLBACK: Final = 1_000
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS: Final[dict[Severity, str]] = {"critical": "🔴", "error": "🟠", "warning": "🟡", "info": "🔵"}

Payload = dict[str, Any]


def escaped(text: str, most: int) -> str:
    """Escaped, and then at most `most` UTF-16 units; never half an entity."""
    pieces = [_ESCAPES.get(ch, ch) for ch in text]
    if sum(map(size, pieces)) <= most:
        return "".join(pieces)
    kept, room = [], most - 1
    for piece in pieces:
        room -= size(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + ELLIPSIS


def payload_of(message: Message) -> Payload:
    """`text` (what notifications and screen readers show) and `blocks`."""
    title = f"{mark(message)} {message.title}"
    return {"text": escaped(f"{title}. {message.sentence}", FALLBACK), "blocks": _blocks(message, title)}


def mark(message: Message) -> str:
    if message.over:
        return "✅"
    return "👀" if message.status == "acknowledged" else _MARKS[message.severity]


def _blocks(message: Message, title: str) -> list[Payload]:
    blocks: list[Payload] = [
        {"type": "header", "text": {"type": "plain_text", "text": escaped(title, HEADER), "emoji": True}},
        _section(escaped(message.sentence, SENTENCE) or "-"),
    ]
    if message.facts:
        fields = [_mrkdwn(f"*{escaped(name, 80)}*\n{escaped(value, FIELD)}") for name, value in message.facts[:10]]
        blocks.append({"type": "section", "fields": fields})
    if message.bars is not None:
        then, now = message.bars
        subject = escaped(message.subject.replace("`", "'"), 200)  # a backtick would open the code too early
        blocks.append(_section(f"*{subject}*, then and now\n```then {then}\nnow  {now}```"))
    if message.more:
        lines = "\n".join(f"• {escaped(one, SECTION // 11 - 8)}" for one in message.more)
        blocks.append(_section(f"*{escaped(message.more_title, 80)}*\n{lines}"))
    if message.advice:
        blocks.append(_section(f"*What to do*\n{escaped(message.advice, SENTENCE)}"))
    return blocks


def _section(text: str) -> Payload:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> Payload:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
