"""Makes the generated pages: `python -m driftline.docs` writes them, `--check` fails if they are not current."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from driftline.config import describe as configuration
from driftline.telemetry import describe as telemetry

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/configuration.md": configuration.reference,
    "docs/metrics.md": telemetry.reference,
}


def stale(root: Path) -> list[str]:
    """The pages under `root` that are missing or differ from what the code says."""
    return [
        name
        for name, make in PAGES.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != make()
    ]


def write(root: Path) -> list[str]:
    """Bring every page up to date; the names of those that were not."""
    names = stale(root)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(PAGES[name](), encoding="utf-8")
    return names


def main(arguments: list[str]) -> int:
    root = Path.cwd()
    if arguments not in ([], ["--check"]) or not (root / "pyproject.toml").is_file():
        print("usage, from the repository's root: python -m driftline.docs [--check]", file=sys.stderr)
        return 2
    if not arguments:
        for name in write(root):
            print(f"written: {name}")
        return 0
    for name in (names := stale(root)):
        print(f"not current: {name}; run `python -m driftline.docs`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
