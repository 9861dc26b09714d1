"""Digests: what is worth telling is gathered for a short while and told at once, so that a storm is one message with a list.

A channel has a `Policy`. Its notices wait for `gather` seconds from the first one on, then become one message. More than `most`
messages in `span` seconds are not sent: what comes meanwhile joins the next. Notices as grave as `urgent` do not wait and are
not counted, but two urgent messages are at least `urgent_gap` seconds apart.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from citytwin.incidents.message import Message
from citytwin.incidents.rules.document import SEVERITIES

if TYPE_CHECKING:
    from citytwin.incidents.alerts import Alert

EVENTS = ("opened", "escalated", "closed")
Group = tuple[str, str, str]  # rule, event, severity
LINES = 20  # alerts of one rule that a message spells out
LISTED = 20_000  # alerts that a message carries for programs


@dataclass(frozen=True)
class Policy:
    """What a channel wants, and how much of it. least, urgent: severities (urgent "" is never). tell: events."""

    name: str
    least: str = "warning"
    tell: tuple[str, ...] = EVENTS
    gather: float = 10.0
    most: int = 12
    span: float = 3600.0
    urgent: str = "critical"
    urgent_gap: float = 60.0
    standard: bool = True

    def wants(self, event: str, severity: str, named: Sequence[str] | None, asked: bool = False) -> bool:
        """Whether this channel is told of an event; `named`: the channels that the rule names, None where it names none."""
        mine = self.standard and grade(severity) >= grade(self.least) if named is None else self.name in named
        return event in self.tell and (mine or asked)

    def is_urgent(self, severity: str) -> bool:
        """Whether so grave a notice does not wait."""
        return bool(self.urgent) and grade(severity) >= grade(self.urgent)


@dataclass(frozen=True)
class Notice:
    """Something to tell one channel: an event of alerts of one rule and severity. `id` is given by the records."""

    channel: str
    event: str
    rule: str
    severity: str
    alerts: tuple[int, ...]
    time: float
    id: int = 0


@dataclass(frozen=True)
class Part:
    """Of a message: one event of one rule and severity; of each thing the newest alert, and how often it happened."""

    rule: str
    event: str
    severity: str
    things: list[tuple[Alert, int]]


def grade(severity: str) -> int:
    """How grave: 0 for info."""
    return SEVERITIES.index(severity)


def due(policy: Policy, notices: Sequence[Notice], sent: Iterable[float], urgently: Iterable[float]) -> float:
    """When (s since 1970) what waits for a channel becomes a message.

    notices: what waits, at least one. sent: when the messages of the channel were made, the last `span` seconds at least;
    urgently: those of them that were urgent.
    """
    first = min(n.time for n in notices)
    counted = sorted(set(sent) - set(urgently))[-policy.most :]
    ordinary = max(first + policy.gather, counted[0] + policy.span if len(counted) >= policy.most else first)
    urgent = [n.time for n in notices if policy.is_urgent(n.severity)]
    if not urgent:
        return ordinary
    return min(ordinary, max(min(urgent), max(urgently, default=-1e18) + policy.urgent_gap))


def composed(city: str, policy: Policy, notices: Sequence[Notice], alerts: Mapping[int, Alert], now: float) -> Message:
    """One message of all that waits. `alerts`: those that are meant, as they are now. A thing is listed once for each event."""
    groups: dict[Group, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    for notice in notices:
        things = groups[notice.rule, notice.event, notice.severity]
        for number in notice.alerts:
            if number in alerts:
                things[alerts[number].table, alerts[number].key].append(number)
    parts = [Part(*group, [(alerts[ids[-1]], len(ids)) for ids in things.values()]) for group, things in groups.items()]
    parts.sort(key=lambda part: (-grade(part.severity), EVENTS.index(part.event), -len(part.things)))
    counts = {event: sum(len(part.things) for part in parts if part.event == event) for event in EVENTS}
    counts = {event: number for event, number in counts.items() if number}
    urgent = any(policy.is_urgent(n.severity) for n in notices)
    words = ", ".join(f"{number} {event}" for event, number in counts.items())
    lines = [f"{city}, {stamp(now)}: {words}", "", *(line for part in parts for line in _lines(part))]
    data = {
        "kind": "alerts", "city": city, "time": stamp(now), "severity": parts[0].severity if parts else policy.least,
        "urgent": urgent, "counts": counts, "alerts": _listed(parts),
    }  # fmt: skip
    return Message(policy.name, _title(city, parts, words), "\n".join(lines).rstrip() + "\n", data, made=now, urgent=urgent)


def _title(city: str, parts: Sequence[Part], counts: str) -> str:
    if not parts or not parts[0].things:
        return f"{city}: alerts ({counts})"
    first = parts[0]
    alert = first.things[0][0]
    if len(parts) == 1 and len(first.things) == 1:
        return f"[{first.severity}] {city}: {alert.title}: {alert.name or alert.key} {first.event}"
    rules = len({part.rule for part in parts})
    return f"[{first.severity}] {city}: {alert.title}" + (f" and {rules - 1} more" if rules > 1 else "") + f" ({counts})"


def _lines(part: Part) -> list[str]:
    title = part.things[0][0].title if part.things else part.rule
    lines = [f"{title} ({part.severity}, {part.rule}): {len(part.things)} {part.event}"]
    for alert, times in part.things[:LINES]:
        line = f"  #{alert.id} {alert.message}"
        if part.event == "closed":
            line += f" [{alert.reason}]"
        if part.event == "opened" and alert.closed is not None:
            line += " (closed again meanwhile)"
        if part.event != "opened":
            line += f" (open since {stamp(alert.opened)})"
        lines.append(line + (f" ({times} times)" if times > 1 else ""))
    if len(part.things) > LINES:
        lines.append(f"  and {len(part.things) - LINES} more")
    return [*lines, ""]


def _listed(parts: Sequence[Part]) -> list[dict[str, Any]]:
    names = ("id", "table", "key", "name", "value", "unit", "message")
    found = [
        {"event": part.event, "rule": part.rule, "severity": part.severity, "times": times,
         **{name: getattr(alert, name) for name in names}}
        for part in parts for alert, times in part.things
    ]  # fmt: skip
    return found[:LISTED]


def stamp(moment: float) -> str:
    """A moment as a person and a program read it."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
