"""From a declared rule to conditions on arrays: things chosen, columns found, quantities turned into the columns' units."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin import units
from citytwin.city import City
from citytwin.city.graph import Graph
from citytwin.city.query import Query
from citytwin.columns import Column, Columns
from citytwin.errors import InputError, MissingError, nearest
from citytwin.incidents.rules import truth
from citytwin.incidents.rules.conditions import (
    EVERYWHERE,
    At,
    Change,
    Condition,
    Equals,
    Groups,
    Read,
    Rows,
    Several,
    Silent,
    Status,
    Threshold,
    Values,
)  # fmt: skip
from citytwin.incidents.rules.document import Rule, When, duration, silence
from citytwin.state import STATUS

OWN = "twin"  # the table of the twin itself: one row


class View(Protocol):
    """What rules look at: the live twin, or a past one that is played again."""

    city: City
    columns: Columns
    began: float  # when it began to hear, s since 1970

    def values(self, table: str, column: str) -> Values:
        """A column's values, one for each row of `table`."""

    def heard(self) -> Values:
        """When each device was last heard, s since 1970 (-inf: never)."""

    def status(self) -> npt.NDArray[np.uint8]:
        """The status code of each device."""

    def forecast(self, table: str, column: str, within: float | None, run: str, high: bool) -> Values | None:
        """The highest (lowest) value of `column` for each row of `table` in the newest run whose name is like `run`.

        within: only so many seconds from its start; None: over all of it. None where there is no such run or column.
        """


@dataclass
class Selection:
    """The things of a rule: `rows` of `table` with their `keys`; in groups where `groups` is given, `group_keys` are theirs."""

    table: str
    rows: Rows
    keys: list[str]
    groups: Groups | None = None
    group_keys: list[tuple[str, str]] = field(default_factory=list)
    gathered: dict[tuple[str, int], Values] | None = None  # while the engine looks: columns at rows, shared by rules

    @property
    def grouped(self) -> bool:
        """Whether the rule looks at groups."""
        return self.groups is not None

    @property
    def size(self) -> int:
        """Number of things, or groups, that alerts may be about."""
        return self.groups.number if self.groups else len(self.rows)

    def subject(self, position: int) -> tuple[str, str]:
        """Table and key of one subject."""
        return self.group_keys[position] if self.groups is not None else (self.table, self.keys[position])


def selected(view: View, rule: Rule, known: dict[str, Selection]) -> Selection:
    """The things of a rule; the same object where another rule has asked the same."""
    name = f"{rule.on.model_dump_json()} {rule.per}"
    if name not in known:
        known[name] = _selected(view, rule)
    return known[name]


def _selected(view: View, rule: Rule) -> Selection:
    query = rule.on
    if query.table == OWN:
        if query.model_fields_set != {"table"} or rule.per != "thing":
            raise InputError("there is one twin", "on", 'give on = {table = "twin"}')
        return Selection(OWN, np.zeros(1, dtype=np.int64), [OWN])
    for each in _queries(query):
        if any(condition.column is not None for condition in each.where):
            raise InputError(
                "the things of a rule are chosen once, by what does not change", "on.where", "put the column into when"
            )
    rows = Graph.of(view.city).rows(query)
    if rule.per == "thing":
        return Selection(query.table, rows, view.city.table(query.table)["key"].astype(str).iloc[rows].tolist())
    if rule.per == "city":
        whole = Groups(np.zeros(len(rows), dtype=np.int64), 1)
        return Selection(query.table, rows, [], whole, [("city", view.city.name)])
    return _by_property(view, query.table, rows, rule.per)


def _queries(query: Query) -> list[Query]:
    return [query, *(inner for each in query.inner for inner in _queries(each))]


def _by_property(view: View, table: str, rows: Rows, name: str) -> Selection:
    frame = view.city.table(table)
    properties = [p for p, numeric in Graph.of(view.city).properties(table).items() if not numeric]
    if name not in properties:
        raise MissingError(
            f'things of table {table} cannot be grouped by "{name}"', "per", nearest(name, ["thing", "city", *properties])
        )
    text = frame[name].iloc[rows].astype(object)
    code, groups = pd.factorize(text.where(text.notna() & (text != ""), None).to_numpy(dtype=object))
    kept = code >= 0
    return Selection(table, rows[kept], [], Groups(code[kept].astype(np.int64), len(groups)), [(name, str(g)) for g in groups])


