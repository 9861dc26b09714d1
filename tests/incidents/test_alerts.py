"""Alerts: one for each rule and thing, told once, through storms, restarts and records that fail for a while."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rule_city import HandView, rule_city

from citytwin.errors import ConflictError, InputError, MissingError, OutsideError
from citytwin.incidents import Asked
from citytwin.incidents.alerts import Book, Silence
from citytwin.incidents.digest import Policy, due
from citytwin.incidents.rules import Engine, rule_of, rules_of
from citytwin.io.stores.records import Outbox, Records, SqlJournal
from citytwin.io.stores.records.alerts import AlertStore, Wanted

RIVER = {"table": "device", "kind": "river_stage"}
HIGH = {"title": "River high", "on": RIVER, "when": {"column": "river_level", "above": "3 m"},
        "levels": [{"severity": "critical", "when": {"column": "river_level", "above": "5 m"}}]}  # fmt: skip
DUTY = Policy("duty")


class Watchroom:
    """Rules, book and records of a small city together, stepped by hand."""

    def __init__(self, records: Records, devices: int = 9, policies: tuple[Policy, ...] = (DUTY,), **rules: Any) -> None:
        self.records = records
        self.view = HandView(rule_city(devices, ("river_stage",)))
        self.journal = SqlJournal(records)
        self.store = AlertStore(records, self.journal)
        self.outbox = Outbox(records)
        self.policies = {p.name: p for p in policies}
        self.begin(rules)

    def begin(self, rules: dict[str, Any]) -> None:
        """As after a restart."""
        self.engine = Engine(self.view, rules_of({"rule": rules}))
        self.book = Book(self.engine, self.policies, lambda table, key: (f"Gauge {key}", "north"), self.store.open(),
                         self.store.next_id(), self.store.silences(0.0))  # fmt: skip

    def step(self, now: float, value: Any = None) -> None:
        if value is not None:
            self.view.set("river_level", value)
        self.book.attend()
        changes = self.book.compare(self.engine.step(now), now)
        if changes:
            self.store.record(changes)
            self.book.done(changes)

    def told(self, now: float) -> list[Any]:
        return self.store.digest("Rulecity", self.policies, now)


@pytest.fixture
def room(records: Records) -> Watchroom:
    return Watchroom(records, rule=HIGH)


def test_an_alert_opens_once_and_closes_by_itself(room: Watchroom) -> None:
    for now, value in ((0, 1.0), (1, 4.0), (2, 4.1), (3, 4.2), (4, 1.0), (5, 1.0), (6, 4.0)):
        room.step(now, np.where(np.arange(9) == 2, value, 0.0))
    found, _ = room.store.find(Wanted())
    assert [(a.key, a.opened, a.closed, a.severity) for a in found] == [
        ("dev-2", 6, None, "warning"),
        ("dev-2", 1, 4, "warning"),
    ]
    assert found[0].message == "Gauge dev-2: 4 m (limit 3 m)"
    kinds = [e.kind for e in room.journal.read(Asked(oldest_first=True)).entries]
    assert kinds == ["alert.opened", "alert.closed", "alert.opened"]


def test_a_graver_level_escalates_the_same_alert_and_asks_for_a_new_acknowledgement(room: Watchroom) -> None:
    room.step(0, np.where(np.arange(9) == 2, 4.0, 0.0))
    changes = room.book.acknowledge([1], "ada", "on my way", 1)
    room.store.record(changes)
    room.book.done(changes)
    assert room.store.get(1).state == "acknowledged"
    room.step(2, np.where(np.arange(9) == 2, 6.0, 0.0))
    assert (room.store.get(1).severity, room.store.get(1).state, room.store.get(1).note) == ("critical", "open", "on my way")
    room.step(3, np.where(np.arange(9) == 2, 4.0, 0.0))
    assert (room.store.get(1).severity, room.store.get(1).level) == ("warning", 1)
    assert len(room.store.find(Wanted())[0]) == 1


def test_a_storm_of_10000_errors_is_one_message_with_a_list(records: Records) -> None:
    room = Watchroom(records, 10_000, rule=HIGH)
    for second in range(5):  # the storm comes over five seconds
        room.step(second, np.where(np.arange(10_000) < 2_500 * second, 4.0, 0.0))
        assert room.told(second) == []
    sent = [m for second in range(5, 7200) if second % 10 == 0 for m in room.told(second)]
    assert len(sent) == 1
    message = sent[0]
    assert message.title == "[warning] Rulecity: River high (10000 opened)"
    assert message.text.count("\n") < 30
    assert "and 9980 more" in message.text
    assert {a["key"] for a in message.data["alerts"]} == {f"dev-{i}" for i in range(10_000)}
    assert len(room.outbox.messages()) == 1
    assert len(room.store.open()) == 10_000
    entries = room.journal.read(Asked(limit=100)).entries
    assert sum(len(e.data["alerts"]) for e in entries) == 10_000
    assert len(entries) == 4


def test_flapping_stays_within_the_channels_rate_and_what_came_meanwhile_is_told_later(records: Records) -> None:
    room = Watchroom(records, policies=(Policy("duty", gather=10, most=3, span=300),), rule=HIGH)
    sent = []
    for second in range(0, 300, 5):
        room.step(second, 4.0 if second // 5 % 2 else 0.0)
        sent += room.told(second)
    assert len(sent) == 3
    room.step(300, 0.0)
    sent += [m for second in range(300, 1000, 5) for m in room.told(second)]
    assert len(sent) == 4
    assert sent[-1].data["counts"] == {"opened": 9, "closed": 9}
    assert sum(a["times"] for m in sent for a in m.data["alerts"] if a["event"] == "opened") == 9 * 30
    assert sent[-1].made == sent[0].made + 300
    assert "times)" in sent[-1].text


def test_what_is_urgent_does_not_wait_nor_count_and_still_does_not_flood(records: Records) -> None:
    room = Watchroom(records, policies=(Policy("duty", gather=600, most=1, urgent_gap=60),), rule=HIGH)
    room.step(0, 4.0)
    assert room.told(0) == []
    room.step(1, np.where(np.arange(9) == 0, 6.0, 4.0))
    first = room.told(1)
    assert [m.urgent for m in first] == [True]
    assert {a["event"] for a in first[0].data["alerts"]} == {"opened", "escalated"}
    room.step(2, 6.0)
    assert [second for second in range(2, 100) if room.told(second)] == [61]


def test_the_time_of_a_message_follows_from_gathering_and_rate() -> None:
    from citytwin.incidents.digest import Notice

    policy = Policy("duty", gather=10, most=2, span=100)
    waiting = [Notice("duty", "opened", "r", "warning", (1,), 50.0)]
    assert due(policy, waiting, [], []) == 60
    assert due(policy, waiting, [10.0], []) == 60
    assert due(policy, waiting, [10.0, 20.0], []) == 110
    assert due(policy, waiting, [5.0, 10.0, 20.0], [5.0]) == 110
    assert due(policy, waiting, [10.0, 20.0], [20.0]) == 60


def test_an_open_alert_survives_a_restart_without_being_told_again(room: Watchroom) -> None:
    room.step(0, 4.0)
    assert len(room.told(10)) == 1
    room.begin({"rule": HIGH})
    room.view.set("river_level", np.nan)  # nothing is known yet
    for second in range(11, 15):
        room.step(second)
    room.step(15, 4.0)
    assert len(room.store.open()) == 9
    assert room.told(100) == []
    room.step(101, 1.0)
    assert room.store.open() == []


def test_an_alert_that_held_before_a_restart_with_a_delay_is_not_closed_by_it(records: Records) -> None:
    slow = {**HIGH, "after": "1 h", "levels": []}
    room = Watchroom(records, rule=slow)
    for now in (0, 3600):
        room.step(now, 4.0)
    assert len(room.store.open()) == 9
    room.begin({"rule": slow})
    room.step(3601)
    assert len(room.store.open()) == 9


def test_records_that_fail_for_a_while_lose_no_alert(room: Watchroom, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(changes: Any) -> None:
        raise OutsideError("the disk is full")

    room.step(0, 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(room.store, "record", full)
        for now in range(1, 5):
            with pytest.raises(OutsideError):
                room.step(now, np.where(np.arange(9) < now, 4.0, 0.0))
    room.step(5)
    assert [a.key for a in room.store.open()] == [f"dev-{i}" for i in range(4)]
    assert len(room.told(60)) == 1


def test_a_rule_taken_away_closes_its_alerts_and_an_edited_one_keeps_them(room: Watchroom) -> None:
    room.step(0, np.where(np.arange(9) < 2, 4.0, 0.0))
    room.engine.put("rule", rule_of({**HIGH, "when": {"column": "river_level", "above": "2 m"}}))
    room.step(1)
    assert [(a.id, a.opened) for a in room.store.open()] == [(1, 0), (2, 0)]
    room.engine.put("rule", rule_of({**HIGH, "on": {"table": "device", "where": [{"property": "key", "value": "dev-1"}]}}))
    room.step(2)
    assert [a.id for a in room.store.open()] == [2]
    room.engine.remove("rule")
    room.step(3)
    assert room.store.open() == []
    assert "gone" in room.store.get(2).reason


def test_nobody_is_told_of_what_is_silenced_but_it_is_there(room: Watchroom) -> None:
    asked = Silence("rule", "device", "dev-2", 0, 100, "ada", "gauge is being cleaned")
    room.book.silences.append(room.store.put_silence(asked, room.book.silence(asked, 0)))
    room.step(1, np.where(np.arange(9) == 2, 4.0, 0.0))
    assert len(room.store.open()) == 1
    assert room.told(50) == []
    room.step(51, np.where((np.arange(9) == 2) | (np.arange(9) == 3), 4.0, 0.0))
    assert [a["key"] for m in room.told(100) for a in m.data["alerts"]] == ["dev-3"]
    room.step(101, np.where(np.arange(9) == 3, 4.0, 0.0))
    assert [e.actor for e in room.journal.read(Asked(kind="alert.silenced")).entries] == ["ada"]


def test_nobody_seeing_to_it_makes_it_graver_and_calls_more_people(records: Records) -> None:
    steps = [{"after": "10 min", "severity": "severe", "channels": ["chief"]}, {"after": "20 min", "severity": "critical"}]
    room = Watchroom(records, policies=(DUTY, Policy("chief", standard=False)), rule={**HIGH, "levels": [], "escalate": steps})
    told: dict[str, list[float]] = {"duty": [], "chief": []}
    for minute in range(30):
        room.step(minute * 60, np.where(np.arange(9) < 2, 4.0, 0.0))
        if minute == 15:
            changes = room.book.acknowledge([2], "ada", "", minute * 60)
            room.store.record(changes)
            room.book.done(changes)
        for message in room.told(minute * 60 + 30):
            told[message.channel].append(minute)
    assert [(a.severity, a.step) for a in room.store.open()] == [("critical", 2), ("severe", 1)]
    assert told == {"duty": [0, 10, 20], "chief": [10]}


def test_an_acknowledgement_says_who_and_happens_once(room: Watchroom) -> None:
    room.step(0, 4.0)
    with pytest.raises(InputError):
        room.book.acknowledge([1], " ", "", 1)
    with pytest.raises(MissingError):
        room.book.acknowledge([99], "ada", "", 1)
    changes = room.book.acknowledge([1, 2, 1], "ada", "seen", 1)
    room.store.record(changes)
    room.book.done(changes)
    with pytest.raises(ConflictError, match="ada"):
        room.book.acknowledge([1], "bob", "", 2)
    assert len(room.store.find(Wanted(state="unacknowledged"))[0]) == 7
    assert [e.actor for e in room.journal.read(Asked(kind="alert.acknowledged")).entries] == ["ada", "ada"]


def test_channels_hear_what_they_asked_for(records: Records) -> None:
    policies = (Policy("all", least="info"), Policy("grave", least="critical"), Policy("opened", tell=("opened",)),
                Policy("named", standard=False))  # fmt: skip
    room = Watchroom(
        records, policies=policies, rule=HIGH, other={**HIGH, "title": "Other", "channels": ["named"], "levels": []}
    )
    room.step(0, 4.0)
    room.step(1, 6.0)
    room.step(2, 0.0)
    heard = {m.channel: {(a["rule"], a["event"]) for a in m.data["alerts"]} for m in room.told(500)}
    assert heard == {
        "all": {("rule", "opened"), ("rule", "escalated"), ("rule", "closed")},
        "grave": {("rule", "escalated"), ("rule", "closed")},
        "opened": {("rule", "opened")},
        "named": {("other", "opened"), ("other", "closed")},
    }


def test_filters_and_pages_of_alerts(room: Watchroom) -> None:
    room.step(0, 4.0)
    room.step(1, np.where(np.arange(9) < 4, 6.0, 0.0))
    seen: list[int] = []
    before: int | None = None
    while True:
        page, before = room.store.find(Wanted(limit=4, before=before))
        seen += [a.id for a in page]
        if before is None:
            break
    assert seen == list(range(9, 0, -1))
    assert len(room.store.find(Wanted(state="open"))[0]) == 4
    assert len(room.store.find(Wanted(state="closed"))[0]) == 5
    assert len(room.store.find(Wanted(severities=("critical",)))[0]) == 4
    assert len(room.store.find(Wanted(key="dev-3", rule="rule", table="device"))[0]) == 1
    assert room.store.find(Wanted(begin=1))[0] == []
