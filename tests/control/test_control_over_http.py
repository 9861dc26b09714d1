"""The doors to control: HTTP and the command line."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from citytwin.city import write_city
from citytwin.cli.devices import devices as devices_command
from citytwin.incidents.command import CommandKinds
from citytwin.io.feeds.obeying import Obeying
from citytwin.io.feeds.signals import Signals
from citytwin.server.app import create_app
from citytwin.server.running import bound
from citytwin.twin import Twin
from tests.live.device_city import device_city

KINDS = ("sluice_gate", "signal_controller", "message_sign", "rain_gauge")


@contextlib.asynccontextmanager
async def served(folder):
    """A real server with a real twin and devices that obey at once; gives its address."""
    twin = Twin.open(folder)
    await twin.start(0)
    listener = bound("127.0.0.1", 0)
    config = uvicorn.Config(create_app(twin, folder), log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    ready = asyncio.Event()
    signals = Signals(twin.city, twin.columns.kinds, share=0)
    obeying = Obeying(twin.city, CommandKinds(twin.columns), signals, delay=0.01, refuse=0.0, deaf=0.0)
    listening = asyncio.create_task(obeying.run("127.0.0.1", twin.mqtt_port, ready.set))
    try:
        await asyncio.wait_for(ready.wait(), 10)
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", twin
    finally:
        server.should_exit = True
        await serving
        listening.cancel()
        await asyncio.wait([listening])
        await twin.stop()
        listener.close()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "city"
    write_city(device_city(8, KINDS), folder)
    return folder


def test_a_command_goes_from_a_try_to_its_confirmation_over_http(folder):
    async def work():
        async with served(folder) as (url, _), httpx.AsyncClient(base_url=url) as client:
            offered = (await client.get("/api/things/device/device-1/commands")).json()
            assert offered["kinds"][0]["name"] == "set_plan"
            assert offered["kinds"][0]["choices"]["2 day"] == 2
            assert (await client.get("/api/things/device/device-3/commands")).json()["kinds"] == []
            asked = {"device": "device-1", "command": "set_plan", "value": 2, "actor": "Ana", "role": "traffic"}
            refused = await client.post("/api/commands", json=asked)
            assert (refused.status_code, refused.json()["error"]["kind"]) == (409, "conflict")
            tried = (await client.post("/api/commands/check", json=asked)).json()
            assert tried["ok"], tried
            sent = await client.post("/api/commands", json={**asked, "ticket": tried["ticket"]})
            assert sent.status_code == 202
            for _ in range(500):
                now = (await client.get(f"/api/commands/{sent.json()['id']}")).json()
                if now["standing"] != "sent":
                    break
                await asyncio.sleep(0.02)
            assert now["standing"] == "confirmed"
            assert (await client.get("/api/commands", params={"device": "device-1"})).json()["commands"] == [now]

    asyncio.run(work())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"device": "device-99"}, 404),
        ({"command": "set_plam"}, 404),
        ({"value": 77}, 400),
        ({"value": "often"}, 400),
        ({"value": [1]}, 400),
        ({"actor": ""}, 400),
        ({"extra": 1}, 400),
    ],
)
def test_wrong_requests_are_one_line(folder, change, status):
    async def work():
        async with served(folder) as (url, _), httpx.AsyncClient(base_url=url) as client:
            asked = {"device": "device-1", "command": "set_plan", "value": 2, "actor": "Ana", "role": "traffic"} | change
            answer = await client.post("/api/commands/check", json=asked)
            assert answer.status_code == status
            assert "\n" not in answer.json()["error"]["message"]

    asyncio.run(work())


def test_the_command_line_tries_sends_and_waits(folder):
    def run(*words):
        return CliRunner().invoke(devices_command, ["command", *words], catch_exceptions=True)

    async def work():
        async with served(folder) as (url, twin):
            common = ("--url", url, "--actor", "Ana", "--role", "duty")
            dry = await asyncio.to_thread(run, "device-1", "set_plan", "3", *common, "--dry-run")
            assert dry.exit_code == 0, dry.output
            assert twin.control.commands() == []
            done = await asyncio.to_thread(run, "device-1", "set_plan", "3", *common)
            assert done.exit_code == 0, done.output
            assert "confirmed" in done.output
            wrong = await asyncio.to_thread(run, "device-1", "set_plan", "9", *common)
            assert "not declared" in str(wrong.exception)

    asyncio.run(work())
