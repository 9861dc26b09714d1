"""Observations posted to the city's own devices go the twin's own way: log, checks, state, history. With a real broker."""

from __future__ import annotations

import asyncio
import shutil
import time
from types import SimpleNamespace

import fastapi
import httpx

from citytwin.server import errors
from citytwin.server.places import Places
from citytwin.server.sensorthings import routes
from citytwin.twin import Twin

ROOT = "/sensorthings/v1.1"


async def story(folder):
    twin = Twin.open(folder)
    app = fastapi.FastAPI()
    errors.install(app)
    app.router.routes += routes.routes
    app.state.served = SimpleNamespace(twin=twin, places=Places(twin.city))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60) as client:
        try:
            await twin.start(mqtt_port=0)
            row = twin.devices.names.index("river_stage")
            key = twin.devices.keys[row]
            found = (await client.get(f"{ROOT}/Datastreams", params={"$filter": f"Thing/properties/key eq '{key}'"})).json()
            (stream,) = (s["@iot.id"] for s in found["value"])
            now = time.time()
            stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - back)) for back in (300, 240, 180, 120)]
            observation = {"phenomenonTime": stamp[0], "result": 1.5, "Datastream": {"@iot.id": stream}}
            first = await client.post(f"{ROOT}/Observations", json=observation)
            assert first.status_code == 201, first.text
            again = (await client.get(first.headers["location"])).json()
            assert (again["result"], again["phenomenonTime"]) == (1.5, stamp[0].replace("Z", ".000Z"))
            assert twin.devices.value[row] == 1.5
            doubled = await client.post(f"{ROOT}/Observations", json=observation)
            assert doubled.status_code == 409, doubled.text
            impossible = await client.post(
                f"{ROOT}/Datastreams({stream})/Observations", json={"phenomenonTime": stamp[1], "result": 1e6}
            )
            assert impossible.status_code == 400
            assert "not believed" in impossible.json()["error"]["message"]
            words = await client.post(f"{ROOT}/Datastreams({stream})/Observations", json={"result": "high"})
            assert words.status_code == 400
            arrays = await client.post(
                f"{ROOT}/CreateObservations",
                json=[
                    {
                        "Datastream": {"@iot.id": stream},
                        "components": ["phenomenonTime", "result"],
                        "dataArray": [[stamp[2], 1.6], [stamp[3], 1.7], ["yesterday", 1.7]],
                    }
                ],
            )
            assert [a.startswith("error") for a in arrays.json()] == [False, False, True]
            listed = (
                await client.get(f"{ROOT}/Datastreams({stream})/Observations", params={"$orderby": "phenomenonTime desc"})
            ).json()
            assert [o["result"] for o in listed["value"]] == [1.7, 1.6, 1.5]
        finally:
            routes.close(app)
            await twin.stop()
    return key


def test_an_observation_of_a_device_is_a_reading_of_the_twin(made_city, tmp_path):
    shutil.copytree(made_city, tmp_path / "city")
    asyncio.run(story(tmp_path / "city"))
