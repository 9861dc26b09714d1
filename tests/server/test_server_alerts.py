"""Rules, alerts, silences, channels and the journal over HTTP and on the live WebSocket."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from websockets.sync.client import connect

HIGH = {
    "title": "River high",
    "on": {"table": "device", "kind": "river_stage"},
    "when": {"column": "river_level", "above": "3 m"},
}


@pytest.fixture
def api(server):
    with httpx.Client(base_url=f"{server.url}/api", headers={"origin": server.url}, timeout=20) as client:
        yield client
        for rule in client.get("/rules").json()["rules"]:
            if not rule["of_every_twin"]:
                client.delete(f"/rules/{rule['name']}", params={"who": "test"})
        look(server, -1.0)


def look(server, level: float) -> None:
    """All river gauges show `level`, and a second passes."""
    server.call(lambda: server.twin.push([0, 4, 8], [level] * 3))
    found, _ = server.twin.alerts.look(time.time())
    server.call(lambda: server.twin.alerts._tell(found))


def test_a_rule_made_over_http_opens_alerts_that_are_listed_with_their_place(server, api) -> None:
    made = api.post("/rules/river_high", json={"who": "ada", "rule": HIGH})
    assert made.status_code == 201, made.text
    assert (made.json()["at_work"], made.json()["things"]) == (True, 3)
    look(server, 4.0)
    found = api.get("/alerts", params={"rule": "river_high"}).json()
    assert [a["key"] for a in found["alerts"]] == ["dev-8", "dev-4", "dev-0"]
    first = found["alerts"][0]
    assert (first["state"], first["severity"], first["value"], first["unit"]) == ("open", "warning", 4.0, "m")
    assert first["message"] == "Sensor 8: 4 m (limit 3 m)"
    assert 1 < first["lon"] < 2
    assert first["opened"].endswith("Z")
    look(server, 1.0)
    assert api.get("/alerts", params={"rule": "river_high"}).json()["alerts"] == []
    assert len(api.get("/alerts", params={"rule": "river_high", "state": "closed"}).json()["alerts"]) == 3


def test_an_alert_is_acknowledged_by_somebody_once(server, api) -> None:
    api.post("/rules/river_high", json={"who": "ada", "rule": HIGH})
    look(server, 4.0)
    ids = [a["id"] for a in api.get("/alerts").json()["alerts"]]
    done = api.post("/alerts/acknowledge", json={"ids": ids[:2], "who": "ada", "note": "on my way"})
    assert [a["state"] for a in done.json()["alerts"]] == ["acknowledged"] * 2
    assert [a["id"] for a in api.get("/alerts", params={"state": "unacknowledged"}).json()["alerts"]] == ids[2:]
    again = api.post("/alerts/acknowledge", json={"ids": ids[:1], "who": "bob"})
    assert again.status_code == 409
    assert "ada" in again.json()["error"]["message"]
    assert api.post("/alerts/acknowledge", json={"ids": [10**9], "who": "bob"}).status_code == 404
    assert api.post("/alerts/acknowledge", json={"ids": ids[:1], "who": " "}).status_code == 400
    one = api.get(f"/alerts/{ids[0]}").json()
    assert [e["kind"] for e in one["journal"]] == ["alert.opened", "alert.acknowledged"]
    assert one["journal"][1]["actor"] == "ada"


def test_a_rule_is_changed_rested_and_removed_and_the_file_keeps_its_comments(server, api) -> None:
    path = server.folder / "rules.toml"
    api.post("/rules/river_high", json={"who": "ada", "rule": HIGH})
    path.write_text("# agreed with the river authority\n" + path.read_text())
    assert api.post("/rules/river_high", json={"who": "ada", "rule": HIGH}).status_code == 409
    assert api.put("/rules/river_low", json={"who": "ada", "rule": HIGH}).status_code == 404
    changed = api.put("/rules/river_high", json={"who": "ada", "rule": {**HIGH, "severity": "severe"}})
    assert changed.json()["rule"]["severity"] == "severe"
    assert path.read_text().startswith("# agreed with the river authority\n")
    rested = api.patch("/rules/river_high", json={"who": "ada", "enabled": False})
    assert (rested.json()["at_work"], rested.json()["rule"]["enabled"]) == (False, False)
    assert api.delete("/rules/river_high", params={"who": "ada"}).status_code == 200
    assert api.get("/rules/river_high").status_code == 404
    assert api.delete("/rules/twin_disk", params={"who": "ada"}).status_code == 409
    kinds = [e["kind"] for e in api.get("/journal", params={"subject": "rule/river_high", "limit": 4}).json()["entries"]]
    assert kinds == ["rule.removed", "rule.changed", "rule.changed", "rule.made"]


def test_a_wrong_rule_is_refused_and_nothing_is_written(server, api) -> None:
    path = server.folder / "rules.toml"
    before = path.read_text() if path.exists() else None
    for rule, words in (({**HIGH, "severty": "info"}, "severity"),
                        ({**HIGH, "when": {"column": "river_levle", "above": "3 m"}}, "river_level"),
                        ({**HIGH, "on": {"table": "device", "kind": "river_stge"}}, "river_stage")):  # fmt: skip
        answer = api.post("/rules/wrong", json={"who": "ada", "rule": rule})
        assert answer.status_code == 400
        assert words in answer.json()["error"]["hint"] + answer.json()["error"]["message"]
        assert not api.post("/rules/check", json={"rule": rule}).json()["ok"]
    assert api.post("/rules/Not a name", json={"who": "ada", "rule": HIGH}).status_code == 400
    assert (path.read_text() if path.exists() else None) == before
    assert api.post("/rules/check", json={"rule": HIGH}).json() == {"ok": True, "problems": [], "things": 3}
    assert api.get("/rules-schema").json()["title"] == "Rules of a city"


def test_a_broken_rule_in_the_file_is_shown_and_the_others_work(server, api) -> None:
    path = server.folder / "rules.toml"
    api.post("/rules/river_high", json={"who": "ada", "rule": HIGH})
    good = path.read_text()
    path.write_text(good + '\n[rule.broken]\non = {table = "device"}\nwhen = {column = "river_level", above = "3 kg"}\n')
    server.twin.alerts._looked_at_files = 0.0
    look(server, 4.0)
    found = {r["name"]: r for r in api.get("/rules").json()["rules"]}
    assert "give it in m" in found["broken"]["problem"]["hint"]
    assert found["river_high"]["open"] == 3
    path.write_text(good + "\n[[[")
    server.twin.alerts._looked_at_files = 0.0
    look(server, 4.0)
    assert "TOML" in api.get("/rules").json()["problem"]["message"]
    path.write_text(good)
    server.twin.alerts._looked_at_files = 0.0
    look(server, 4.0)
    assert api.get("/rules").json()["problem"] is None


def test_a_silence_is_said_kept_and_ended(server, api) -> None:
    said = api.post("/silences", json={"table": "device", "key": "dev-4", "minutes": 30.0, "who": "ada", "note": "cleaning"})
    assert said.status_code == 201
    number = said.json()["id"]
    assert number in [s["id"] for s in api.get("/silences").json()["silences"]]
    assert api.delete(f"/silences/{number}", params={"who": "ada"}).status_code == 200
    assert number not in [s["id"] for s in api.get("/silences").json()["silences"]]
    assert api.post("/silences", json={"minutes": 30.0, "who": "ada"}).status_code == 400
    assert api.post("/silences", json={"rule": "no_such", "minutes": 30.0, "who": "ada"}).status_code == 404


def test_open_pages_hear_of_alerts_in_one_message_that_replaces_the_one_before(server, api) -> None:
    api.post("/rules/river_high", json={"who": "ada", "rule": HIGH})
    with connect(server.websocket) as socket:
        first = next(said for said in words(socket) if said["type"] == "alerts")
        assert first["open"] == {"info": 0, "warning": 0, "severe": 0, "critical": 0}
        look(server, 4.0)
        said = next(said for said in words(socket) if said["type"] == "alerts")
        assert (said["open"]["warning"], said["unacknowledged"]) == (3, 3)
        assert said["revision"] > first["revision"]
        assert {a["key"] for a in said["changed"][:3]} == {"dev-0", "dev-4", "dev-8"}


def words(socket):
    while True:
        said = socket.recv(timeout=10)
        if isinstance(said, str):
            yield json.loads(said)


def test_the_journal_is_read_by_pages_and_found_whole(server, api) -> None:
    for _ in range(3):
        api.post("/rules/river_high", json={"who": "eve", "rule": HIGH})
        api.delete("/rules/river_high", params={"who": "eve"})
    seen, before = [], None
    while True:
        page = api.get(
            "/journal", params={"actor": "eve", "kind": "rule", "limit": 2, **({"before": before} if before else {})}
        ).json()
        seen += page["entries"]
        before = page["next"]
        if before is None:
            break
    assert len(seen) == 6
    assert [e["id"] for e in seen] == sorted((e["id"] for e in seen), reverse=True)
    oldest = api.get("/journal", params={"actor": "eve", "order": "oldest", "limit": 1}).json()["entries"][0]
    assert oldest["id"] == seen[-1]["id"]
    assert api.get("/journal/verify").json() == {"first_wrong": None}


def test_there_are_no_channels_where_none_are_declared(server, api) -> None:
    assert api.get("/channels").json()["channels"] == []
    assert api.post("/channels/duty/test", params={"who": "ada"}).status_code == 404
    assert api.get("/messages").json() == {"messages": [], "next": None}
    assert api.post("/messages/7/again").status_code == 404


def test_a_rule_tried_on_an_empty_past_finds_nothing(server, api) -> None:
    found = api.post("/rules/try", json={"rule": HIGH, "begin": "2026-11-20T00:00:00Z", "end": "2026-11-20T06:00:00Z"}).json()
    assert (found["counts"], found["alerts"], found["readings"]) == ({"rule": 0}, [], 0)
    assert api.post("/rules/try", json={"rule": HIGH, "begin": "2026-11-20", "end": "2026-11-19"}).status_code == 400