def compiled(view: View, rule: Rule, when: When, selection: Selection) -> Condition:
    """The condition `when` of a rule, ready to look at its things (or groups). Raises InputError, MissingError."""
    return _Compiler(view, rule, selection).condition(when, selection.groups)


class _Compiler:
    def __init__(self, view: View, rule: Rule, selection: Selection) -> None:
        self.view, self.rule, self.selection = view, rule, selection

    def condition(self, when: When, groups: Groups | None) -> Condition:
        make = getattr(self, f"_{when.shape}")
        made: Condition = make(when, groups)
        return made

    # -- columns ---------------------------------------------------------------------------------------------------

    def _column(self, when: When) -> Column:
        name, table = str(when.column), self.selection.table
        if name not in self.view.columns:
            own = [c.name for c in self.view.columns if c.table in (table, "cell")]
            raise MissingError(f'no column "{name}"', "when", nearest(name, own))
        column = self.view.columns[name]
        if column.table not in (table, "cell") or (column.table == "cell" and table == OWN):
            raise InputError(f'column "{name}" is on table {column.table}, not on {table}', "when")
        kinds = [k.name for k in self.view.columns.kinds.values() if k.column.name == name]
        if table == "device" and kinds and len(self.selection.rows):
            frame = self.view.city.table("device")
            if not frame["kind"].iloc[self.selection.rows].isin(kinds).any():
                raise InputError(f'none of these devices measures "{name}"', "on", f'give kind = "{kinds[0]}"')
        return column

    def _live(self, column: Column, groups: Groups | None) -> Read:
        return self._read(partial(self.view.values, self.selection.table, column.name), groups, column.name)

    def _read(self, values: Any, groups: Groups | None, name: str = "") -> Read:
        rows, take, selection = self.selection.rows, self.rule.take, self.selection

        def of_things(at: At) -> Values:
            known, place = selection.gathered, (name, id(at))
            if known is None or not name:
                found: Values = values()[rows[at]]
                return found
            if place not in known:
                known[place] = values()[rows[at]]
            return known[place]

        def of_groups(at: At) -> Values:
            assert groups is not None
            return groups.taken(values()[rows], take)[at]

        return of_things if groups is None else of_groups

    def _size(self, groups: Groups | None) -> int:
        return groups.number if groups else len(self.selection.rows)

    # -- shapes ----------------------------------------------------------------------------------------------------

    def _above(self, when: When, groups: Groups | None) -> Condition:
        column, sign = self._column(when), 1 if when.shape == "above" else -1
        read, clocked = self._live(column, groups), False
        if when.forecast is not None:
            read, clocked = self._read(partial(self._forecast, column, when, sign > 0), groups), True
        limit = quantity(when.above if sign > 0 else when.below, column.unit, when.shape)
        until = limit if when.until is None else quantity(when.until, column.unit, "until")
        if groups is None or self.rule.take != "sum":
            _reachable(column, sign, limit, when.shape)
        return _threshold(read, sign, limit, until, self._size(groups), column.unit, clocked)

    _below = _above

    def _forecast(self, column: Column, when: When, high: bool) -> Values:
        within = None if when.forecast == "peak" else duration(str(when.forecast))
        found = self.view.forecast(self.selection.table, column.name, within, str(when.run), high)
        return found if found is not None else np.full(self.view.city.size(self.selection.table), np.nan)

    def _equals(self, when: When, groups: Groups | None) -> Condition:
        _things_only(groups, "equals")
        column = self._column(when)
        given = when.equals if isinstance(when.equals, list) else [when.equals]
        among = np.array([_category(said, column) for said in given], dtype=np.float64)
        return Equals(self._live(column, groups), among, column.unit, " or ".join(str(said) for said in given))

    def _rises(self, when: When, groups: Groups | None) -> Condition:
        column, sign = self._column(when), 1 if when.shape == "rises" else -1
        limit = difference(when.rises if sign > 0 else when.falls, column.unit, when.shape)
        until = limit if when.until is None else difference(when.until, column.unit, "until")
        if not 0 <= until <= limit or limit <= 0:
            raise InputError("a change is more than nothing, and `until` is less", when.shape)
        window = duration(str(when.within))
        if window < 1:
            raise InputError(f"a window of {window:g} s", "within", "at least 1 s: rules are looked at once a second")
        return Change(self._live(column, groups), sign, limit, until, self._size(groups), column.unit, window)

    _falls = _rises

    def _silent(self, when: When, groups: Groups | None) -> Condition:
        _things_only(groups, "silent")
        self._devices_only("silent")
        seconds, periods = silence(str(when.silent))
        limit = np.full(len(self.selection.rows), seconds)
        if periods:
            period = {name: kind.period for name, kind in self.view.columns.kinds.items()}
            kinds = self.view.city.table("device")["kind"].iloc[self.selection.rows]
            limit = periods * kinds.map(period).to_numpy(dtype=np.float64)
        rows = self.selection.rows
        return Silent(lambda at: self.view.heard()[rows[at]], limit, self.view.began, str(when.silent))

    def _status(self, when: When, groups: Groups | None) -> Condition:
        _things_only(groups, "status")
        self._devices_only("status")
        words = list(when.status or ())
        codes = np.array([STATUS.index(word) for word in words], dtype=np.uint8)
        rows = self.selection.rows
        return Status(lambda at: self.view.status()[rows[at]], codes, " or ".join(words))

    def _devices_only(self, shape: str) -> None:
        if self.selection.table != "device":
            raise InputError(f"only devices can be asked for {shape}", "when", 'give on = {table = "device"}')

    def _share_of(self, when: When, groups: Groups | None) -> Condition:
        if groups is None:
            raise InputError(f"{when.shape} within {when.shape}", "when", "one is enough")
        share = when.shape == "share_of"
        inner = self.condition(when.parts[0], None)
        given, sign = (when.above, 1) if when.above is not None else (when.below, -1)
        limit = quantity(given, "dimensionless", "above" if sign > 0 else "below")
        until = limit if when.until is None else quantity(when.until, "dimensionless", "until")
        clock = [0.0]

        def read(at: At) -> Values:
            return groups.counted(inner.look(EVERYWHERE, clock[0]), share)[at]

        return _Counted(_threshold(read, sign, limit, until, groups.number, "", inner.clocked), clock)

    _number_of = _share_of

    def _all(self, when: When, groups: Groups | None) -> Condition:
        parts = [self.condition(part, groups) for part in when.parts]
        joins = {"all": truth.every, "any": truth.some, "none": lambda p: truth.not_(truth.some(p))}
        return Several(parts, joins.get(when.shape, partial(truth.at_least, when.at_least or 1)))

    _any = _none = _of = _all


