"""Alerts: what rules found, as people deal with it. One rule and one thing have at most one open alert.

The `Book` compares what the engine says (a level for each thing of each rule) with the alerts that are recorded, and says what
has to change: alerts, journal entries, notices to channels. The caller records that in one transaction and then tells the book
(`done`); if the records cannot be written, the next comparison says the same again. Nothing here knows how it is kept or sent.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from citytwin.errors import ConflictError, InputError, MissingError
from citytwin.incidents.digest import Notice, Policy
from citytwin.incidents.journal import Entry, printable
from citytwin.incidents.rules.conditions import said
from citytwin.incidents.rules.document import SEVERITIES, Rule, duration
from citytwin.incidents.rules.engine import OFF, Engine, Watched

APART = 20  # more alerts of one rule at once than this share one journal entry
LONGEST_NOTE = 2000
GONE = "the rule is gone, or no longer looks at this"


@dataclass(frozen=True)
class Alert:
    """One thing that one rule found wrong, from `opened` to `closed` (s since 1970; None: still open).

    level: of the rule that held last (1 ...); severity: of that level, or more after escalation; step: how many steps of the
    rule's escalation are done. value: the newest when something changed. limit, message: in words.
    """

    id: int
    rule: str
    title: str
    table: str
    key: str
    name: str
    severity: str
    level: int
    opened: float
    changed: float
    value: float | None
    unit: str
    limit: str
    message: str
    closed: float | None = None
    reason: str = ""
    step: int = 0
    acknowledged: float | None = None
    acknowledged_by: str = ""
    note: str = ""

    @property
    def state(self) -> str:
        """open, acknowledged or closed."""
        return "closed" if self.closed is not None else "acknowledged" if self.acknowledged is not None else "open"

    def describe(self) -> dict[str, Any]:
        """The alert as plain JSON values; times stay seconds since 1970."""
        names = ("id", "rule", "title", "table", "key", "name", "severity", "level", "state", "opened", "changed", "closed",
                 "reason", "value", "unit", "limit", "message", "step", "acknowledged", "acknowledged_by", "note")  # fmt: skip
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Silence:
    """Until `until` nobody is told of alerts of `rule` ("" any) about the thing `table`, `key` ("" any); they still open."""

    rule: str
    table: str
    key: str
    begin: float
    until: float
    who: str
    note: str = ""
    id: int = 0

    def holds(self, alert: Alert, now: float) -> bool:
        """Whether nobody is told of `alert` at `now`."""
        fits = all(
            not mine or mine == its for mine, its in ((self.rule, alert.rule), (self.table, alert.table), (self.key, alert.key))
        )
        return fits and self.begin <= now < self.until

    def describe(self) -> dict[str, Any]:
        """The silence as plain JSON values."""
        return {"id": self.id, "rule": self.rule, "table": self.table, "key": self.key, "begin": self.begin,
                "until": self.until, "who": self.who, "note": self.note}  # fmt: skip


@dataclass
class Changes:
    """What has to be recorded together: alerts as they are now, entries of the journal, notices to channels."""

    alerts: list[Alert] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    levels: list[tuple[Watched, list[int], list[int]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.alerts or self.levels)


Named = Callable[[str, str], tuple[str, str]]  # table and key of a thing -> its name and its zone


class Book:
    """The open alerts of one city, and what the engine's levels mean for them.

    channels: whom messages may go to. named: names and zones of things. first: the id of the next alert.
    """

    def __init__(
        self, engine: Engine, channels: Mapping[str, Policy], named: Named, open_alerts: Iterable[Alert] = (), first: int = 1,
        silences: Iterable[Silence] = (),
    ) -> None:  # fmt: skip
        self.engine, self.channels, self._named = engine, channels, named
        self.open: dict[int, Alert] = {}
        self.silences: list[Silence] = list(silences)
        self._of: dict[tuple[str, str, str], int] = {}
        self._known: dict[str, tuple[Watched, dict[int, int]]] = {}  # rule -> (at work, position -> alert id)
        self._behind: set[str] = set()  # rules whose alerts may not be what their levels say
        self._orphans: set[int] = set()  # alerts that no rule at work looks after
        self._numbers = itertools.count(first)
        for alert in open_alerts:
            self._keep(alert)

    def _keep(self, alert: Alert) -> None:
        if alert.closed is None:
            self.open[alert.id] = alert
            self._of[alert.rule, alert.table, alert.key] = alert.id
        else:
            self.open.pop(alert.id, None)
            self._of.pop((alert.rule, alert.table, alert.key), None)

    # -- from levels to alerts -----------------------------------------------------------------------------------------

    def attend(self) -> None:
        """Take notice of rules put to work or taken away; to be called before each step of the engine.

        Open alerts of a rule go on: its levels start from them.
        """
        at_work = self.engine.watched
        if self._known.keys() != at_work.keys() or any(self._known[n][0] is not w for n, w in at_work.items()):
            for name in self._known.keys() - at_work.keys():
                self._known.pop(name)
            for name, watched in list(at_work.items()):
                if name not in self._known or self._known[name][0] is not watched:
                    self._resume(watched)
            cared = {number for _, positions in self._known.values() for number in positions.values()}
            self._orphans = self.open.keys() - cared
        elif not at_work:
            self._orphans = set(self.open)

    def _resume(self, watched: Watched) -> None:
        positions: dict[int, int] = {}
        mine = {(a.table, a.key): a for a in self.open.values() if a.rule == watched.name}
        for position in range(watched.selection.size) if mine else ():
            alert = mine.get(watched.selection.subject(position))
            if alert is not None:
                watched.resume(position, min(alert.level, len(watched.watches)))
                positions[position] = alert.id
        self._known[watched.name] = (watched, positions)
        self._behind.add(watched.name)

    def compare(self, changed: Iterable[Watched], now: float) -> Changes:
        """What has to change so that the alerts are what the rules at work say at `now`; `changed`: those whose levels have."""
        changes = Changes()
        self._behind |= {watched.name for watched in changed}
        for name in sorted(self._behind & self._known.keys()):
            self._compare(self._known[name][0], now, changes)
        self._behind = {watched.name for watched, _, _ in changes.levels}
        self._close([self.open[i] for i in sorted(self._orphans) if i in self.open], now, GONE, changes)
        self._escalate(now, changes)
        return changes

    def _compare(self, watched: Watched, now: float, changes: Changes) -> None:
        _, positions = self._known[watched.name]
        recorded = np.zeros(watched.selection.size, dtype=np.int8)
        if positions:
            recorded[list(positions)] = [self.open[i].level for i in positions.values()]
        differ = np.flatnonzero(recorded != watched.level)
        if not len(differ):
            return
        level = watched.level[differ]
        opened, closed = differ[recorded[differ] == OFF], differ[level == OFF]
        moved = differ[(recorded[differ] != OFF) & (level != OFF)]
        for at_level in np.unique(watched.level[opened]):
            self._open(watched, opened[watched.level[opened] == at_level], int(at_level), now, changes)
        for at_level in np.unique(watched.level[moved]):
            self._move(watched, moved[watched.level[moved] == at_level], int(at_level), now, changes)
        hours = watched.rule.active
        reason = "all clear" if not hours or any(h.hold(now) for h in hours) else "outside the hours of the rule"
        self._close([self.open[positions[int(p)]] for p in closed], now, reason, changes, watched, closed)
        changes.levels.append((watched, differ.tolist(), level.tolist()))

    def _open(self, watched: Watched, at: Any, level: int, now: float, changes: Changes) -> None:
        made = [
            self._written(Alert(next(self._numbers), watched.name, watched.rule.title or _words(watched.name), *subject, "",
                                watched.severities[level - 1], level, now, now, None, "", "", ""), watched, *words)
            for subject, words in self._shown(watched, at, level, now)
        ]  # fmt: skip
        self._note("opened", watched.rule, made, now, changes)

    def _move(self, watched: Watched, at: Any, level: int, now: float, changes: Changes) -> None:
        positions = self._known[watched.name][1]
        up: list[Alert] = []
        down: list[Alert] = []
        for position, (_, words) in zip(at.tolist(), self._shown(watched, at, level, now), strict=True):
            old = self.open[positions[position]]
            graver = level > old.level
            reached = watched.severities[level - 1]
            severity = max(reached, old.severity, key=SEVERITIES.index) if graver or old.step else reached
            new = self._written(replace(old, level=level, severity=severity, changed=now), watched, *words)
            louder = SEVERITIES.index(severity) > SEVERITIES.index(old.severity)
            (up if louder else down).append(replace(new, acknowledged=None) if louder else new)
        self._note("escalated", watched.rule, up, now, changes)
        self._note("eased", watched.rule, down, now, changes)

    def _close(
        self, alerts: Sequence[Alert], now: float, reason: str, changes: Changes, watched: Watched | None = None, at: Any = None
    ) -> None:
        by_rule: dict[str, list[Alert]] = defaultdict(list)
        values: Any = watched.shown(at, 1, now)[0] if watched is not None and len(alerts) else []
        for number, old in enumerate(alerts):
            new = replace(old, closed=now, changed=now, reason=reason)
            if watched is not None:
                new = replace(new, value=_number(values[int(at[number])] if watched.selection.grouped else values[number]))
            by_rule[old.rule].append(new)
        for closed in by_rule.values():
            self._note("closed", watched.rule if watched else None, closed, now, changes)

    def _shown(
        self, watched: Watched, at: Any, level: int, now: float
    ) -> Iterable[tuple[tuple[str, str], tuple[float, str, str]]]:
        """Subject, and (value, unit, limit), of things of a rule."""
        values, unit, limit = watched.shown(at, level, now)
        chosen = values[at] if watched.selection.grouped else values
        for position, value in zip(at.tolist(), chosen.tolist(), strict=True):
            yield watched.selection.subject(position), (value, unit, limit)

    def _written(self, alert: Alert, watched: Watched, value: float, unit: str, limit: str) -> Alert:
        name, zone = self._named(alert.table, alert.key)
        status = unit == "status"
        fields = {
            "key": alert.key, "name": name or alert.key, "table": alert.table, "zone": zone, "rule": alert.rule,
            "title": alert.title, "severity": alert.severity, "value": limit if status else said(value, unit), "limit": limit,
            "number": str(alert.id),
        }  # fmt: skip
        return replace(alert, name=name, value=_number(value), unit="" if status else unit, limit=limit,
                       message=printable(watched.rule.message.format_map(fields)))  # fmt: skip

    # -- people --------------------------------------------------------------------------------------------------------

    def acknowledge(self, ids: Sequence[int], who: str, note: str, now: float) -> Changes:
        """Somebody has seen these alerts and sees to them. Raises MissingError, ConflictError (closed or seen to already)."""
        changes = Changes()
        who, note = _who(who), printable(note)[:LONGEST_NOTE]
        by_rule: dict[str, list[Alert]] = defaultdict(list)
        for number in dict.fromkeys(ids):
            old = self.open.get(number)
            if old is None:
                raise MissingError(f"no open alert {number}", hint="it may have closed")
            if old.acknowledged is not None:
                raise ConflictError(f"alert {number} is acknowledged already, by {old.acknowledged_by}")
            by_rule[old.rule].append(replace(old, acknowledged=now, acknowledged_by=who, note=note, changed=now))
        for alerts in by_rule.values():
            self._note("acknowledged", None, alerts, now, changes, who, note)
        return changes

    def _escalate(self, now: float, changes: Changes) -> None:
        """Steps of rules whose alerts nobody has acknowledged in time."""
        moving = {alert.id for alert in changes.alerts}
        for name, (watched, positions) in self._known.items():
            steps = watched.rule.escalate
            for number in positions.values() if steps and name in self.engine.watched else ():
                old = self.open[number]
                if number in moving or old.acknowledged is not None or old.step >= len(steps):
                    continue
                step = steps[old.step]
                if now - old.opened >= duration(step.after):
                    severity = max(old.severity, step.severity or old.severity, key=SEVERITIES.index)
                    new = replace(old, step=old.step + 1, severity=severity, changed=now)
                    self._note("escalated", watched.rule, [new], now, changes, more=tuple(step.channels))

    # -- what is told --------------------------------------------------------------------------------------------------

    def _note(
        self, event: str, rule: Rule | None, alerts: list[Alert], now: float, changes: Changes, who: str = "twin",
        note: str = "", more: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        if not alerts:
            return
        changes.alerts += alerts
        changes.entries += _entries(event, alerts, now, who, note)
        if event in ("acknowledged", "eased"):
            return
        rule = rule or (self._known[alerts[0].rule][0].rule if alerts[0].rule in self._known else None)
        by_severity: dict[str, list[int]] = defaultdict(list)
        for alert in alerts:
            if not any(silence.holds(alert, now) for silence in self.silences):
                by_severity[alert.severity].append(alert.id)
        for severity, ids in by_severity.items():
            for name, policy in self.channels.items():
                if policy.wants(event, severity, rule.channels if rule else None, name in more):
                    changes.notices.append(Notice(name, event, alerts[0].rule, severity, tuple(ids), now))

    def done(self, changes: Changes) -> None:
        """The changes are recorded: from now on they are so."""
        for alert in changes.alerts:
            self._keep(alert)
        for watched, positions, levels in changes.levels:
            self._behind.discard(watched.name)
            known = self._known[watched.name][1]
            for position, level in zip(positions, levels, strict=True):
                if level == OFF:
                    known.pop(position, None)
                else:
                    known[position] = self._of[(watched.name, *watched.selection.subject(position))]
        self._orphans &= self.open.keys()

    def silence(self, asked: Silence, now: float) -> list[Entry]:
        """Take a silence that is to be recorded; what the journal says of it. Raises InputError."""
        _who(asked.who)
        if not now < asked.until <= now + 366 * 86400:
            raise InputError("a silence ends after now, and within a year", "until")
        about = " ".join(part for part in (asked.rule, asked.table, asked.key) if part) or "everything"
        subject = f"rule/{asked.rule}" if asked.rule else ""
        return [Entry("alert.silenced", f"{asked.who} silenced alerts of {about}", asked.who, subject, asked.describe(), now)]


def _who(who: str) -> str:
    who = printable(who)
    if not who or len(who) > 200:
        raise InputError("who?", "who", "say who does this, in at most 200 characters")
    return who


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _entries(event: str, alerts: list[Alert], now: float, who: str, note: str) -> list[Entry]:
    """What the journal says: a line for each alert, or one for all where there are many."""
    if len(alerts) <= APART:
        return [
            Entry(f"alert.{event}", f"{a.severity}: {a.title}: {a.message}" + (f" ({note})" if note else ""), who,
                  f"alert/{a.id}", {"rule": a.rule, "table": a.table, "key": a.key, "severity": a.severity, "value": a.value,
                                    "note": note}, now)
            for a in alerts
        ]  # fmt: skip
    first = alerts[0]
    listed = {"alerts": [a.id for a in alerts], "keys": [a.key for a in alerts], "severity": first.severity, "note": note}
    return [Entry(f"alert.{event}", f"{len(alerts)} alerts: {first.title}", who, f"rule/{first.rule}", listed, now)]
