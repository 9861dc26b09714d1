"""SensorThings over a small city with a history."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serving
from annex import Claims
from sensing import Service, served
from serving import Door

from citytwin.server.sensorthings import routes


@pytest.fixture(scope="module")
def service(made_city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The made city, with two days of hourly readings of its first six devices: row * 100 + hour. Do not change what it has."""
    yield from served(made_city, tmp_path_factory.mktemp("served") / "city", True)


@pytest.fixture
def changing(made_city: Path, tmp_path: Path) -> Iterator[Service]:
    """The same, to change."""
    yield from served(made_city, tmp_path / "city", True)


@pytest.fixture
def empty(made_city: Path, tmp_path: Path) -> Iterator[Service]:
    """The same with nothing in it: all that the city has was deleted by a client."""
    for each in served(made_city, tmp_path / "city", False):
        mirror = routes.service_of(each.client.app).asking.mirror
        with routes.service_of(each.client.app).store.change() as cursor:
            for name, ids in (("Sensors", mirror.kinds), ("ObservedProperties", mirror.quantities)):
                for id in ids:
                    cursor.execute("insert into own.hidden values ($a, $b, true)", {"a": name, "b": id})
            for name in (
                "Things",
                "Locations",
                "HistoricalLocations",
                "Datastreams",
                "FeaturesOfInterest",
                "located",
                "was_located",
            ):
                cursor.execute(f"insert into own.hidden select '{name}', id, true from main.device")
        yield each


@pytest.fixture(scope="module")
def door(made_city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The real server as a process, over the made city."""
    folder = tmp_path_factory.mktemp("door")
    shutil.copytree(made_city, folder / "city")
    yield from serving.served(folder / "city", folder / "log")


@pytest.fixture(scope="module")
def observed(door: Door) -> Door:
    """The same, after each device has told something (some are not believed: it is the same for all)."""
    streams = [s["@iot.id"] for s in door.get("Datastreams?$top=1000&$select=id")["value"]]
    said = [{"Datastream": {"@iot.id": s}, "components": ["result"], "dataArray": [[1.0]]} for s in streams]
    answer = door.request("POST", "CreateObservations", json=said)
    assert answer.status_code == 201
    kept = sum(not line.startswith("error") for line in answer.json())
    assert kept > 100
    end = time.monotonic() + 60
    while (
        door.get("Observations?$count=true&$top=0")["@iot.count"] < kept
    ):  # a busy machine says "accepted" before it has read them
        assert time.monotonic() < end
        time.sleep(0.1)
    return door


@pytest.fixture(scope="session")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The real server over a city of twelve devices, all that it had deleted by a client, as the conformance suite does first."""
    from citytwin.city import write_city
    from citytwin.city.synthetic import synthesize

    folder = tmp_path_factory.mktemp("emptied")
    write_city(synthesize(people=300, devices=12, seed=2), folder / "city")
    for door in serving.served(folder / "city", folder / "log"):
        door.clear()
        yield door


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many expectations of the conformance suite were checked."""
    if Claims.made:
        terminalreporter.write_line(f"expectations of OGC's conformance suite: {Claims.made}, {Claims.broken} of them not met")
