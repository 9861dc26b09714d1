"""YAML as people write it: what cannot be read is told with its line, what is short to write and long to read is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from citytwin.errors import InputError

DEEPEST = 50  # brackets within brackets; PyYAML takes seconds for thousands
MOST_ALIASES = 64


def parse_yaml(text: str, where: str = "") -> Any:
    """The document in `text`; `where` it stands, for errors that belong to no line. Raises InputError."""
    try:
        _refuse_traps(text, where)
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else where
        raise InputError(f"not YAML: {getattr(error, 'problem', None) or error}", line) from error
    except (RecursionError, ValueError) as error:
        raise InputError("not YAML that can be followed", where, "nested too deeply, or with a date that is none") from error


def read_yaml(path: Path, what: str) -> Any:
    """The document in the file at `path`; `what` it is, for people. Raises InputError."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {what}: {getattr(error, 'strerror', None) or error}", str(path)) from error
    except InputError as error:
        raise at_path(error, path) from error


def at_path(error: InputError, path: Path) -> InputError:
    """The same error, placed in the file at `path`."""
    return InputError(error.message, f"{path}: {error.where}" if error.where else str(path), error.hint)


def _refuse_traps(text: str, where: str) -> None:
    depth = max(itertools.accumulate((c in "[{") - (c in "]}") for c in text if c in "[]{}"), default=0)
    if depth > DEEPEST:
        raise InputError("the document is nested too deeply", where, f"at most {DEEPEST} brackets within brackets")
    if text.count("*") <= MOST_ALIASES:
        return
    aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))
    if aliases > MOST_ALIASES:
        raise InputError(f"{aliases} YAML aliases are too many", where, f"at most {MOST_ALIASES}")
