"""The image's lock: hashes for everything, and what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
EXTRAS: Final = ("apprise", "pictures")
"""What the image has beside the core: `make lock` names them too."""
PYTHON: Final = {"python_version": "3.11", "python_full_version": "3.11.13", "sys_platform": "linux"}


def locked(file: str) -> dict[str, list[tuple[str, str, int]]]:
    """By name: version, marker, number of hashes."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / file).read_text()):
        pin = re.match(r"([A-Za-z0-9._-]+)(?:\[.+?\])?==(\S+)(?: ; ([^\\]+))?", block)
        if pin:
            name = canonicalize_name(pin[1])
            found.setdefault(name, []).append((pin[2], (pin[3] or "").strip(), block.count("--hash=sha256:")))
    return found


@pytest.mark.parametrize("file", ["deploy/requirements.lock", "deploy/build.lock"])
def test_everything_has_its_hashes(file: str) -> None:
    pins = locked(file)
    assert pins
    assert [name for name, versions in pins.items() for _, _, hashes in versions if not hashes] == []
    assert "://" not in re.sub(r"#.*", "", (ROOT / file).read_text()), "from the index, not from an address"


def test_the_lock_satisfies_the_project() -> None:
    """Mutation: raise a lower bound in pyproject.toml beyond the lock; it is named here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(one for extra in EXTRAS for one in project["optional-dependencies"][extra]),
    ]
    pins = locked("deploy/requirements.lock")
    unmet = []
    for text in asked:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate(PYTHON):
            continue
        versions = [
            version
            for version, marker, _ in pins.get(canonicalize_name(requirement.name), [])
            if not marker or Requirement(f"x; {marker}").marker.evaluate(PYTHON)  # type: ignore[union-attr]
        ]
        if len(versions) != 1 or versions[0] not in requirement.specifier:
            unmet.append(f"{text}: locked {versions}")
    assert unmet == [], "run `make lock`"


def test_the_makefile_locks_what_is_checked_here() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for extra in EXTRAS:
        assert f"--extra {extra}" in makefile
    dependencies = (ROOT / "deploy/requirements.lock").read_text()
    assert "hatchling" not in locked("deploy/requirements.lock")
    assert dependencies.count("==") < 120
