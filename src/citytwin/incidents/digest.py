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
    """One message of all that waits. `alerts`: those that are meant, as they are now."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for notice in notices:
        groups[notice.rule, notice.event, notice.severity] += notice.alerts
    ordered = sorted(groups.items(), key=lambda g: (-grade(g[0][2]), EVENTS.index(g[0][1]), -len(g[1])))
    worst = ordered[0][0][2]
    total = {event: sum(len(set(ids)) for (_, e, _), ids in ordered if e == event) for event in EVENTS}
    counts = ", ".join(f"{n} {event}" for event, n in total.items() if n)
    lines = [f"{city}, {stamp(now)}: {counts}", ""]
    for (rule, event, severity), ids in ordered:
        lines += _lines(rule, event, severity, list(dict.fromkeys(ids)), alerts)
    data = {
        "kind": "alerts", "city": city, "time": stamp(now), "severity": worst, "counts": {e: n for e, n in total.items() if n},
        "urgent": any(policy.is_urgent(n.severity) for n in notices),
        "alerts": _listed(ordered, alerts),
    }  # fmt: skip
    return Message(
        policy.name,
        _title(city, ordered, alerts, counts),
        "\n".join(lines).rstrip() + "\n",
        data,
        made=now,
        urgent=bool(data["urgent"]),
    )


def _title(
    city: str, ordered: Sequence[tuple[tuple[str, str, str], list[int]]], alerts: Mapping[int, Alert], counts: str
) -> str:
    (_, event, severity), ids = ordered[0]
    number = sum(len(set(i)) for _, i in ordered)
    first = alerts.get(ids[0])
    about = first.title if first else "alerts"
    if number == 1 and first is not None:
        return f"[{severity}] {city}: {about}: {first.name or first.key} {event}"
    return f"[{severity}] {city}: {about}" + (f" and {len(ordered) - 1} more" if len(ordered) > 1 else "") + f" ({counts})"


def _lines(rule: str, event: str, severity: str, ids: list[int], alerts: Mapping[int, Alert]) -> list[str]:
    known = [alerts[i] for i in ids[:LINES] if i in alerts]
    title = known[0].title if known else rule
    lines = [f"{title} ({severity}, {rule}): {len(ids)} {event}"]
    lines += [f"  #{a.id} {a.message}" + (f" [{a.reason}]" if event == "closed" else "") + _since(a, event) for a in known]
    if len(ids) > LINES:
        lines.append(f"  and {len(ids) - LINES} more")
    return [*lines, ""]


def _since(alert: Alert, event: str) -> str:
    if event == "opened" and alert.closed is not None:
        return " (closed again meanwhile)"
    return f" (open since {stamp(alert.opened)})" if event != "opened" else ""


def _listed(ordered: Sequence[tuple[tuple[str, str, str], list[int]]], alerts: Mapping[int, Alert]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for (rule, event, severity), ids in ordered:
        for number in dict.fromkeys(ids):
            if len(found) >= LISTED:
                return found
            alert = alerts.get(number)
            if alert is not None:
                names = ("table", "key", "name", "value", "unit", "message")
                said = {name: getattr(alert, name) for name in names}
                found.append({"id": number, "event": event, "rule": rule, "severity": severity, **said})
    return found


def stamp(moment: float) -> str:
    """A moment as a person and a program read it."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
