"""Other people's words in front of people: printable, in one line, cut to what a receiver takes.

Names of models, features and categories come from whoever writes events. Control, format and bidirectional
characters are dropped (they can hide or turn round what follows), white space is one space. Lengths are counted in
UTF-16 units, as most receivers count them: never less than the characters.
"""

from __future__ import annotations

import unicodedata
from typing import Final

ELLIPSIS: Final = "…"
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})
_MOST_MARKS: Final = 2
"""Combining marks on one character: more are drawn over the lines above and below."""


def clean(text: str) -> str:
    """One line of printable characters."""
    kept: list[str] = []
    marks = 0
    for ch in text:
        category = unicodedata.category(ch)
        if ch.isspace() or category in ("Zl", "Zp"):
            kept.append(" ")
        elif category not in _DROPPED:
            marks = marks + 1 if category in _MARKS else 0
            if marks <= _MOST_MARKS:
                kept.append(ch)
    return " ".join("".join(kept).split())


def size(text: str) -> int:
    """UTF-16 units."""
    return len(text) + sum(ch > "\uffff" for ch in text)


def cut(text: str, most: int) -> str:
    """`text` in at most `most` units, with an ellipsis where something is missing."""
    if size(text) <= most:
        return text
    kept, room = [], most - 1
    for ch in text:
        room -= 2 if ch > "\uffff" else 1
        if room < 0:
            break
        kept.append(ch)
    return "".join(kept).rstrip() + ELLIPSIS


def line(text: str, most: int) -> str:
    """`clean`, then `cut`. Looks at no more of a very long text than can be shown."""
    return cut(clean(text[: 8 * most]) + (" " if len(text) > 8 * most else ""), most)
