"""What the server says about the city, its tables and its things."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
import shapely


def inside(client: httpx.Client, table: str, box: tuple[float, float, float, float]) -> set[str]:
    features = client.get(f"/api/tables/{table}", params={"limit": 10000}).json()["features"]
    wanted = shapely.box(*box)
    return {f["properties"]["key"] for f in features if shapely.geometry.shape(f["geometry"]).intersects(wanted)}


def test_the_city_says_what_it_holds_and_where(client, server):
    said = client.get("/api/city").json()
    city = server.twin.city
    assert said["name"] == "Petit Andorra"
    assert said["synthetic"] is True
    assert said["tables"] == {t: city.size(t) for t in city.tables}
    west, south, east, north = said["bbox"]
    assert west < said["center"][0] < east
    assert south < said["center"][1] < north
    assert said["ground"]["width"] == 120
    assert said["ground"]["height"] == 80
    north_west, north_east, south_east, south_west = said["ground"]["corners"]
    assert north_west[0] < north_east[0]
    assert south_west[1] < north_west[1]
    assert south_east[1] < north_east[1]
    x, y = city.from_lonlat([north_west[0], south_east[0]], [north_west[1], south_east[1]])
    np.testing.assert_allclose([x[0], y[0], x[1], y[1]], [*city.ground.bounds[::3], *city.ground.bounds[2:0:-1]], atol=1e-3)
    assert said["kinds_present"] == ["air_temperature", "noise", "parking_spot", "river_stage"]


def test_every_declared_column_kind_and_simulator_is_published(client, server):
    assert {c["name"] for c in client.get("/api/columns").json()} == {c.name for c in server.twin.columns}
    assert {k["name"] for k in client.get("/api/device-kinds").json()} == set(server.twin.columns.kinds)
    simulators = client.get("/api/simulators").json()
    assert "flood" in {s["name"] for s in simulators}
    assert all({"name", "room", "title", "grade", "params", "writes", "interventions"} <= set(s) for s in simulators)
    assert client.get("/api/scenario-schema").json()["title"]


@pytest.mark.parametrize("table", ["building", "road", "device", "zone"])
def test_a_box_gives_just_the_things_that_touch_it(client, table):
    for box in [(1.5160, 42.5080, 1.5200, 42.5105), (1.5250, 42.5110, 1.5296, 42.5149), (0.0, 0.0, 0.1, 0.1)]:
        said = client.get(f"/api/tables/{table}", params={"bbox": ",".join(map(str, box))}).json()
        found = {f["properties"]["key"] for f in said["features"]}
        assert found == inside(client, table, box)
        assert said["numberMatched"] == len(found)


def test_kind_limit_and_offset_choose_rows_in_order(client):
    schools = client.get("/api/tables/facility", params={"kind": "school"}).json()["features"]
    assert [f["properties"]["key"] for f in schools] == ["f2"]
    assert client.get("/api/tables/road", params={"kind": "residential"}).json()["numberMatched"] == 2
    pages = [client.get("/api/tables/building", params={"limit": 15, "offset": o}).json() for o in (0, 15, 30, 45)]
    keys = [f["properties"]["key"] for page in pages for f in page["features"]]
    assert keys == [f"way/{n}" for n in range(40)]
    assert all(page["numberMatched"] == 40 for page in pages)


def test_a_table_without_places_is_listed_but_not_by_box(client):
    said = client.get("/api/tables/household").json()
    assert [f["geometry"] for f in said["features"]] == [None, None]
    assert said["features"][0]["properties"]["people"] == 2
    answer = client.get("/api/tables/household", params={"bbox": "1,42,2,43"})
    assert answer.status_code == 400
    assert answer.json()["error"]["where"] == "bbox"


def test_search_finds_names_without_regard_to_case_and_accents(client):
    assert [h["key"] for h in client.get("/api/search", params={"q": "ESGLESIA"}).json()] == ["r3"]
    assert [(h["table"], h["key"]) for h in client.get("/api/search", params={"q": "meritxell"}).json()] == [
        ("facility", "f1"),
        ("road", "r0"),
    ]
    assert client.get("/api/search", params={"q": "zzz"}).json() == []
    assert client.get("/api/search", params={"q": "  "}).json() == []


def test_search_puts_the_thing_of_that_key_and_names_that_begin_so_first(client):
    assert client.get("/api/search", params={"q": "dev-3"}).json()[0]["key"] == "dev-3"
    assert client.get("/api/search", params={"q": "way/3"}).json()[0]["name"] == "Old mill"
    hits = client.get("/api/search", params={"q": "sensor 1", "limit": 2}).json()
    assert [h["name"] for h in hits] == ["Sensor 1", "Sensor 10"]
    assert all(h["lon"] and h["lat"] for h in hits)


def test_a_thing_shows_its_attributes_place_and_relations_both_ways(client):
    hospital = client.get("/api/things/facility/f1").json()
    assert hospital["name"] == "Hospital de Meritxell"
    assert hospital["attributes"]["capacity"] == 100.0
    assert hospital["geometry"]["type"] == "Point"
    assert {(r["kind"], r["direction"], r["table"], r["key"], r["name"]) for r in hospital["relations"]} == {
        ("contains", "in", "zone", "centre", "Centre"),
        ("contains", "in", "building", "way/3", "Old mill"),
    }
    zone = client.get("/api/things/zone/centre").json()
    assert zone["relations"] == [
        {"kind": "contains", "direction": "out", "table": "facility", "key": "f1", "name": "Hospital de Meritxell"}
    ]


def test_a_key_may_hold_slashes(client):
    assert client.get("/api/things/building/way/3").json()["name"] == "Old mill"


def test_a_device_shows_the_one_column_that_it_measures(client, server):
    server.call(lambda: server.twin.push([4], [2.25]))
    state = client.get("/api/things/device/dev-4").json()["state"]
    assert set(state) == {"river_level"}
    assert state["river_level"]["value"] == pytest.approx(2.25)
    assert state["river_level"]["unit"] == "m"
    assert state["river_level"]["status"] == "online"
    assert state["river_level"]["time"].endswith("Z")
    never = client.get("/api/things/device/dev-11").json()["state"]["spot_taken"]
    assert never == {"value": None, "unit": "enum", "time": None, "status": "unknown"}


def test_history_takes_iso_and_epoch_times_and_unknown_numbers_are_null(client):
    times = {"begin": "2026-11-20T10:00:00Z", "end": "2026-11-20T11:00:00+00:00"}
    said = client.get("/api/things/device/dev-0/history", params=times).json()
    assert said["time"] == [1795168800.0, 1795172400.0]
    assert said["value"] == [1.0, None]
    same = client.get("/api/things/device/dev-0/history", params={"begin": "1795168800", "end": "1795172400"}).json()
    assert same == said


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/tables/bulding", 404, 'did you mean "building"?'),
        ("/api/things/building/way/99999", 404, "no building"),
        ("/api/things/device/dev-99/history", 404, "no device"),
        ("/api/things/device/dev-0/history?begin=yesterday", 400, "is not a time"),
        ("/api/things/device/dev-0/history?begin=1795172400&end=1795168800", 400, "not before end"),
        ("/api/tables/building?bbox=1,2,3", 400, "is not a box"),
        ("/api/tables/building?bbox=nan,1,2,3", 400, "is not a box"),
        ("/api/tables/building?bbox=3,1,2,3", 400, "is not a box"),
        ("/api/tables/building?limit=-1", 400, "greater than or equal to 0"),
        ("/api/tables/junction?kind=x", 400, "have no kinds"),
        ("/api/live/snapshot?at=then", 400, "is not a time"),
        ("/api/nowhere", 404, "nothing at this address"),
        ("/api/runs/none", 404, "no run"),
        ("/api/runs/../../city.toml", 404, ""),
        ("/api/compare?runs=a", 400, "cannot be compared"),
    ],
)
def test_every_error_is_one_line_in_the_one_form(client, path, status, words):
    answer = client.get(path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"kind", "message", "where", "hint"}
    assert words in " ".join(error.values())
    assert "\n" not in error["message"]
    assert "Traceback" not in answer.text
