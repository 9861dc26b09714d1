"""Interlocks: what devices may never be at the same time, whoever commands it.

Declared in `interlocks.toml` in the city folder:

    [[interlock]]
    name = "gate against pump"
    why = "the pump would draw from the river"
    never = [{device = "gate-3", above = "0.1 m"}, {device = "pump-7", is = 1}]

    [[interlock]]                                  # for each junction: no two signal heads green
    name = "opposing greens"
    each = "junction"
    never = [{kind = "signal_stage", is = 1}, {kind = "signal_stage", is = 2}]

What is not known is taken to be the worst: a device that was never heard, or has not answered yet, may be at anything.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from citytwin import units
from citytwin.city import City
from citytwin.columns import Columns
from citytwin.errors import InputError, MissingError, nearest

FILE = "interlocks.toml"

Possible = frozenset[float] | None
"""The values that a device may be at; None: nobody knows, it may be at any."""


class Clause(BaseModel):
    """One device (or any of a kind) at a value, above or below one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    device: str = ""
    kind: str = ""
    is_: float | None = Field(None, alias="is")
    above: float | str | None = None
    below: float | str | None = None


class Rule(BaseModel):
    """What may never be, all clauses at once; `each` names the table of things that group devices of the named kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    why: str = ""
    each: str = ""
    never: tuple[Clause, ...] = Field(min_length=1, max_length=6)


class Written(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    interlock: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Test:
    """A clause ready to be asked: rows of the devices that it speaks of, and the values that meet it."""

    rows: frozenset[int]
    low: float
    high: float
    strict: bool

    def meets(self, value: float) -> bool:
        """Whether a device at `value` meets the clause."""
        return self.low < value < self.high if self.strict else self.low <= value <= self.high

    def may_meet(self, possible: Possible) -> bool:
        """Whether a device that may be at any of `possible` may meet it."""
        return possible is None or any(self.meets(v) for v in possible)


@dataclass(frozen=True)
class Group:
    """A rule for certain devices."""

    rule: Rule
    tests: tuple[Test, ...]


class Interlocks:
    """The interlocks of a city. Raises InputError with the place in the file."""

    def __init__(self, rules: Iterable[Rule], city: City, columns: Columns, where: str = FILE) -> None:
        self.rules = tuple(rules)
        self._of: dict[int, list[Group]] = {}
        for number, rule in enumerate(self.rules, 1):
            for group in _groups(rule, city, columns, f'{where}: interlock {number} "{rule.name}"'):
                for row in frozenset().union(*(t.rows for t in group.tests)):
                    self._of.setdefault(row, []).append(group)

    @classmethod
    def read(cls, folder: Path, city: City, columns: Columns) -> Interlocks:
        """Those of the file in a city folder; none where there is none."""
        path = folder / FILE
        if not path.exists():
            return cls((), city, columns)
        try:
            return cls(
                Written.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).interlock, city, columns, str(path)
            )
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"not TOML: {error}", str(path)) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(p) for p in first["loc"])
            raise InputError(f"{first['msg']} at {place}", str(path), "see the how-to: steer devices") from error

    def broken(self, row: int, value: float, possible: Callable[[int], Possible]) -> list[tuple[Rule, list[int]]]:
        """Rules that device `row` at `value` breaks or may break, each with the rows of the other devices that take part."""
        found = []
        for group in self._of.get(row, ()):
            for place, test in enumerate(group.tests):
                if row in test.rows and test.meets(value):
                    others = _others(group.tests[:place] + group.tests[place + 1 :], row, possible)
                    if others is not None:
                        found.append((group.rule, others))
                        break
        return found


def _others(tests: tuple[Test, ...], row: int, possible: Callable[[int], Possible]) -> list[int] | None:
    """Distinct devices, none of them `row`, that may meet the other clauses at once; None: there are none."""
    able = [[r for r in sorted(t.rows) if r != row and t.may_meet(possible(r))] for t in tests]
    for chosen in itertools.product(*able):
        if len(set(chosen)) == len(chosen):
            return list(chosen)
    return None


def _groups(rule: Rule, city: City, columns: Columns, where: str) -> Iterator[Group]:
    for clause in rule.never:
        if bool(clause.device) == bool(clause.kind):
            raise InputError("a clause names a device or a kind, one of them", where)
        if clause.kind and not rule.each:
            raise InputError("a clause with a kind needs `each`, the table of what groups the devices", where)
    if not rule.each:
        yield Group(rule, tuple(_test(c, frozenset([_row(city, c.device, where)]), city, columns, where) for c in rule.never))
        return
    if rule.each not in city:
        raise InputError(f'no table "{rule.each}"', where, nearest(rule.each, city.tables))
    for rows in _together(city, rule.each).values():
        kinds = city.table("device")["kind"].to_numpy()
        chosen = [frozenset(r for r in rows if kinds[r] == c.kind) for c in rule.never]
        if all(chosen) and len(frozenset().union(*chosen)) >= len(rule.never):
            yield Group(rule, tuple(_test(c, r, city, columns, where) for c, r in zip(rule.never, chosen, strict=True)))
    for clause in rule.never:
        columns.kind(clause.kind)


def _together(city: City, table: str) -> dict[str, list[int]]:
    """Rows of devices by the key of the thing in `table` that they observe."""
    r = city.relations
    chosen = r[(r["kind"] == "observes") & (r["from_table"] == "device") & (r["to_table"] == table)]
    found: dict[str, list[int]] = {}
    for row, key in zip(city.rows("device", chosen["from_key"].tolist()).tolist(), chosen["to_key"].tolist(), strict=True):
        found.setdefault(str(key), []).append(int(row))
    return found


def _row(city: City, key: str, where: str) -> int:
    try:
        return int(city.row("device", key))
    except MissingError as error:
        raise InputError(error.message, where, error.hint) from error


def _test(clause: Clause, rows: frozenset[int], city: City, columns: Columns, where: str) -> Test:
    kind = columns.kind(str(city.table("device")["kind"].iloc[next(iter(rows))]))
    given = {n: v for n, v in (("is", clause.is_), ("above", clause.above), ("below", clause.below)) if v is not None}
    if not given or ("is" in given and len(given) > 1):
        raise InputError("a clause says `is`, or `above` and/or `below`", where)

    def number(value: Any) -> float:
        try:
            return units.to(value, kind.column.unit) if isinstance(value, str) else float(value)
        except InputError as error:
            raise InputError(str(error), where) from error

    if "is" in given:
        return Test(rows, number(given["is"]), number(given["is"]), strict=False)
    low = number(given["above"]) if "above" in given else -np.inf
    high = number(given["below"]) if "below" in given else np.inf
    return Test(rows, low, high, strict=True)
