"""Live devices: binary frames, deltas, and pages that fall behind."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import websockets

from citytwin.server import encoding
from citytwin.server.hub import WAITING, Mailbox


def decoded(frame: bytes) -> dict:
    version, sort, zero, sequence, when = struct.unpack_from("<BBHId", frame)
    n, zero_too = struct.unpack_from("<II", frame, 16)
    assert (version, zero, zero_too) == (1, 0, 0)
    at = 24
    out = {"type": sort, "sequence": sequence, "time": when, "n": n}
    fields = (("x", "<u4"), ("y", "<u4"), ("value", "<f4"), ("kind", "u1"), ("status", "u1"))
    if sort == 2:
        fields = (("row", "<u4"), ("value", "<f4"), ("status", "u1"))
    for name, kind in fields:
        out[name] = np.frombuffer(frame, kind, n, at)
        at += n * np.dtype(kind).itemsize
    assert at == len(frame)
    return out


def test_a_snapshot_holds_every_device_where_it_is(server, client):
    server.call(lambda: server.twin.push([0, 1], [1.5, -3.0]))
    frame = decoded(client.get("/api/live/snapshot").content)
    devices = client.get("/api/live/devices").json()
    assert frame["type"] == 1
    assert frame["n"] == 12 == len(devices["keys"])
    assert abs(frame["time"] - time.time()) < 10
    assert frame["value"][:2].tolist() == [1.5, -3.0]
    assert frame["status"][:2].tolist() == [1, 1]
    assert [devices["kinds"][k] for k in frame["kind"]] == server.twin.city.table("device")["kind"].tolist()
    points = server.twin.city.table("device").to_crs(4326).geometry
    lon = frame["x"] / 2.0**32 * 360 - 180
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (frame["y"] / 2.0**32)))))
    np.testing.assert_allclose(lon, points.x, atol=1e-7)
    np.testing.assert_allclose(lat, points.y, atol=1e-7)


def test_the_list_of_devices_is_not_sent_twice(client):
    first = client.get("/api/live/devices")
    again = client.get("/api/live/devices", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert first.headers["content-encoding"] == "gzip"


def test_a_past_snapshot_has_the_values_of_that_time(server, client):
    server.call(lambda: server.twin.push([2], [55.0]))
    frame = decoded(client.get("/api/live/snapshot", params={"at": "2026-11-20T10:00:00Z"}).content)
    assert frame["time"] == 1795168800.0
    assert frame["value"][2] == 55.0
    assert frame["status"][2] == 1
    assert frame["status"][11] == 0


def test_a_page_gets_a_snapshot_then_each_change(server):
    async def look() -> tuple[list[dict], list[dict]]:
        frames, words = [], []
        async with websockets.connect(server.websocket) as page:
            while not frames:
                message = await asyncio.wait_for(page.recv(), 10)
                (frames if isinstance(message, bytes) else words).append(message)
            server.loop.call_soon_threadsafe(server.twin.push, [5, 6], [7.0, 8.0])
            while len(frames) < 2 or not any(json.loads(w)["type"] == "clock" for w in words):
                message = await asyncio.wait_for(page.recv(), 10)
                (frames if isinstance(message, bytes) else words).append(message)
        return [decoded(f) for f in frames], [json.loads(w) for w in words]

    (first, second, *_), words = asyncio.run(look())
    assert first["type"] == 1
    assert second["type"] == 2
    assert second["sequence"] == first["sequence"] + 1
    assert second["row"].tolist() == [5, 6]
    assert second["value"].tolist() == [7.0, 8.0]
    assert second["status"].tolist() == [1, 1]
    assert next(w for w in words if w["type"] == "clock")["now"].endswith("Z")
    assert "counts" in next(w for w in words if w["type"] == "quality")


def test_pages_that_leave_are_forgotten(server):
    async def visit() -> None:
        async with websockets.connect(server.websocket) as page:
            await asyncio.wait_for(page.recv(), 10)

    asyncio.run(visit())
    end = time.monotonic() + 5
    while server.app.state.served.hub.pages and time.monotonic() < end:
        time.sleep(0.02)
    assert not server.app.state.served.hub.pages


def test_a_page_that_falls_behind_gets_a_snapshot_and_its_queue_never_grows():
    async def fall() -> None:
        box = Mailbox()
        assert box.take() == (True, [], [])
        for number in range(WAITING):
            box.put_delta(bytes([number]))
        assert not box.behind
        for number in range(1000):
            box.put_delta(bytes(8))
            box.put_words("clock", str(number))
            box.put_words("run a", str(-number))
            assert len(box.deltas) <= WAITING
        assert box.take() == (True, [], ["999", "-999"])
        box.put_delta(b"next")
        assert box.take() == (False, [b"next"], [])

    asyncio.run(fall())


def test_a_stalled_page_does_not_hold_up_the_others(server):
    async def look() -> list[bytes]:
        async with websockets.connect(server.websocket, max_queue=1) as stalled, websockets.connect(server.websocket) as quick:
            assert isinstance(await asyncio.wait_for(quick.recv(), 10), (bytes, str))
            got: list[bytes] = []
            while sum(isinstance(g, bytes) for g in got) < 30:
                server.loop.call_soon_threadsafe(server.twin.push, [0, 4, 8], [1.0, 1.0, 1.0])
                got.append(await asyncio.wait_for(quick.recv(), 10))
            assert stalled.state.name == "OPEN"
            return got

    assert asyncio.run(look())


MEGABYTE = 1 << 20


def test_a_socket_that_does_not_read_costs_no_memory_and_then_gets_the_newest(server):
    """A page whose machine sleeps: 200 MB of changes pass it by; when it reads again it is told how things stand now."""
    hub, before = server.app.state.served.hub, set(server.app.state.served.hub.pages)
    with socket.socket() as page:
        page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        page.settimeout(10)
        page.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        key = base64.b64encode(bytes(16)).decode()
        page.sendall(f"GET /api/live HTTP/1.1\r\nHost: {server.url[7:]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())  # fmt: skip
        stream = page.makefile("rb")
        while stream.readline() != b"\r\n":
            pass
        deadline = time.monotonic() + 10
        while not set(hub.pages) - before and time.monotonic() < deadline:
            time.sleep(0.01)
        (box,) = set(hub.pages) - before
        used = _resident()
        for _ in range(200):
            server.call(lambda: box.put_delta(bytes(MEGABYTE)))
            assert len(box.deltas) <= WAITING
        assert _resident() - used < 40 * MEGABYTE
        server.call(lambda: server.twin.push([3], [42.0]))
        passed, newest = 0, None
        while newest is None:
            opcode, body = _message(stream)
            passed += len(body)
            if opcode == 2 and body[:4] == struct.pack("<BBH", 1, 1, 0):
                frame = decoded(body)
                newest = frame if frame["value"][3] == 42.0 else None
        assert newest["sequence"] == hub.sequence
        assert passed < 40 * MEGABYTE


def _resident() -> int:
    """Bytes of memory that this process (the server runs in it) holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _message(stream: BinaryIO) -> tuple[int, bytes]:
    """One unmasked, unfragmented WebSocket frame (RFC 6455, 5.2)."""
    first, length = stream.read(2)
    if length == 126:
        (length,) = struct.unpack(">H", stream.read(2))
    elif length == 127:
        (length,) = struct.unpack(">Q", stream.read(8))
    return first & 15, stream.read(length)


def test_a_snapshot_of_150000_devices_takes_milliseconds():
    n = 150_000
    rng = np.random.default_rng(1)
    place = (rng.integers(0, 2**32, n, dtype=np.uint32), rng.integers(0, 2**32, n, dtype=np.uint32))
    kind, value, status = np.zeros(n, np.uint8), rng.random(n, dtype=np.float32), np.ones(n, np.uint8)
    encoding.snapshot(1, 0.0, place, kind, value, status)
    took = min(_timed(lambda: encoding.snapshot(1, 0.0, place, kind, value, status)) for _ in range(5))
    assert took < 0.03


def _timed(work) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def test_readings_over_http_are_taken_line_by_line(client, server):
    lines = b'{"device": "dev-9", "value": 18.5}\n{"device": "nobody", "value": 1}\n'
    answer = client.post("/api/readings", content=lines, headers={"content-type": "application/x-ndjson"})
    assert answer.json() == {"accepted": 1, "refused": {"UNREADABLE": 1}}
    assert client.get("/api/things/device/dev-9").json()["state"]["air_temperature"]["value"] == 18.5
