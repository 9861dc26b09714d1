"""Runs as jobs of a real worker process: progress, results, stopping, failing, and what is left after the end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import struct
import time
import zipfile

import geopandas as gpd
import netCDF4
import numpy as np
import pytest
import websockets

from citytwin.scenario import read_result
from citytwin.server.jobs import Jobs

FLOOD = {
    "name": "Cloud burst",
    "duration": "30min",
    "every": "10min",
    "hazards": [{"flood": {"rain": {"intensity": "90 mm/h", "duration": "20min"}}}],
}
LONG = {**FLOOD, "name": "Forty days", "duration": "40 day", "every": "1h"}
PATIENCE = 240  # seconds; the first run of a fresh clone compiles the kernels


def started(client, scenario) -> str:
    answer = client.post("/api/runs", json={"scenario": scenario})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/runs/{answer.json()['id']}"
    return answer.json()["id"]


def ended(client, id: str, wanted: tuple[str, ...] = ("done", "failed", "stopped")) -> dict:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        said = client.get(f"/api/runs/{id}").json()
        if said["status"] in wanted:
            return said
        time.sleep(0.05)
    raise AssertionError(said)


@pytest.fixture(scope="module")
def run(server, client) -> dict:
    """A run that is done, begun from the live state."""
    server.call(lambda: server.twin.push([0], [1.25]))
    return ended(client, started(client, FLOOD), ("done", "failed"))


def frames_of(content: bytes) -> tuple[dict, np.ndarray]:
    (length,) = struct.unpack_from("<I", content)
    header = json.loads(content[4 : 4 + length])
    shape = (header["frames"], header["height"], header["width"])
    return header, np.frombuffer(content, np.uint8, offset=4 + length).reshape(shape)


def test_a_run_tells_its_result_its_scenario_and_what_can_be_drawn(run, client):
    assert run["status"] == "done", run["error"]
    assert run["progress"] == 1.0
    assert run["hazards"] == ["flood"]
    assert run["scenario"] == FLOOD
    assert run["result"]["scenario"] == "Cloud burst"
    assert run["result"]["diagnostics"]["flood"]
    assert run["frames"]["times"] == [0.0, 600.0, 1200.0, 1800.0]
    assert {"water_depth", "water_speed", "water_depth_peak"} <= set(run["frames"]["columns"])
    assert run["frames"]["start"] == run["result"]["start"]
    listed = client.get("/api/runs").json()
    assert run["id"] in [r["id"] for r in listed]
    assert "scenario" not in listed[0]


def test_frames_hold_the_recorded_numbers_to_half_a_step(run, client, server):
    answer = client.get(f"/api/runs/{run['id']}/frames/water_depth", params={"size": 1024})
    assert answer.headers["content-encoding"] == "gzip"
    header, codes = frames_of(answer.content)
    with netCDF4.Dataset(server.folder / "live" / "runs" / run["id"] / "fields.nc") as file:
        truth = np.asarray(file["water_depth"][:])
    assert codes.shape == truth.shape == (4, 80, 120)
    assert header["times"] == run["frames"]["times"]
    assert header["unit"] == "m"
    assert header["high"] == pytest.approx(truth.max())
    assert header["high"] > 0.01
    np.testing.assert_allclose(header["offset"] + header["scale"] * codes, truth, atol=header["scale"] / 2 + 1e-6)
    assert (codes[0] == 0).all()
    assert codes.max() == 255
    corners = client.get("/api/city").json()["ground"]["corners"]
    np.testing.assert_allclose(header["corners"], corners)


def test_smaller_frames_keep_the_worst_cell_and_cover_the_ground(run, client, server):
    _, full = frames_of(client.get(f"/api/runs/{run['id']}/frames/water_depth").content)
    header, small = frames_of(client.get(f"/api/runs/{run['id']}/frames/water_depth", params={"size": 50}).content)
    assert small.shape == (4, 27, 40)  # 120 cells in pixels of 3, 80 cells in 26 and two thirds
    for iy, ix in [(0, 0), (13, 20), (26, 39)]:
        block = full[-1, 3 * iy : 3 * iy + 3, 3 * ix : 3 * ix + 3]
        assert small[-1, iy, ix] == block.max()
    city = server.twin.city
    x, y = city.from_lonlat([header["corners"][2][0]], [header["corners"][2][1]])
    west, _, _, north = city.ground.bounds
    np.testing.assert_allclose([x[0] - west, north - y[0]], [40 * 3 * 10, 27 * 3 * 10], atol=0.01)


def test_frames_are_made_once(run, client, server):
    client.get(f"/api/runs/{run['id']}/frames/water_speed", params={"size": 64})
    kept = server.folder / "live" / "frames" / run["id"] / "water_speed-64.gz"
    before = kept.stat().st_mtime_ns
    client.get(f"/api/runs/{run['id']}/frames/water_speed", params={"size": 64})
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("frames/water_dept", 404), ("frames/water_depth?size=9", 400), ("frames/water_depth?size=x", 400),
        ("frames/water_depth?size=99999", 400), ("tables/nothing", 404), ("tables/..%2Fjobs", 404), ("series", 400),
        ("series?lon=0&lat=0", 400), ("series?table=building", 400), ("series?table=road&key=none", 404),
        ("tables/road?format=xml", 400),
    ],
)  # fmt: skip
def test_wrong_questions_about_a_run_get_one_line(run, client, path, status):
    answer = client.get(f"/api/runs/{run['id']}/{path}")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_affected_rows_come_as_columns_and_as_shapes(run, client, server):
    truth = read_result(server.folder / "live" / "runs" / run["id"]).table("road")
    said = client.get(f"/api/runs/{run['id']}/tables/road").json()
    assert said["key"] == truth["key"].tolist()
    assert "road_flood_depth" in said["columns"]
    np.testing.assert_allclose(said["columns"]["road_flood_depth"], truth["road_flood_depth"], atol=1e-5)
    assert "length" not in said["columns"]
    shapes = client.get(f"/api/runs/{run['id']}/tables/road", params={"format": "geojson"}).json()
    assert [f["properties"]["key"] for f in shapes["features"]] == said["key"]
    moved = gpd.GeoDataFrame.from_features(shapes, crs=4326).to_crs(truth.crs)
    assert moved.geometry.hausdorff_distance(truth.geometry).max() < 0.05


def test_a_series_at_a_place_is_what_the_fields_hold_there(run, client, server):
    city = server.twin.city
    x, y = city.ground.centres()
    lon, lat = city.to_lonlat([x[60]], [y[40]])
    said = client.get(f"/api/runs/{run['id']}/series", params={"lon": lon[0], "lat": lat[0]}).json()
    assert said["times"] == run["frames"]["times"]
    with netCDF4.Dataset(server.folder / "live" / "runs" / run["id"] / "fields.nc") as file:
        np.testing.assert_allclose(said["columns"]["water_depth"]["values"], file["water_depth"][:, 40, 60], rtol=1e-6)
    assert said["columns"]["water_depth"]["unit"] == "m"


def test_a_series_of_a_thing_has_a_value_for_each_time(run, client):
    key = client.get(f"/api/runs/{run['id']}/tables/road").json()["key"][0]
    said = client.get(f"/api/runs/{run['id']}/series", params={"table": "road", "key": key}).json()
    assert len(said["columns"]["road_flood_depth"]["values"]) == len(said["times"]) == 4


def test_the_download_is_the_whole_run_folder(run, client, server):
    answer = client.get(f"/api/runs/{run['id']}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    folder = server.folder / "live" / "runs" / run["id"]
    assert held == {f"{run['id']}/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_report_is_a_pdf(run, client):
    answer = client.get(f"/api/runs/{run['id']}/report.pdf")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")


def test_runs_are_compared_side_by_side(run, client):
    wet = {**FLOOD, "name": "More rain", "hazards": [{"flood": {"rain": {"intensity": "120 mm/h", "duration": "20min"}}}]}
    other = ended(client, started(client, wet))
    assert other["status"] == "done", other["error"]
    said = client.get("/api/compare", params={"runs": f"{run['id']},{other['id']}"}).json()
    assert said["ids"] == [run["id"], other["id"]]
    assert said["same_city"] is True
    assert {"people_exposed", "loss"} <= {row["name"] for row in said["rows"]}
    assert client.get("/api/compare", params={"runs": f"{run['id']},{run['id']}"}).status_code == 409


def test_yaml_text_is_as_good_as_a_document(client):
    text = "name: dry\nduration: 10min\nhazards:\n  - flood: {rain: {intensity: 0 mm/h, duration: 1min}}\n"
    assert client.post("/api/scenarios/check", json={"scenario": text}).json() == {"ok": True, "problems": []}
    assert ended(client, started(client, text))["status"] == "done"


@pytest.mark.parametrize(
    ("scenario", "where", "words"),
    [
        ({**FLOOD, "duraton": "1h"}, "duraton", "duration"),
        ({**FLOOD, "hazards": [{"flod": {}}]}, "hazards[0]", "flood"),
        ({**FLOOD, "duration": "10 kg"}, "duration", "10 kg"),
        ("name: [", "line 1", "YAML"),
        ("a: &a [1]\nb: [" + "*a, " * 100 + "]", "scenario", "aliases"),
        ("[" * 3000, "scenario", "nested too deeply"),
        ("- " * 3000, "scenario", "not YAML"),
        ("", "", "mapping"),
    ],
)
def test_a_wrong_scenario_is_told_where_and_how(client, scenario, where, words):
    said = client.post("/api/scenarios/check", json={"scenario": scenario}).json()
    assert said["ok"] is False
    assert any(where in p["where"] and words in p["message"] + p["hint"] for p in said["problems"]), said
    answer = client.post("/api/runs", json={"scenario": scenario})
    assert answer.status_code == 400
    assert answer.json()["error"]["kind"] == "input"


def test_a_run_of_too_many_steps_is_refused(client):
    answer = client.post("/api/runs", json={"scenario": {**FLOOD, "duration": "10 year", "every": "1 s"}})
    assert answer.status_code == 400
    assert answer.json()["error"]["where"] == "every"


def test_a_run_at_work_tells_its_progress_and_stops_within_seconds(client, server):
    async def follow() -> tuple[list[dict], float]:
        heard = []
        async with websockets.connect(server.websocket) as socket:
            id = await asyncio.to_thread(started, client, LONG)
            async with asyncio.timeout(PATIENCE):
                while not any(m["progress"] > 0 for m in heard):
                    message = await socket.recv()
                    if isinstance(message, str) and (said := json.loads(message))["type"] == "run" and said["id"] == id:
                        heard.append(said)
                begin = time.monotonic()
                answer = await asyncio.to_thread(client.delete, f"/api/runs/{id}")
                took = time.monotonic() - begin
                assert answer.json() == {"id": id, "status": "stopped"}
                while heard[-1]["status"] != "stopped":
                    message = await socket.recv()
                    if isinstance(message, str) and (said := json.loads(message))["type"] == "run":
                        heard.append(said)
        return heard, took

    heard, took = asyncio.run(follow())
    assert took < 3
    id = heard[0]["id"]
    assert [m["status"] for m in heard][-1] == "stopped"
    assert 0 < max(m["progress"] for m in heard) < 1
    said = client.get(f"/api/runs/{id}").json()
    assert (said["status"], said["result"]) == ("stopped", None)
    assert client.get(f"/api/runs/{id}/download").status_code == 409
    assert not list((server.folder / "live" / "runs").glob(f"*{id}*"))


def test_a_second_run_waits_and_may_be_taken_back(client):
    first, second = started(client, LONG), started(client, FLOOD)
    assert client.get(f"/api/runs/{second}").json()["status"] == "queued"
    assert client.delete(f"/api/runs/{second}").json()["status"] == "stopped"
    assert client.get(f"/api/runs/{second}").json()["status"] == "stopped"
    assert client.delete(f"/api/runs/{second}").json()["status"] == "deleted"
    assert client.get(f"/api/runs/{second}").status_code == 404
    assert client.delete(f"/api/runs/{first}").json()["status"] == "stopped"


def test_a_worker_that_dies_fails_its_run_with_one_line_and_the_next_run_works(client, server):
    id = started(client, LONG)
    ended(client, id, ("running",))
    process = server.app.state.served.jobs._processes[0]
    os.kill(process.pid, 9)
    said = ended(client, id)
    assert said["status"] == "failed"
    assert "worker process ended with code -9" in said["error"]
    assert ended(client, started(client, FLOOD))["status"] == "done"


def test_a_run_that_cannot_be_simulated_keeps_its_reason(client):
    scenario = {**FLOOD, "interventions": [{"at": "2h", "wall": {"along": [[1.516, 42.508], [1.52, 42.51]], "height": "1 m"}}]}
    said = ended(client, started(client, scenario))
    assert said["status"] == "failed"
    assert "after the end" in said["error"]
    assert said["kind"] == "input"


def test_runs_are_known_after_a_restart_and_interrupted_ones_have_failed(run, client, server, tmp_path):
    records = server.folder / "live" / "jobs"
    broken = records / "20260101-000000-broken-0000.json"
    said = json.loads((records / f"{run['id']}.json").read_text())
    broken.write_text(json.dumps({**said, "id": broken.stem, "status": "running"}))
    (records / "20260101-000000-torn-0000.json").write_text('{"id": "20260')

    async def restarted() -> Jobs:
        jobs = Jobs(server.folder)
        await asyncio.to_thread(jobs._read)
        return jobs

    jobs = asyncio.run(restarted())
    assert jobs.one(run["id"])["status"] == "done"
    assert jobs.one(broken.stem)["status"] == "failed"
    assert jobs.one(broken.stem)["error"] == "the server stopped before this run was done"
    assert jobs.listed()[0]["started"] >= jobs.listed()[-1]["started"]
    assert "20260101-000000-torn-0000" not in jobs.jobs


def test_deleting_a_run_leaves_nothing_of_it(client, server):
    id = ended(client, started(client, FLOOD))["id"]
    client.get(f"/api/runs/{id}/frames/water_depth")
    assert len(list((server.folder / "live").rglob(f"{id}*"))) == 3
    assert client.delete(f"/api/runs/{id}").json()["status"] == "deleted"
    assert list((server.folder / "live").rglob(f"*{id}*")) == []


def test_an_ensemble_is_a_run_like_any_other_and_its_numbers_have_ranges(client):
    vary = {"flood.rain.intensity": {"uniform": {"low": "60 mm/h", "high": "120 mm/h"}}}
    said = ended(client, started(client, {**FLOOD, "name": "Twice", "duration": "20min", "members": 2, "vary": vary}))
    assert said["status"] == "done", said["error"]
    assert said["members"] == 2
    closed = said["result"]["impact"]["roads_closed_km"]
    assert closed["low"] <= closed["median"] <= closed["high"]
    for column in said["frames"]["columns"]:
        header, codes = frames_of(client.get(f"/api/runs/{said['id']}/frames/{column}").content)
        assert codes.shape[1:] == (header["height"], header["width"])
    assert client.get(f"/api/runs/{said['id']}/tables/road").json()["columns"]
    assert client.get(f"/api/runs/{said['id']}/report.pdf").content.startswith(b"%PDF-")
