"""SensorThings over a small city with a history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sensing import Service, served

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
