"""150,000 devices: the questions that clients ask of lists stay fast."""

from __future__ import annotations

import time
from types import SimpleNamespace

import fastapi
import geopandas as gpd
import numpy as np
import pytest
from sensing import Client, Service

from citytwin.city import City, Facts, Ground
from citytwin.columns import shipped
from citytwin.io.stores.readings import ReadingStore
from citytwin.server import errors
from citytwin.server.places import Places
from citytwin.server.sensorthings import routes
from citytwin.twin.devices import Devices

N = 150_000
INSIDE = "geo.intersects(location, geography'Polygon ((1.6 42.5, 1.8 42.5, 1.8 42.6, 1.6 42.6, 1.6 42.5))')"
FAST = 0.1  # seconds, of the clock or of the processor: the best of three, since the machine may have other work too


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A service over 150,000 devices of 30 kinds, without readings."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "city.toml").write_text("")
    random = np.random.default_rng(1)
    columns = shipped()
    kinds = list(columns.kinds)[:30]
    xy = np.column_stack([378_000 + random.uniform(0, 30_000, N), 4_700_000 + random.uniform(0, 30_000, N)])
    kind = np.array(kinds, dtype=object)[np.arange(N) % 30]
    frame = gpd.GeoDataFrame(
        {
            "key": [f"{k}-{i}" for i, k in enumerate(kind)],
            "kind": kind,
            "name": [f"Device {i}" for i in range(N)],
            "zone": [f"zone {i % 40}" for i in range(N)],
        },
        geometry=gpd.points_from_xy(xy[:, 0], xy[:, 1]),
        crs="EPSG:32631",
    )
    ground = Ground(378_000.0, 4_730_000.0, 7_500.0, {"elevation": np.zeros((4, 4), np.float32)})
    city = City(Facts("big", "EPSG:32631"), {"device": frame}, ground)
    devices = Devices(folder, city, columns)
    store = ReadingStore(folder / "live", devices.keys, devices.kinds, devices.kind)
    twin = SimpleNamespace(
        city=city,
        columns=columns,
        devices=devices,
        folder=folder,
        kept=lambda: (store, []),
        device_values=lambda: (devices.value, devices.status, devices.time),
    )
    app = fastapi.FastAPI()
    errors.install(app)
    app.router.routes += routes.routes
    app.state.served = SimpleNamespace(twin=twin, places=Places(city))
    client = Client(app)
    yield Service(client, twin)
    client.close()
    routes.close(app)


@pytest.mark.parametrize(
    ("path", "options", "number"),
    [
        ("Things", {"top": "100"}, 100),
        ("Things", {"top": "100", "count": "true", "filter": "properties/kind eq 'river_stage'"}, 100),
        ("Things", {"top": "100", "filter": "name eq 'Device 149999'"}, 1),
        ("Things", {"top": "100", "skip": "149950"}, 50),
        ("Locations", {"top": "100", "filter": "geo.distance(location, geography'POINT(1.7 42.6)') lt 0.01"}, None),
        (
            "Locations",
            {
                "top": "100",
                "filter": "st_within(location, geography'POLYGON((1.7 42.55,1.72 42.55,1.72 42.57,1.7 42.57,1.7 42.55))')",
            },
            None,
        ),
        ("Things", {"top": "100", "filter": "Datastreams/ObservedProperty/name eq 'River level'"}, 100),
        ("Things", {"top": "100", "expand": "Locations,Datastreams($expand=ObservedProperty)"}, 100),
        ("Datastreams", {"top": "100", "orderby": "Thing/name desc"}, 100),
        ("Things", {"top": "1000", "skip": "75000"}, 1000),
        ("Datastreams", {"top": "100", "filter": "phenomenonTime gt 2026-01-01T00:00:00Z"}, 0),
        ("Things", {"top": "100", "count": "true", "filter": "startswith(name,'Device 14999') or contains(name,'77777')"}, 12),
        ("Locations", {"top": "0", "count": "true", "filter": INSIDE}, 0),
        ("Locations", {"top": "1000", "filter": INSIDE}, 1000),
        ("Locations", {"top": "100", "filter": f"({INSIDE}) and (startswith(name,'Device 1') or name eq 'x')"}, 100),
        ("Things", {"top": "100", "filter": INSIDE.replace("location,", "Locations/location,")}, 100),
    ],
)
def test_lists_of_150_000_things_are_fast(big, path, options, number):
    big.get("Things", top="1")
    took = []
    for _ in range(3):
        begun, worked = time.perf_counter(), time.process_time()
        value = big.values(path, **options)
        took.append(min(time.perf_counter() - begun, time.process_time() - worked))
    assert len(value) == number if number is not None else value, len(value)
    assert min(took) < FAST, took
    print(f"{path} {options}: {min(took) * 1e3:.0f} ms")


def test_a_shape_of_many_points_is_asked_of_150_000_places_within_a_second(big):
    """A flooded area has a long shore."""
    turns = np.linspace(0, 2 * np.pi, 700)
    reach = 0.05 + 0.01 * np.cos(40 * turns)
    shore = ",".join(f"{x:.4f} {y:.4f}" for x, y in zip(1.7 + reach * np.cos(turns), 42.6 + reach * np.sin(turns), strict=True))
    shape = f"geography'POLYGON(({shore},{shore.split(',')[0]}))'"
    begun = time.process_time()
    counts = [big.get("Locations", top="0", count="true", filter=f"{call}")["@iot.count"] for call in (
        f"st_within(location, {shape})", f"st_contains({shape}, location)", f"geo.intersects(location, {shape})")]  # fmt: skip
    worked = time.process_time() - begun
    assert counts[0] == counts[1] == counts[2] > 1000
    assert big.get("Locations", top="0", count="true", filter=f"st_disjoint(location, {shape})")["@iot.count"] == N - counts[0]
    print(f"{counts[0]} places in a shape of 700 points, three times: {worked * 1e3:.0f} ms of the processor")
    assert worked < 3.0


def test_qgis_counts_the_shapes_of_150_000_places_within_a_second(big):
    """It asks for each type of shape before it opens a layer; JSON is read for each place."""
    begun = time.process_time()
    told = big.get("Locations", top="0", count="true", filter="location/type eq 'Point' or location/geometry/type eq 'Point'")
    assert told["@iot.count"] == N
    worked = time.process_time() - begun
    print(f"types of shapes: {worked * 1e3:.0f} ms of the processor")
    assert worked < 1.0


def test_all_150_000_things_are_read_page_by_page_once_each(big):
    begun, seen, page = time.process_time(), [], big.get("Things", top="10000", select="id")
    while True:
        seen += [t["@iot.id"] for t in page["value"]]
        if "@iot.nextLink" not in page:
            break
        page = big.client.get(page["@iot.nextLink"]).json()
    assert len(seen) == len(set(seen)) == N
    worked = time.process_time() - begun
    print(f"150,000 things in pages of 10,000: {worked:.1f} s of the processor")
    assert worked < 20.0
