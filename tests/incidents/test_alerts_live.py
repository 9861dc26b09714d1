"""Alerts in a living twin: from a reading to a signed message, the twin's own condition, forecasts, trials on the past."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rule_city import rule_city
from test_channels import Receiver, receiver  # noqa: F401

from citytwin.city import read_city, write_city
from citytwin.errors import ConflictError, InputError, MissingError
from citytwin.incidents import Asked
from citytwin.incidents.rules import rule_of
from citytwin.twin import Twin
from citytwin.twin.rulebook import Rulebook

HIGH = """
[rule.high]
on = { table = "device", kind = "river_stage" }
when = { column = "river_level", above = "3 m", until = "2 m" }
severity = "critical"
message = "{name}: {value}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_city(rule_city(9), tmp_path / "city")
    (tmp_path / "city" / "rules.toml").write_text(HIGH)
    return tmp_path / "city"


async def until(seen: Any, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if seen():
            return True
        await asyncio.sleep(0.05)
    return False


def test_a_reading_becomes_a_signed_message_and_the_journal_knows(folder: Path, receiver: Receiver) -> None:  # noqa: F811
    (folder / "channels.toml").write_text(
        f'[channel.duty]\nkind = "webhook"\nurl = "{receiver.url}"\nsecret = {{ env = "HOOK_SECRET" }}\ngather = "0 s"\n'
    )

    async def story() -> None:
        twin = Twin.open(folder)
        await twin.start(mqtt_port=0)
        try:
            await twin.accept(b'{"device": "dev-3", "value": 4.5}\n{"device": "dev-0", "value": 1.0}\n')
            assert await until(lambda: receiver.got)
            await twin.accept(b'{"device": "dev-3", "value": 4.4}\n')
            assert await until(lambda: twin.journal.read(Asked(kind="message.sent")).entries)
        finally:
            await twin.stop()
        again = Twin.open(folder)  # nobody is told twice
        await again.start(mqtt_port=0)
        try:
            assert len(again.alerts.book.open) == 1
            await asyncio.sleep(2.5)
            assert len(receiver.got) == 1
            assert [e.kind for e in again.journal.read(Asked(kind="alert")).entries] == ["alert.opened"]
            assert again.journal.verify() is None
        finally:
            await again.stop()

    asyncio.run(story())
    said = json.loads(receiver.got[0][1])
    assert said["title"] == "[critical] Rulecity: High: Gauge 3 opened"
    assert said["data"]["alerts"][0]["message"] == "Gauge 3: 4.5 m"


def test_the_twin_warns_of_its_own_disk_broker_and_history(folder: Path) -> None:
    twin = Twin.open(folder)
    numbers: dict[str, float] = {"disk_free": 50.0, "disk_free_bytes": 1e12, "readings_stopped": 0.0, "history_behind": 0.0}
    twin.alerts._sources.own = lambda: numbers
    try:
        twin.alerts.look(1000.0)
        assert twin.alerts.book.open == {}
        numbers |= {"disk_free": 8.0, "readings_stopped": 1.0, "history_behind": 45.0}
        twin.alerts.look(1001.0)
        twin.alerts.look(1012.0)
        found = {a.rule: a.severity for a in twin.alerts.book.open.values()}
        assert found == {"twin_disk": "warning", "twin_readings_stopped": "critical", "twin_history_behind": "severe"}
        numbers["disk_free_bytes"] = 1e8
        twin.alerts.look(1013.0)
        assert {a.severity for a in twin.alerts.book.open.values() if a.rule == "twin_disk"} == {"critical"}
        numbers |= {"disk_free": 50.0, "disk_free_bytes": 1e12, "readings_stopped": 0.0, "history_behind": 0.0}
        twin.alerts.look(1014.0)
        twin.alerts.look(1025.0)
        assert twin.alerts.book.open == {}
    finally:
        asyncio.run(twin.stop())


def test_the_numbers_of_the_twin_are_those_of_this_machine(folder: Path) -> None:
    twin = Twin.open(folder)
    try:
        twin.alerts.view.look_at_self()
        room = shutil.disk_usage(folder)
        assert twin.alerts.view.values("twin", "disk_free")[0] == pytest.approx(100 * room.free / room.total, rel=0.2)
        assert twin.alerts.view.values("twin", "readings_waiting")[0] == 0
        assert twin.alerts.view.values("twin", "messages_dead")[0] == 0
    finally:
        asyncio.run(twin.stop())


class Run:
    """A run that is done."""

    def __init__(self, name: str, depth: list[float]) -> None:
        self.name, self.depth = name, np.array(depth)

    def values(self, table: str, column: str, within: float | None, high: bool) -> np.ndarray | None:
        return self.depth if (table, column) == ("device", "river_level") else None


def test_only_runs_that_are_forecasts_open_alerts_and_the_newest_counts(folder: Path) -> None:
    (folder / "rules.toml").write_text(
        '[rule.expected]\non = { table = "device", kind = "river_stage" }\n'
        'when = { column = "river_level", forecast = "6 h", run = "nowcast*", above = "3 m" }\n'
    )
    twin = Twin.open(folder)
    try:
        twin.alerts.look(1.0)
        twin.alerts.add_forecast(Run("what if the dam breaks", [9.0] * 9))
        twin.alerts.look(2.0)
        assert twin.alerts.book.open == {}
        twin.alerts.add_forecast(Run("nowcast 14:00", [4.0] + [0.0] * 8))
        twin.alerts.look(3.0)
        assert [a.key for a in twin.alerts.book.open.values()] == ["dev-0"]
        twin.alerts.add_forecast(Run("nowcast 15:00", [0.0] * 9))
        twin.alerts.look(4.0)
        assert twin.alerts.book.open == {}
    finally:
        asyncio.run(twin.stop())


def test_rules_tried_on_the_past_find_what_happened_then(folder: Path) -> None:
    start = time.time() - 7200
    course = np.interp(np.arange(100), [15, 20, 39, 44], [1.0, 3.5, 3.5, 1.0]).tolist()  # above 3 m from 20 to 39

    async def fill() -> None:
        twin = Twin.open(folder)
        await twin.start(mqtt_port=0)
        lines = [
            json.dumps({"device": "dev-3", "value": level, "time": start + minute * 60}) for minute, level in enumerate(course)
        ]
        lines += [json.dumps({"device": "dev-0", "value": 1.0, "time": start + m * 60}) for m in range(100) if not 50 <= m < 80]
        lines.sort(key=lambda line: json.loads(line)["time"])
        await twin.accept("\n".join(lines).encode() + b"\n")
        try:
            assert await until(lambda: twin.quality()["counts"]["good"] >= 150)
        finally:
            await twin.stop()

    asyncio.run(fill())
    twin = Twin.open(folder)
    try:
        river, first = {"table": "device", "kind": "river_stage"}, [{"property": "key", "value": "dev-0"}]
        rules = {
            "high": rule_of({"on": river, "when": {"column": "river_level", "above": "3 m"}}),
            "silent": rule_of({"on": {**river, "where": first}, "when": {"silent": "10 min"}}),
        }
        found = twin.try_rules(rules, start, start + 6000, 10.0)
        assert found["counts"] == {"high": 1, "silent": 1}
        high = next(a for a in found["alerts"] if a["rule"] == "high")
        assert high["opened"] - start == pytest.approx(20 * 60, abs=11)
        assert high["closed"] - start == pytest.approx(40 * 60, abs=11)
        silent = next(a for a in found["alerts"] if a["rule"] == "silent")
        assert silent["opened"] - start == pytest.approx(59 * 60, abs=11)
        assert silent["closed"] - start == pytest.approx(80 * 60, abs=10)
        with pytest.raises(InputError):
            twin.try_rules(rules, start, start - 1)
        assert twin.alerts.book.open == {}
    finally:
        asyncio.run(twin.stop())


def test_the_rulebook_keeps_comments_order_and_the_other_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(f"# first\n{HIGH}\n# last\n")
    book = Rulebook(tmp_path)
    other = {"on": {"table": "device"}, "when": {"silent": "3 periods"}, "active": [{"days": ["sat", "sun"]}]}
    book.put("quiet", other, new=True)
    text = (tmp_path / "rules.toml").read_text()
    assert text.startswith("# first\n")
    assert "# last" in text
    assert set(Rulebook(tmp_path).rules) == {"high", "quiet", *book.own}
    assert Rulebook(tmp_path).rules["quiet"] == rule_of(other)
    book.remove("quiet")
    assert "quiet" not in Rulebook(tmp_path).said
    with pytest.raises(ConflictError):
        book.put("high", other, new=True)
    with pytest.raises(MissingError, match="high"):
        book.put("hihg", other, new=False)
    with pytest.raises(ConflictError, match="every twin"):
        book.remove("twin_disk")
    assert not list(tmp_path.glob("*.partial"))


def test_the_rules_of_a_made_city_and_of_every_twin_are_right(made_city: Path) -> None:
    from citytwin.cli import main
    from citytwin.cli.rules import write_made_rules

    with tempfile.TemporaryDirectory() as scratch:
        city = Path(scratch) / "city"
        shutil.copytree(made_city, city)
        write_made_rules(city)
        assert main(["rules", "check", str(city)]) == 0
        assert read_city(city).identity == read_city(made_city).identity  # rules are not part of what a city is
        (city / "rules.toml").write_text(
            '[rule.wrong]\non = { table = "device" }\nwhen = { column = "river_levl", above = "3 m" }\n'
        )
        assert main(["rules", "check", str(city)]) == 2
