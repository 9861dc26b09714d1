"""Who may talk to the server, and how much."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
import websockets

from citytwin.errors import ConflictError, InputError, MissingError, OutsideError, SimulationError, TwinError
from citytwin.server.errors import STATUS, status_of
from citytwin.server.guard import Guard


def test_every_answer_forbids_foreign_scripts_frames_and_sniffing(client):
    for path in ("/", "/api/health", "/api/live/snapshot", "/api/nowhere", "/api/basemap.pmtiles"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.1.5", ""])
def test_a_foreign_host_name_that_points_here_is_refused(client, host):
    answer = client.get("/api/city", headers={"host": host})
    assert answer.status_code == 403 or (host == "" and answer.status_code == 400)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000"])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/api/city", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "file://"])
def test_pages_of_others_may_not_change_anything(client, origin):
    answer = client.post("/api/scenarios/check", json={"scenario": {}}, headers={"origin": origin})
    assert answer.status_code == 403


def test_our_own_page_may(client, server):
    answer = client.post("/api/scenarios/check", json={"scenario": {}}, headers={"origin": server.url})
    assert answer.status_code == 200


def test_the_websocket_is_refused_to_pages_of_others(server):
    async def connect(origin: str | None) -> int:
        try:
            async with websockets.connect(server.websocket, origin=origin):
                return 101
        except websockets.InvalidStatus as error:
            return error.response.status_code

    assert asyncio.run(connect("http://evil.example")) == 403
    assert asyncio.run(connect(server.url)) == 101
    assert asyncio.run(connect(None)) == 101


def test_a_server_on_the_network_answers_to_addresses_but_not_to_foreign_names():
    guard = Guard(None, listens="0.0.0.0", names=["twin.city.example"], origins=["http://localhost:5173/"])
    assert guard._ours("192.168.1.5")
    assert guard._ours("twin.city.example")
    assert not guard._ours("evil.example")
    assert guard._same("http://localhost:5173", "192.168.1.5:8000")
    assert not guard._same("http://localhost:5174", "192.168.1.5:8000")


def test_a_body_over_the_limit_is_refused_before_it_is_read(client):
    big = json.dumps({"scenario": "x" * 2**21}).encode()
    answer = client.post("/api/runs", content=big, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["error"]["kind"] == "input"

    def pieces():
        for _ in range(40):
            yield b"x" * 2**18

    assert client.post("/api/readings", content=pieces()).status_code == 413


@pytest.mark.parametrize("body", [{}, {"scenario": 1}, {"scenario": {}, "more": 1}, [], "x", None, {"scenario": True}])
def test_a_request_in_another_form_is_wrong_input(client, body):
    answer = client.post("/api/runs", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["kind"] == "input"


def test_a_form_that_other_pages_can_send_without_asking_is_not_read_as_json(client):
    answer = client.post("/api/runs", content=b'{"scenario": {}}', headers={"content-type": "text/plain"})
    assert answer.status_code in (400, 415)


def test_each_error_has_one_status():
    assert {kind: status_of(kind("x")) for kind in STATUS} == STATUS
    assert set(STATUS) == {InputError, MissingError, ConflictError, OutsideError, SimulationError}
    full = OutsideError("cannot write")
    full.__cause__ = OSError(28, "No space left on device")
    assert status_of(full) == 507
    assert status_of(TwinError("x")) == 500


def test_an_unforeseen_error_is_one_line_without_traceback(server, client, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(server.twin, "quality", broken)
    answer = httpx.get(f"{server.url}/api/quality")
    assert answer.status_code == 500
    assert answer.json()["error"]["kind"] == "unexpected"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_what_the_server_takes_from_a_full_disk_is_507(server, client, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server.twin, "quality", full)
    assert client.get("/api/quality").status_code == 507


def test_where_the_page_is_not_built_it_says_how(tmp_path):
    from starlette.applications import Starlette

    from citytwin.server.page import routes

    async def get(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=routes(tmp_path / "static")))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    assert "make setup" in asyncio.run(get("/")).text
    assert asyncio.run(get("/assets/none.js")).status_code == 404
    (tmp_path / "static" / "assets").mkdir(parents=True)
    (tmp_path / "static" / "index.html").write_text("<p>built")
    (tmp_path / "static" / "assets" / "a-1234.js").write_text("1")
    assert asyncio.run(get("/")).text == "<p>built"
    assert asyncio.run(get("/")).headers["cache-control"] == "no-cache"
    assert "immutable" in asyncio.run(get("/assets/a-1234.js")).headers["cache-control"]
    assert asyncio.run(get("/../standin_twin.py")).status_code == 404
