"""Rules at work on a whole city: once a second, over arrays, only where something changed.

A rule looks at its things with one condition for each level. A level that holds for long enough is on; the highest that is on
is the level of the thing. The engine says only that: what becomes of it (alerts, messages) is the business of others.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError, TwinError
from citytwin.incidents.rules.compiling import Selection, View, compiled, selected
from citytwin.incidents.rules.conditions import EVERYWHERE, At, Condition, Rows, Values
from citytwin.incidents.rules.document import Rule, duration
from citytwin.incidents.rules.truth import TRUE, UNKNOWN

OFF = 0  # the level of a thing of which nothing holds; the levels of a rule count from 1

__all__ = ["OFF", "Engine", "View", "Watched"]


@dataclass
class Watch:
    """One level of a rule over n things: on where its condition held for `after` seconds, until it has not for `clear_after`.

    since: when the condition began to differ from `on` (NaN: it does not). What is not known changes nothing.
    """

    condition: Condition
    after: float
    clear_after: float
    on: npt.NDArray[np.bool_]
    since: Values = field(init=False)
    waiting: int = 0

    def __post_init__(self) -> None:
        self.since = np.full(len(self.on), np.nan)

    def look(self, at: At, now: float) -> bool:
        """Look at the things at `at`; whether `on` changed anywhere."""
        found = self.condition.look(at, now)
        on = self.on[at]
        holds = found == TRUE
        differs = holds != on
        if (found == UNKNOWN).any():
            differs &= found != UNKNOWN
        if not self.waiting and not differs.any():
            return False
        since = self.since[at]
        begun = np.isnan(since)
        self.waiting += int((differs & begun).sum()) - int((~differs & ~begun).sum())
        self.since[at] = np.where(differs, np.where(begun, now, since), np.nan)
        return self.pass_time(now)

    def pass_time(self, now: float) -> bool:
        """Switch what has waited for long enough; whether anything was."""
        if not self.waiting:
            return False
        rows = np.flatnonzero(~np.isnan(self.since))
        due = rows[now - self.since[rows] >= np.where(self.on[rows], self.clear_after, self.after)]
        self.on[due] = ~self.on[due]
        self.since[due] = np.nan
        self.waiting = len(rows) - len(due)
        return len(due) > 0

    def off(self) -> bool:
        """Switch everything off; whether anything was on."""
        was = bool(self.on.any())
        self.on[:] = False
        self.since[:] = np.nan
        self.waiting = 0
        return was


class Watched:
    """A rule at work: `subjects` are the tables and keys of its n things (or groups), `level` the level of each."""

    def __init__(self, name: str, rule: Rule, selection: Selection, conditions: list[Condition]) -> None:
        self.name, self.rule, self.selection = name, rule, selection
        self.level = np.zeros(selection.size, dtype=np.int8)
        self.watches = [
            Watch(
                condition, duration(level.after or rule.after), duration(rule.clear_after), np.zeros(selection.size, np.bool_)
            )
            for condition, level in zip(conditions, rule.every_level, strict=True)
        ]
        self.clocked = any(c.clocked for c in conditions)
        self.fresh = True

    @property
    def severities(self) -> list[str]:
        """The severity of each level, the first is that of level 1."""
        return [level.severity for level in self.rule.every_level]

    def step(self, now: float, touched: At | None) -> bool:
        """Look at the things at `touched` (None: no value changed); whether the level of any has changed."""
        if self.rule.active and not any(hours.hold(now) for hours in self.rule.active):
            self.fresh = True
            changed = [watch.off() for watch in self.watches]
        else:
            at = EVERYWHERE if self.fresh or self.clocked or (self.selection.grouped and touched is not None) else touched
            self.fresh = False
            changed = [w.pass_time(now) if at is None else w.look(at, now) for w in self.watches]
        if any(changed):
            self._set_level()
        return any(changed)

    def _set_level(self) -> None:
        self.level[:] = OFF
        for number, watch in enumerate(self.watches, start=1):
            self.level[watch.on] = number

    def resume(self, position: int, level: int) -> None:
        """Go on where a thing was at `level` before a restart: it is on until the condition says otherwise."""
        for number, watch in enumerate(self.watches, start=1):
            watch.on[position] = number <= level
            held = getattr(watch.condition, "held", None)
            if held is not None:
                held[position] = number <= level
        self._set_level()

    def shown(self, at: Rows, level: int, now: float) -> tuple[Values, str, str]:
        """For messages about things at one level: their values, the unit, and the limit in words."""
        return self.watches[max(level, 1) - 1].condition.shown(EVERYWHERE if self.selection.grouped else at, now)


class Engine:
    """All rules of a city, at work. Methods may be called from several threads."""

    def __init__(self, view: View, rules: Mapping[str, Rule]) -> None:
        self.view = view
        self.watched: dict[str, Watched] = {}
        self._selections: dict[str, Selection] = {}
        self._lock = threading.RLock()
        for name, rule in rules.items():
            self.put(name, rule)

    def made(self, name: str, rule: Rule) -> Watched:
        """The rule at work, not yet put among the others. Raises InputError, MissingError with the place in the rule."""
        where = f"rule.{name}"
        try:
            selection = selected(self.view, rule, self._selections)
            conditions = [compiled(self.view, rule, level.when, selection) for level in rule.every_level]
        except TwinError as error:
            place = f"{where}.{error.where}" if error.where not in ("", self.view.city.name) else where
            raise InputError(error.message, place, error.hint) from error
        return Watched(name, rule, selection, conditions)

    def put(self, name: str, rule: Rule) -> Watched | None:
        """Put a rule to work, in place of one of the same name; None where it is not enabled. Raises InputError."""
        made = self.made(name, rule)
        with self._lock:
            self.watched.pop(name, None)
            if rule.enabled:
                self.watched[name] = made
                return made
        return None

    def remove(self, name: str) -> None:
        """Take a rule away."""
        with self._lock:
            self.watched.pop(name, None)

    def step(self, now: float, changed: npt.NDArray[np.bool_] | None = None) -> list[Watched]:
        """Look at everything at `now`; the rules in which the level of some thing has changed.

        changed: which devices have new values since the last step (None: all may have). Things of other tables are
        looked at each time.
        """
        with self._lock:
            watched = list(self.watched.values())
            for selection in self._selections.values():
                selection.gathered = {}
            try:
                return self._looked(watched, now, changed)
            finally:
                for selection in self._selections.values():
                    selection.gathered = None

    def _looked(self, watched: list[Watched], now: float, changed: npt.NDArray[np.bool_] | None) -> list[Watched]:
        touched: dict[int, At | None] = {}
        return [each for each in watched if each.step(now, self._touched(each.selection, changed, touched))]

    @staticmethod
    def _touched(selection: Selection, changed: npt.NDArray[np.bool_] | None, known: dict[int, At | None]) -> At | None:
        if changed is None or selection.table != "device":
            return EVERYWHERE
        if id(selection) not in known:
            at = np.flatnonzero(changed[selection.rows])
            known[id(selection)] = (EVERYWHERE if len(at) == len(selection.rows) else at) if len(at) else None
        return known[id(selection)]

    def problems(self, rules: Mapping[str, Rule]) -> list[TwinError]:
        """What is wrong with each of `rules` in this city."""
        found: list[TwinError] = []
        for name, rule in rules.items():
            try:
                self.made(name, rule)
            except TwinError as error:
                found.append(error)
        return found

    def subjects(self, names: Iterable[str]) -> int:
        """How many things these rules look at, all together."""
        return sum(self.watched[name].selection.size for name in names if name in self.watched)
