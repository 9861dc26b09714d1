"""Laws of moving devices: positions of GTFS-realtime become readings, and the places that pages are sent."""

from __future__ import annotations

import asyncio
import struct
import time

import numpy as np
import pytest
import uvicorn
from device_city import device_city
from google.transit import gtfs_realtime_pb2
from test_live_twin import counted, kept, living, until

from citytwin.city import write_city
from citytwin.cli import main
from citytwin.errors import InputError
from citytwin.io.feeds.vehicles import Vehicles, distance
from citytwin.server import encoding
from citytwin.server.app import create_app
from citytwin.server.hub import Hub
from citytwin.server.running import bound
from citytwin.twin import Twin

T = 1_795_000_000


def feed(*vehicles):
    """(name, time, longitude, latitude, speed or None) as a FeedMessage."""
    message = gtfs_realtime_pb2.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = T
    for number, (name, when, lon, lat, speed) in enumerate(vehicles):
        entity = message.entity.add()
        entity.id = f"e{number}"
        entity.vehicle.vehicle.id = name
        entity.vehicle.timestamp = int(when)
        entity.vehicle.position.longitude, entity.vehicle.position.latitude = lon, lat
        if speed is not None:
            entity.vehicle.position.speed = speed
    return message.SerializeToString()


def test_a_speed_that_is_said_is_taken_and_one_that_is_not_comes_from_two_positions():
    vehicles = Vehicles()
    first = vehicles.read(feed(("a", T, 9.0, 45.0, 10.0), ("b", T, 9.0, 45.0, None)))
    assert (first.device, first.speed, first.time) == (["a"], [10.0], [T])
    then = vehicles.read(feed(("a", T, 9.0, 45.0, 10.0), ("b", T + 20, 9.0, 45.002, None)))
    assert then.device == ["b"]
    assert then.speed[0] == pytest.approx(222.39 / 20, rel=0.01)  # a degree of latitude is 111.195 km on the mean sphere


def test_distance_of_a_degree_on_the_equator():
    assert distance((0, 9, 0), (0, 10, 0)) == pytest.approx(111_195, abs=1)


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"{}", b"GET / HTTP/1.1"])
def test_what_is_no_feed_is_refused(message):
    with pytest.raises(InputError, match="GTFS-realtime"):
        Vehicles().read(message)


def test_a_bus_moves_in_state_history_snapshot_and_delta_and_is_where_it_was_after_a_restart(tmp_path):
    folder, now = tmp_path / "city", int(time.time())
    write_city(device_city(4, ("bus_position",)), folder)

    async def story(twin):
        hub = Hub(twin)
        box = hub.come()
        box.take()
        answer = await twin.accept_positions(feed(("device-2", now, 9.05, 45.07, 10.0), ("stranger", now, 9.0, 45.0, 1.0)))
        assert answer == {"accepted": 1, "refused": {"unknown_device": 1}}
        await until(lambda: counted(twin) == 2)
        hub._push(np.array([1, 2, 3]))
        (frame,) = box.deltas
        m, k = struct.unpack_from("<II", frame, 16)
        assert (m, k) == (3, 1)
        row, x, y = np.frombuffer(frame, "<u4", 3, 24 + 9 * m + -m % 4).tolist()
        place = encoding.web_mercator([np.float32(9.05)], [np.float32(45.07)])
        assert (row, x, y) == (2, place[0][0], place[1][0])
        hub._push(np.array([2]))
        assert struct.unpack_from("<II", box.deltas[1], 16) == (1, 0)  # it has not moved since
        return hub.snapshot()[24:56]

    async def after(twin):
        return Hub(twin).snapshot()[24:56]

    places = asyncio.run(living(folder, story))
    assert asyncio.run(living(folder, after)) == places
    assert [(d, v) for d, _, v in kept(folder)] == [("device-2", 36.0)]


def test_a_feed_is_followed_from_the_command_line_into_a_served_twin(tmp_path, capsys):
    folder, now = tmp_path / "city", int(time.time())
    write_city(device_city(4, ("bus_position",)), folder)
    message = tmp_path / "feed.pb"
    message.write_bytes(feed(("device-1", now, 9.05, 45.07, 5.0), ("stranger", now, 9.0, 45.0, 1.0)))

    async def story():
        twin = Twin.open(folder)
        await twin.start(0)
        listener = bound("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(create_app(twin, folder), log_config=None, timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            words = ["devices", "follow", str(message), "--url", url, "--times", "2", "--every", "1"]
            assert await asyncio.to_thread(main, words) == 0
            await until(lambda: counted(twin) == 2)
            broken = ["devices", "follow", "http://127.0.0.1:9/feed", "--url", url, "--times", "1"]
            assert await asyncio.to_thread(main, broken) == 3
        finally:
            server.should_exit = True
            await serving
            await twin.stop()
            listener.close()

    asyncio.run(story())
    said = capsys.readouterr()
    assert said.out == "1 positions accepted in 2 looks\n"
    assert "refused: 1 unknown device" in said.err
    assert "the feed does not answer" in said.err
    assert main(["devices", "follow", "nowhere", "--times", "1"]) == 2
