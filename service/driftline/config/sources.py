"""Where settings are given: one YAML file, and the environment. What is read is plain data with its origin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Final

import yaml

from driftline.config.hints import hint_of_variable, of_section
from driftline.config.model import Path
from driftline.config.tree import ENV_PREFIX, ENV_SEPARATOR, env_name, sections, settings
from driftline.errors import Misconfigured

MAX_FILE_BYTES: Final = 1_048_576
MAX_NODES: Final = 10_000
MAX_DEPTH: Final = 20
QUOTE: Final = "Put text that begins with a special character into quotes."
_QUOTED: Final = re.compile(r"'[^']{2,}'")
"""What YAML's own messages repeat of the text: an unquoted password that begins with * or ! looks like syntax."""


@dataclass
class Given:
    """Nested data, the origin of each path in it, and what is wrong already."""

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def put(self, path: Path, value: Any, origin: str) -> None:
        """Set one path, over whatever was there. A value where a section should be gives way."""
        here = self.data
        for name in path[:-1]:
            below = here.get(name)
            if not isinstance(below, dict):
                below = here[name] = {}
            here = below
        here[path[-1]] = value
        self.origins[path] = origin


def read_file(file: File) -> Given:
    """The YAML file. Misconfigured if it cannot be read or is not YAML; nothing of its text is repeated."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{file}: cannot be read ({error.strerror}). Name another file with --config."
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise Misconfigured(f"{file}: larger than {MAX_FILE_BYTES} bytes; this is no configuration")
    given = Given()
    try:
        loader = yaml.SafeLoader(raw.decode("utf-8-sig"))
        node = loader.get_single_node()
        if node is None:
            return given
        _note(given, node, (), file.name)
        data = loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{file}: not UTF-8 at byte {error.start}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise Misconfigured(f"{file}{where}: not YAML: {_QUOTED.sub('it', error.problem or '')}. {QUOTE}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Misconfigured(f"{file}: not YAML ({type(error).__name__})") from None
    if not isinstance(data, dict):
        raise Misconfigured(f"{file}: the file must be a mapping of sections, such as `kafka:`")
    given.data = _without_empty_sections(data, ())
    return given


def _note(given: Given, node: yaml.Node, path: Path, name: str) -> None:
    """Lines of keys, and keys given twice (of which YAML would silently take the last)."""
    if len(path) > MAX_DEPTH or len(given.origins) > MAX_NODES:
        raise yaml.YAMLError("nested too deep or too large")
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        text = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        line = f"{name}:{key.start_mark.line + 1}"
        here = (*path, text)
        if text in seen:
            given.problems.append(f"{'.'.join(here)[:100]} ({line}): given twice; keep one of the two")
        seen.add(text)
        given.origins[here] = line
        _note(given, value, here, name)


def _without_empty_sections(data: dict[Any, Any], path: Path) -> dict[str, Any]:
    """A section of which everything is commented out is a null in YAML: the same as left out."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        here = (*path, str(key))
        if isinstance(value, dict):
            out[str(key)] = _without_empty_sections(value, here)
        elif value is not None or here not in sections():
            out[str(key)] = value
    return out


def add_environment(given: Given, environ: Mapping[str, str]) -> None:
    """`DRIFTLINE_SECTION__KEY=value` over what the file says; empty values count as not given. A section has no
    variable: its settings have.

    Names without a double underscore are left alone, because Kubernetes sets such for every Service
    (`DRIFTLINE_PORT`), unless they are a section's name, or a setting's with a single one by mistake.
    """
    single = {"_".join(path).upper(): path for path in (*settings(), *sections())}
    for name, value in sorted(environ.items()):
        if not name.upper().startswith(ENV_PREFIX) or not value:
            continue
        rest = name[len(ENV_PREFIX) :]
        path = tuple(rest.lower().split(ENV_SEPARATOR))
        meant = single.get(rest.upper(), path)
        if path in settings():
            given.put(path, value, name)
        elif meant in sections():
            given.problems.append(f"{name}: {of_section(meant)}")
        elif meant in settings():
            given.problems.append(f"{name}: between section and key stand two underscores: {env_name(meant)}")
        elif len(path) > 1:
            given.problems.append(f"{name[:100]}: there is no such setting; {hint_of_variable(path)}")
