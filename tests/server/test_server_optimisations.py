"""Searches for measures and forecasts of an epidemic over HTTP."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STUDY = {
    "name": "Rain",
    "scenario": {
        "name": "Cloud burst",
        "duration": "10min",
        "every": "10min",
        "hazards": [{"flood": {"rain": {"intensity": "90 mm/h", "duration": "10min"}}}],
    },
    "evaluations": 2,
    "decisions": {"intensity": {"path": "flood.rain.intensity", "choose": ["90 mm/h", "30 mm/h"], "cost": [0, 5]}},
    "objectives": [{"minimise": "people_exposed"}, {"minimise": "cost_of_measures"}],
}


def ended(client, id):
    end = time.monotonic() + 240
    while time.monotonic() < end:
        said = client.get(f"/api/optimisations/{id}").json()
        if said["status"] in ("done", "failed", "stopped"):
            return said
        time.sleep(0.05)
    raise AssertionError(said)


def test_a_search_is_queued_followed_and_read(client):
    answer = client.post("/api/optimisations", json={"study": STUDY})
    assert answer.status_code == 202, answer.text
    said = ended(client, answer.json()["id"])
    assert said["status"] == "done", said["error"]
    assert said["result"]["evaluations"] == 2
    assert said["result"]["front"]
    assert "hazards:" in said["recommended"]
    chart = client.get(f"/api/optimisations/{said['id']}/chart.svg")
    assert chart.headers["content-type"].startswith("image/svg+xml")
    assert [s["id"] for s in client.get("/api/optimisations").json()] == [said["id"]]
    assert client.delete(f"/api/optimisations/{said['id']}").json()["status"] == "deleted"
    assert client.get(f"/api/optimisations/{said['id']}").status_code == 404


def test_a_search_that_waits_or_works_can_be_stopped(client):
    id = client.post("/api/optimisations", json={"study": STUDY}).json()["id"]
    assert client.get(f"/api/optimisations/{id}/chart.svg").status_code == 409
    assert client.delete(f"/api/optimisations/{id}").json()["status"] == "stopped"
    assert client.get(f"/api/optimisations/{id}").json()["status"] == "stopped"


def test_a_wrong_study_is_answered_with_the_way_out(client):
    answer = client.post("/api/optimisations", json={"study": {**STUDY, "evaluation": 3}})
    assert answer.status_code == 400
    assert "evaluations" in answer.json()["error"]["hint"]
    assert client.post("/api/optimisations", json={"study": {**STUDY, "scenario": "a.yaml"}}).status_code == 400


def test_the_epidemic_is_forecast_from_the_readings_of_the_city(client, server):
    assert client.get("/api/forecasts/epidemic").status_code == 400
    city = server.twin.city
    device = city.table("device")["key"].iloc[0]
    days = np.arange("2026-01-01", "2026-02-10", dtype="datetime64[D]")
    table = pa.table(
        {
            "device": pa.array([device] * len(days)).dictionary_encode(),
            "kind": pa.array(["case_reports"] * len(days)).dictionary_encode(),
            "time": pa.array(days.astype("datetime64[us]")),
            "value": pa.array(np.round(2 * 1.04 ** np.arange(len(days)))),
        }
    )
    folder = server.folder / "live" / "readings" / "2026-01-01" / "case_reports"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "1-40.parquet")
    said = client.get("/api/forecasts/epidemic").json()
    assert said["today"] == "2026-02-09"
    assert set(said["zones"]) == set(city.table("zone")["key"])
    assert len(said["city"]["cases_ahead"]["median"]) == 28
    assert client.get("/api/forecasts/epidemic?until=soon").status_code == 400
    assert client.get("/api/forecasts/epidemic?until=2026-01-20").json()["today"] == "2026-01-20"
