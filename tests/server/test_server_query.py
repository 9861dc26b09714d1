"""Questions to the graph over HTTP: pages, forms, past moments, runs, and a word for what is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import geopandas as gpd
import netCDF4
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from citytwin.server import query as asked


def ask(client, **said):
    answer = client.post("/api/query", json=said)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_question_along_relations_is_answered_with_features(client):
    zone = {"table": "zone", "where": [{"property": "key", "value": "centre"}]}
    said = ask(client, table="facility", related=[{"kind": "contains", "direction": "in", "to": zone}])
    assert said["type"] == "FeatureCollection"
    assert [f["id"] for f in said["features"]] == ["f1"]
    assert said["features"][0]["geometry"]["type"] == "Point"
    assert (said["numberMatched"], said["numberReturned"], said["next"]) == (1, 1, None)


def test_roads_near_a_hospital_are_those_that_are_near(client):
    hospital = {"table": "facility", "kind": "hospital"}
    near = {
        n: ask(client, table="road", format="keys", within={"near": {"things": hospital, "metres": n}})["keys"]
        for n in (19, 21)
    }
    assert near == {19: [], 21: ["r3"]}


def test_pages_follow_one_another_until_there_is_no_next(client):
    found, offset = [], 0
    while offset is not None:
        said = ask(client, table="building", format="keys", limit=15, offset=offset)
        assert said["numberMatched"] == 40
        assert said["numberReturned"] == len(said["keys"])
        found += said["keys"]
        offset = said["next"]
    assert found == [f"way/{n}" for n in range(40)]


def test_a_column_is_asked_of_the_live_state_and_comes_along(client, server):
    server.call(lambda: server.twin.push([0, 4, 8], [2.5, 1.0, 1.5]))
    where = [{"column": "river_level", "test": ">", "value": 2}]
    said = ask(client, table="device", where=where, columns=["river_level"])
    assert [(f["id"], f["properties"]["river_level"]) for f in said["features"]] == [("dev-0", 2.5)]
    past = ask(client, table="device", where=where, at="2026-11-20T10:00:00Z", format="keys", columns=["river_level"])
    assert past["keys"] == ["dev-0"]
    assert past["columns"] == {"river_level": [2.5]}


def test_a_past_moment_is_the_state_of_that_time(client, server, monkeypatch):
    times = []
    monkeypatch.setattr(server.twin, "state_at", lambda t: times.append(t) or server.twin.state.fork())
    ask(client, table="device", at="2026-11-20T10:00:00Z")
    assert times == [1795168800.0]


def test_arrow_bytes_hold_the_same_things_as_geojson(client):
    said = {"table": "building", "kind": "house", "columns": ["damage_state"], "limit": 4}
    answer = client.post("/api/query", json={**said, "format": "arrow"})
    assert answer.headers["content-type"] == asked.ARROW
    assert answer.headers["x-number-matched"] == "10"
    assert answer.headers["x-next"] == "4"
    table = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    frame = gpd.GeoDataFrame.from_arrow(table)
    features = ask(client, **said)["features"]
    assert frame["key"].tolist() == [f["id"] for f in features]
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    shapes = gpd.GeoDataFrame.from_features(features, crs="OGC:CRS84")
    assert frame.geometry.geom_equals_exact(shapes.geometry, 1e-9).all()
    plain = client.post("/api/query", json={"table": "household", "format": "arrow"})
    assert pa.ipc.open_stream(io.BytesIO(plain.content)).read_all()["key"].to_pylist() == ["h1", "h2"]


@pytest.fixture
def run(server, monkeypatch, tmp_path) -> str:
    """A run that flooded way/2 to 0.4 m and way/5 to 1.2 m, and water in one cell more and more."""
    folder = tmp_path / "r"
    folder.mkdir()
    document = {
        "columns": [{"name": n, "table": t, "peak": "max"} for n, t in (("flood_depth", "building"), ("water_depth", "cell"))]
    }
    frame = pd.DataFrame({"key": ["way/2", "way/5"], "flood_depth": [0.4, 1.2]})
    cell = int(server.twin.city.ground.rows(*(np.array([v]) for v in server.twin.city["facility"].geometry[0].coords[0]))[0])
    with netCDF4.Dataset(folder / "fields.nc", "w") as file:
        height, width = server.twin.city.ground.shape
        for name, size in (("time", 3), ("y", height), ("x", width), ("building", 2)):
            file.createDimension(name, size)
        file.createVariable("time", "f8", ("time",))[:] = [0, 60, 120]
        water = np.zeros((3, height * width), dtype=np.float32)
        water[:, cell] = [0.0, 0.5, 0.25]
        file.createVariable("water_depth", "f4", ("time", "y", "x"))[:] = water.reshape(3, height, width)
        file.createVariable("building_key", str, ("building",))[:] = np.array(["way/2", "way/5"], dtype=object)
        file.createVariable("flood_depth", "f4", ("time", "building"))[:] = [[0, 0], [0.4, 0.2], [0.4, 1.2]]
    monkeypatch.setattr(server.app.state.served.jobs, "folder", lambda id: Path(folder))
    results = server.app.state.served.results
    monkeypatch.setattr(results, "document", lambda path: document)
    monkeypatch.setattr(results, "_affected", lambda path, table: (frame, ["flood_depth"]))
    return "r"


def test_a_run_is_asked_about_its_peaks_or_one_of_its_moments(client, run):
    deep = [{"column": "flood_depth", "test": ">", "value": 0.3}]
    assert ask(client, table="building", where=deep, run=run, format="keys")["keys"] == ["way/2", "way/5"]
    assert ask(client, table="building", where=deep, run=run, time=60, format="keys")["keys"] == ["way/2"]
    assert ask(client, table="building", where=deep, run=run, time=30, format="keys")["keys"] == []
    wet = {"table": "facility", "columns": ["water_depth"], "format": "keys", "run": run, "kind": "hospital"}
    depths = [ask(client, **wet, **when)["columns"]["water_depth"] for when in ({}, {"time": 60}, {"time": 500})]
    assert depths == [[0.5], [0.5], [0.25]]
    answer = client.post("/api/query", json={"table": "building", "run": run, "where": [{"column": "flod_depth", "value": 1}]})
    assert answer.status_code == 404
    assert answer.json()["error"]["hint"] == 'did you mean "flood_depth"?'


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"tabel": "road"}, 400, 'did you mean "table"?'),
        ({"table": "road", "lmit": 3}, 400, 'did you mean "limit"?'),
        ({"table": "raod"}, 404, 'did you mean "road"?'),
        ({"table": "device", "columns": ["river_levl"]}, 404, 'did you mean "river_level"?'),
        ({"table": "device", "at": "then"}, 400, "is not a time"),
        ({"table": "device", "time": 3}, 400, "time is that of a run"),
        ({"table": "device", "run": "none"}, 404, "no run"),
        ({"table": "device", "run": "a", "at": "2026-01-01"}, 400, "its own time"),
        ({"table": "road", "where": [{"property": "lanes", "value": 10**400}]}, 400, ""),
        ({"table": "road", "limit": 10**9}, 400, "less than or equal"),
        ({"table": "road", "within": {"polygon": [[[1, 1], [1, 1], [1, 1], [1, 1]]]}}, 400, "polygon"),
    ],
)
def test_a_wrong_question_is_one_line_in_the_one_form(client, said, status, words):
    answer = client.post("/api/query", json=said)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert words in " ".join(error.values())
    assert "\n" not in error["message"]


def test_brackets_within_brackets_are_refused_not_followed(client):
    said = '{"table":"road","related":[{"kind":"feeds","to":' * 20_000
    assert client.post("/api/query", content=said, headers={"content-type": "application/json"}).status_code == 400
    closed = '{"table":"road","related":[{"kind":"feeds","to":' * 400 + '{"table":"road"}' + "}]}" * 400
    assert client.post("/api/query", content=closed, headers={"content-type": "application/json"}).status_code == 400


def test_arrow_is_answered_to_who_accepts_it(client):
    answer = client.post(
        "/api/query", json={"table": "facility", "limit": 1}, headers={"accept": "application/vnd.apache.arrow.stream"}
    )
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 1
    assert int(answer.headers["x-next"]) == 1
