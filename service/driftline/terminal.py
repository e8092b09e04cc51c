"""What a terminal may be shown: names in records are chosen by others."""

from __future__ import annotations


def printable(text: str, *, lines: bool = False) -> str:
    """`text` without what could steer a terminal; its line ends stay with `lines`."""
    return "".join(c if c.isprintable() or (lines and c == "\n") else "\N{REPLACEMENT CHARACTER}" for c in text)
