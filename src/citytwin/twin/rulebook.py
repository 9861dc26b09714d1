"""The rules of a city folder: `rules.toml`, edited by people and over HTTP, and the rules that every twin has about itself.

An edit keeps comments and order of the file (tomlkit) and replaces it whole or not at all. A rule that cannot be read or put
to work is left out with its problem; the others work.
"""

from __future__ import annotations

import os
import threading
from importlib import resources
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from citytwin.errors import ConflictError, InputError, MissingError, OutsideError, TwinError, nearest
from citytwin.incidents.rules import Rule, rule_of
from citytwin.incidents.rules.document import check_name

FILE = "rules.toml"


class Rulebook:
    """`rules`: all that can be read, by name. `problems`: by name, what is wrong with the others ("" is the file itself)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.own = tomlkit.parse(resources.files("citytwin.twin").joinpath("own_rules.toml").read_text("utf-8")).unwrap()[
            "rule"
        ]
        self.said: dict[str, dict[str, Any]] = {}
        self.rules: dict[str, Rule] = {}
        self.problems: dict[str, TwinError] = {}
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self.read()

    def read(self) -> None:
        """Read the file anew."""
        self._seen = self._stamp()
        self.problems, self.rules = {}, {}
        try:
            document = self._document()
            said = document.unwrap()
            extra = next(iter(set(said) - {"rule"}), None)
            if extra is not None or not isinstance(said.get("rule", {}), dict):
                raise InputError(f'no entry "{extra or "rule"}"', str(self.path), "every rule is a table [rule.NAME]")
        except TwinError as error:
            self.problems[""] = error
            said = {}
        self.said = {**self.own, **said.get("rule", {})}
        for name, each in self.said.items():
            try:
                self.rules[check_name(name, FILE)] = rule_of(each, f"{FILE}: rule.{name}")
            except TwinError as error:
                self.problems[name] = error

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    @property
    def changed(self) -> bool:
        """Whether somebody has written the file since it was read."""
        return self._stamp() != self._seen

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self.path.read_text(encoding="utf-8")) if self.path.is_file() else tomlkit.document()
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise InputError(f"is not TOML: {' '.join(str(error).split())}", str(self.path)) from error

    def put(self, name: str, said: dict[str, Any], new: bool) -> Rule:
        """Write a rule. Raises InputError, ConflictError (a `new` one that is there), MissingError (an old one that is not)."""
        rule = rule_of(said, f"rule.{check_name(name)}")
        with self._lock:
            if new and name in self.said:
                raise ConflictError(f'there is a rule "{name}"', hint="change it, or take another name")
            if not new and name not in self.said:
                raise MissingError(f'no rule "{name}"', hint=nearest(name, self.said))
            document = self._document()
            rules = document.setdefault("rule", tomlkit.table(is_super_table=True))
            rules[name] = _table(said)
            self._write(document)
        return rule

    def remove(self, name: str) -> None:
        """Take a rule out of the file. Raises MissingError; ConflictError for a rule of every twin, which can be disabled."""
        with self._lock:
            document = self._document()
            if name not in document.get("rule", {}):
                if name in self.own:
                    raise ConflictError(f'"{name}" is a rule of every twin', hint="put it with enabled = false instead")
                raise MissingError(f'no rule "{name}"', hint=nearest(name, self.said))
            document["rule"].remove(name)  # type: ignore[union-attr]
            self._write(document)

    def _write(self, document: tomlkit.TOMLDocument) -> None:
        partial = self.path.with_suffix(".toml.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(tomlkit.dumps(document))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutsideError(f"cannot be written: {error.strerror}", str(self.path)) from error
        self.read()


def _table(said: dict[str, Any]) -> tomlkit.items.Table:
    """A rule as a table; what is nested stands in braces, so that a rule stays one block."""
    table = tomlkit.table()
    for name, value in said.items():
        if value is not None:
            table[name] = _inline(value)
    return table


def _inline(value: Any) -> Any:
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update({k: _inline(v) for k, v in value.items() if v is not None})
        return inline
    if isinstance(value, (list, tuple)):
        array = tomlkit.array()
        array.extend(_inline(v) for v in value)
        return array
    return value
