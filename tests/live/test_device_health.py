"""Laws of device health with a real twin: doubt, judgement, maintenance, and the course of it all, over HTTP."""

from __future__ import annotations

import asyncio
import io
import time

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_live_twin import PATIENCE, living, until

from citytwin.io.stores.transitions import Transitions
from citytwin.server.app import create_app

CREST = 2.4 + 0.015 * np.arange(40) + 0.004 * np.sin(np.arange(40.0))  # a flood that rises by 1.5 cm a minute
MOVED = CREST + np.where(np.arange(40) >= 25, 1.0, 0.0)  # and a gauge whose zero moves by a metre in one period


def lines(device, times, values):
    rows = zip(times, values, strict=True)
    return "".join(f'{{"device":"{device}","value":{v},"time":{t}}}\n' for t, v in rows).encode()


async def served(twin, folder, work):
    """The routes, asked in the twin's own loop."""
    app = create_app(twin, folder)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=PATIENCE) as client:
            return await work(client)


async def got(client, path, expected=200, **query):
    answer = await client.get(path, params=query)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def said(client, path, expected=200, **body):
    answer = await client.post(path, json=body)
    assert answer.status_code == expected, answer.text
    return answer.json()


def test_a_gauge_that_steps_a_metre_in_a_flood_is_doubted_until_a_person_confirms_or_overrules(city_folder):
    begin = int(time.time()) - 3000
    times = [begin + 60 * i for i in range(40)]

    async def story(twin):
        async def work(client):
            await twin.accept(lines("device-0", times, MOVED))
            await until(lambda: sum(twin.quality()["counts"].values()) == 40, "reading the flood")
            counts = twin.quality()["counts"]
            assert (counts["good"], counts["too_fast"]) == (25, 15)
            assert twin.state["river_level"][0] == pytest.approx(CREST[24])
            line = (await got(client, "/api/devices/device-0/health"))["doubted"]
            assert line["value"] == pytest.approx(MOVED[-1])
            listed = await got(client, "/api/devices/health", reason="too_fast")
            assert [d["key"] for d in listed["devices"]] == ["device-0"]
            chart = await got(client, "/api/things/device/device-0/history", begin=begin - 1)
            assert len(chart["value"]) == 25
            assert set(chart["doubted"]["quality"]) == {"too_fast"}

            where = {"device": "device-0", "begin": str(times[25]), "who": "A. Person", "why": "seen from the bridge"}
            answer = await said(client, "/api/readings/judgement", verdict="confirm", **where)
            assert answer["readings"] == 15
            await until(lambda: twin.state["river_level"][0] == pytest.approx(MOVED[-1]), "believing")
            await twin.accept(lines("device-0", [times[-1] + 60], [MOVED[-1] + 0.02]))
            await until(lambda: twin.quality()["counts"]["good"] == 26, "the reading after it")
            found = await got(client, "/api/devices/device-0/readings", begin=begin - 1)
            assert found["quality"] == ["good"] * 25 + ["confirmed"] * 15 + ["good"]
            await until(lambda: twin._store.committed == twin._writer.read_to, "the commit of what was said")
            health = await got(client, "/api/devices/device-0/health")
            assert (health["recent"], health["not_believed"]) == ([], 0)
            assert [(c["found"], c["time"]) for c in health["confirmed"]] == [("too_fast", t) for t in times[:24:-1]]
            assert health["counts"] == {"good": 26, "confirmed": 15}
            assert (await got(client, "/api/devices/health", reason="too_fast"))["devices"] == []

            later = where | {"why": "the datum had moved", "end": str(times[-1] + 90)}
            await said(client, "/api/readings/judgement", verdict="overrule", **later)
            await until(lambda: twin.state["river_level"][0] == pytest.approx(CREST[24]), "going back")
            await twin.accept(lines("device-0", [times[-1] + 120], [CREST[-1]]))
            await until(lambda: twin.quality()["counts"]["good"] == 27, "the mended gauge")
            found = await got(client, "/api/devices/device-0/readings", begin=begin - 1, quality="all")
            assert found["quality"] == ["good"] * 25 + ["overruled"] * 16 + ["good"]
            await until(lambda: twin._store.committed == twin._writer.read_to, "the commit of what was said")
            health = await got(client, "/api/devices/device-0/health")
            assert health["counts"] == {"good": 26, "overruled": 16}
            assert health["not_believed"] == 16
            assert (health["confirmed"], {r["reason"] for r in health["recent"]}) == ([], {"overruled"})
            await until(lambda: twin._store.committed == twin._writer.read_to, "the commit")
            past = await asyncio.to_thread(twin.state_at, times[30])
            assert past["river_level"][0] == pytest.approx(CREST[24])

            await said(client, "/api/readings/judgement", verdict="withdraw", **later)
            await until(lambda: len(twin.health.judgements("device-0")) == 3, "what was said last")
            listed = await got(client, "/api/readings/judgements", device="device-0")
            assert [j["verdict"] for j in listed["judgements"]] == ["confirm", "overrule", "withdraw"]
            await said(client, "/api/readings/judgement", 400, verdict="maybe", **where)
            await said(client, "/api/readings/judgement", 400, verdict="confirm", **(where | {"why": ""}))
            await said(client, "/api/readings/judgement", 404, verdict="confirm", **(where | {"device": "device-x"}))

        await served(twin, city_folder, work)

    asyncio.run(living(city_folder, story))

    async def after(twin):
        found = await asyncio.to_thread(twin.readings_of, "device-0", begin - 1, time.time() + 3600, 100, True)
        counts = twin.quality()["counts"]
        return found["quality"], counts["good"], twin.health.of("device-0", begin, time.time())["counts"]

    for forgotten in (False, True):
        if forgotten:
            (city_folder / "live/memory.npz").unlink()
        quality, good, counts = asyncio.run(living(city_folder, after))
        assert quality == ["good"] * 25 + ["too_fast"] * 15 + ["good"] * 2
        assert (good, counts) == (27, {"good": 27, "too_fast": 15})


