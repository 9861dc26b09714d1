"""An event is announced, accelerometers speak over MQTT, people over HTTP: the run is made again, and known after a restart."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from contextlib import asynccontextmanager

import geopandas as gpd
import httpx
import uvicorn
from shapely.geometry import Point
from small_city import CRS, at, small_city
from test_live_twin import publish, until

from citytwin.city import City, write_city
from citytwin.server.app import create_app
from citytwin.server.quakes import MOST_LISTENING
from citytwin.server.running import bound
from citytwin.state import Judgement
from citytwin.twin import Twin

PLACE = [1.7895, 42.4425]
KINDS = ["accelerometer"] * 4 + ["felt_report"]


def quake_city():
    said = {"key": [f"q{n}" for n in range(5)], "kind": KINDS, "name": "", "zone": "", "full_scale": [40, 40, 2, 40, None]}
    device = gpd.GeoDataFrame(said, geometry=[Point(at(40 + 80 * n, 200)) for n in range(5)], crs=CRS)
    plain = small_city()
    tables = {name: plain.table(name) for name in plain.tables} | {"device": device.astype({"full_scale": float})}
    return City(plain.facts, tables, plain.ground, plain.relations)


@asynccontextmanager
async def served(folder):
    """A living twin and its server, with short waits; gives (twin, client, earthquakes)."""
    twin = Twin.open(folder)
    await twin.start(0)
    listener = bound("127.0.0.1", 0)
    app = create_app(twin, folder)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        quakes = app.state.served.earthquakes
        quakes.looks, quakes.settled, quakes.patience = 0.1, 0.8, 10.0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60) as client:
            yield twin, client, quakes
    finally:
        server.should_exit = True
        await serving
        await twin.stop()
        listener.close()


async def done(client, quakes, run):
    await until(lambda: quakes.jobs[run].status not in ("queued", "running"), "the run's end")
    said = (await client.get(f"/api/runs/{run}")).json()
    assert said["status"] == "done", said
    return said["result"]["diagnostics"]["earthquake"]


def message(number, value, when):
    return f"city/{KINDS[number]}/q{number}".encode(), json.dumps({"value": value, "time": when}).encode()


def test_accelerometers_and_people_sharpen_an_announced_earthquake_and_a_restart_keeps_it(tmp_path):
    folder = tmp_path / "city"
    write_city(quake_city(), folder)

    async def story():
        async with served(folder) as (twin, client, quakes):
            origin = time.time() - 25.0
            event = {"id": "q1", "magnitude": 6.1, "place": PLACE, "depth": "8 km", "realisations": 16,
                     "time": dt.datetime.fromtimestamp(origin, dt.UTC).isoformat()}  # fmt: skip
            await publish(twin.mqtt_port, message(0, 9.0, origin - 5))  # before the earthquake: a truck
            first = (await client.post("/api/events/earthquake", json=event)).json()["run"]
            before = await done(client, quakes, first)
            assert before["event"]["stations"] == 0
            many = [message(0, 2.0 + 0.05 * k, origin + 5 + 0.1 * k) for k in range(20)]  # one burst
            await publish(
                twin.mqtt_port, *many, message(1, 3.1, origin + 6), message(2, 2.0, origin + 6), message(3, 900.0, origin + 6),
                *(message(4, v, origin + 20 + k) for k, v in enumerate((8.0, 7.0, 9.0))),
            )  # fmt: skip
            await until(lambda: len(quakes["q1"].runs) == 2, "a second run")
            after = await done(client, quakes, quakes["q1"].runs[1])
            assert after["event"]["stations"] == 3  # two instruments and one collector of reports
            said = (await client.get("/api/events/earthquake/q1")).json()
            heard = {r["name"]: r for r in said["devices"]}
            assert heard["q0"]["pga"] == "2.95 m/s2"
            assert heard["q4"] == {**heard["q4"], "intensity": 8.0, "responses": 3}
            assert "saturated" in said["left_out"]["q2"]
            assert "q3" not in heard  # out of bounds: not believed
            await asyncio.sleep(1.0)
            assert len(quakes["q1"].runs) == 2  # one burst, one run
            spread = [r["triage"]["people_trapped"]["high"] for r in (before, after)]
            assert spread[0] != spread[1]
            chair = Judgement("q1", origin, origin + 60, "overrule", "duty", "hit by a chair", time.time())
            await twin.health.judge(chair)
            await until(lambda: len(quakes["q1"].runs) == 3, "a run without the overruled instrument")
            await done(client, quakes, quakes["q1"].runs[2])
            assert "q1" not in quakes["q1"].told
            report = {"reports": [{"building": "b0", "state": "collapsed"}]}
            await client.post("/api/events/earthquake/q1/reports", json=report)
            await done(client, quakes, quakes["q1"].runs[3])
            return (await client.get("/api/events/earthquake/q1")).json()

    async def again():
        async with served(folder) as (_, client, quakes):
            known = (await client.get("/api/events/earthquake")).json()
            await until(lambda: quakes["q1"].told.keys() == {"q0", "q4"}, "hearing what the devices said before")
            entries = (await client.get("/api/journal?kind=earthquake")).json()
            return known, entries

    left = asyncio.run(story())
    known, entries = asyncio.run(again())
    assert [e["id"] for e in known] == ["q1"]
    kept = {name: known[0][name] for name in ("name", "time", "earthquake", "runs", "readings", "reports", "listening")}
    assert kept == {name: left[name] for name in kept}
    assert left["reports"] == [{"building": "b0", "state": "collapsed"}]
    assert any(e["kind"] == "earthquake.announced" for e in entries["entries"])


def test_of_a_swarm_the_newest_are_listened_to_and_a_drill_is_not(tmp_path):
    folder = tmp_path / "city"
    write_city(quake_city(), folder)

    async def story():
        async with served(folder) as (_, client, quakes):
            quakes.looks = 60.0
            event = {"magnitude": 4.0, "place": PLACE, "realisations": 1}
            for n in range(MOST_LISTENING + 2):
                said = await client.post("/api/events/earthquake", json={**event, "id": f"s{n}"})
                assert said.status_code == 202, said.text
            await client.post("/api/events/earthquake", json={**event, "id": "drill", "drill": True})
            await asyncio.sleep(0)
            known = {e["id"]: e["listening"] for e in (await client.get("/api/events/earthquake")).json()}
            for job in list(quakes.jobs.jobs.values()):
                if job.status == "queued":
                    await quakes.jobs.remove(job.id)
            return known

    known = asyncio.run(story())
    assert not known["drill"]
    assert [known[f"s{n}"] for n in range(MOST_LISTENING + 2)] == [False] * 2 + [True] * MOST_LISTENING