@dataclass
class _Counted:
    """A threshold on a count of truths, which needs to know the time."""

    inner: Threshold
    clock: list[float]

    @property
    def clocked(self) -> bool:
        return self.inner.clocked

    def look(self, at: At, now: float) -> truth.Truth:
        self.clock[0] = now
        return self.inner.look(at, now)

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        self.clock[0] = now
        return self.inner.shown(at, now)


def _threshold(read: Read, sign: int, limit: float, until: float, size: int, unit: str, clocked: bool) -> Threshold:
    if (limit - until) * sign < 0:
        raise InputError(
            "until is on the wrong side of the limit", "until", "an alert opens at the limit and closes behind until"
        )
    return Threshold(read, sign, limit, until, size, unit, clocked)


def _reachable(column: Column, sign: int, limit: float, where: str) -> None:
    """Refuse a limit that no believed value of `column` can be beyond: such an alert would never open."""
    bound = column.high if sign > 0 else column.low
    if math.isfinite(bound) and sign * (limit - bound) >= 0:
        beyond = f"{column.name} is never {where} {limit:g} {column.unit}"
        raise InputError(beyond, where, f"it lies in {column.low:g} to {column.high:g}: look at the unit")


def _things_only(groups: Groups | None, shape: str) -> None:
    if groups is not None:
        raise InputError(f"{shape} is of things, and the rule looks at groups", "when", "put it into share_of or number_of")


def quantity(given: Any, unit: str, where: str) -> float:
    """A written quantity in `unit`. Raises InputError."""
    try:
        return units.to(given, unit)
    except InputError as error:
        raise InputError(error.message, where, error.hint) from error


def difference(given: Any, unit: str, where: str) -> float:
    """A written difference in `unit`: 5 degC is 5 K, and not the freezing point and 5."""
    return quantity(given, unit, where) - (
        quantity(f"0 {units.split(given)[1]}", unit, where) if isinstance(given, str) else 0.0
    )


def _category(given: Any, column: Column) -> float:
    if isinstance(given, str) and column.categories:
        if given not in column.categories:
            raise InputError(f'{column.name} is never "{given}"', "equals", nearest(given, column.categories))
        return float(column.categories.index(given))
    return quantity(given, column.unit, "equals")