def test_maintenance_has_an_end_a_person_and_a_course_and_survives_a_restart(city_folder):
    async def story(twin):
        async def work(client):
            await twin.accept(lines("device-3", [int(time.time())], [61]))
            await until(lambda: twin.devices.status[3] == 1, "the device to be online")
            body = {"until": str(time.time() + 3600), "who": "B. Person", "note": "new microphone"}
            await said(client, "/api/devices/device-3/maintenance", **body)
            await until(lambda: twin.devices.status[3] == 5, "maintenance")
            await asyncio.sleep(1.1)
            found = await got(client, "/api/devices/device-3/health")
            assert [c["status"] for c in found["course"]][-2:] == ["online", "maintenance"]
            assert found["maintenance"]["note"] == "new microphone"
            assert (await got(client, "/api/devices/health", status="maintenance"))["numberMatched"] == 1
            await said(client, "/api/devices/device-3/maintenance", 400, until="tomorrow", who="B. Person")
            await said(client, "/api/devices/none/maintenance", 404, who="B. Person")

        await served(twin, city_folder, work)

    asyncio.run(living(city_folder, story))

    async def after(twin):
        await until(lambda: twin.devices.status[3] == 5, "maintenance after the restart")
        await twin.health.maintain("device-3", 0.0, "B. Person", "done")
        await until(lambda: twin.devices.status[3] == 1, "being back")
        await asyncio.sleep(1.1)
        return time.time()

    ended = asyncio.run(living(city_folder, after))
    course = Transitions(city_folder / "live/status", [])
    words = course.of("device-3", 0, ended)[1]
    assert words[-1] == "online"
    assert "maintenance" in words


def test_what_was_refused_stands_in_the_devices_health_with_its_raw_words(city_folder):
    async def story(twin):
        async def work(client):
            now = int(time.time())
            await twin.accept(lines("device-2", [now - 60, now - 30, now + 9000], [21, 400, 22]))
            await twin.accept(
                b'{"device":"device-2","value":70,"unit":"m","time":%d}\n{"device":"nobody","value":1}\n?\n' % now
            )
            await until(lambda: sum(twin.quality()["counts"].values()) == 6)
            await until(lambda: twin._store.committed == twin._writer.read_to, "the commit")
            found = await got(client, "/api/devices/device-2/health")
            assert found["counts"] == {"good": 1, "wrong_unit": 1, "outside_bounds": 1, "future": 1}
            assert {r["reason"]: r["raw"] for r in found["recent"]}["wrong_unit"] == "70.0 m"
            assert (found["not_believed"], found["received"]) == (3, 1)
            table = await got(client, "/api/devices/health", limit=1)
            assert (table["devices"][0]["key"], table["next"], table["number"]) == ("device-2", 1, 20)
            assert table["kinds"][0]["kind"] == "air_temperature"
            await got(client, "/api/devices/health", 404, reason="tired")
            for form in ("csv", "parquet", "arrow"):
                answer = await client.get("/api/readings/export", params={"format": form, "kind": "air_temperature"})
                read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "arrow": lambda b: pa.ipc.open_stream(b).read_pandas()}
                table = read[form](io.BytesIO(answer.content))
                assert table["value"].tolist() == [21.0]
                assert table.columns.tolist() == ["device", "kind", "time", "value", "quality"]
            assert (await got(client, "/api/devices/device-2/status"))["status"] in ("faulty", "unknown")

        await served(twin, city_folder, work)

    asyncio.run(living(city_folder, story))
