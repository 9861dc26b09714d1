"""Laws of batches: columns and Arrow streams are durable when they are accepted, over HTTP, MQTT and NATS."""

from __future__ import annotations

import asyncio
import time

import nats
import numpy as np
import pytest
from test_live_twin import counted, kept, living, publish, until

from citytwin.errors import InputError
from citytwin.io.feeds.arrow import pieces_of, write_arrow
from citytwin.server.readings import ARROW as ARROW_TYPE
from citytwin.server.readings import readings


class Served:
    """What a route is given."""

    def __init__(self, twin):
        self.twin = twin


def test_columns_are_accepted_and_kept_with_their_units_and_what_is_wrong_is_counted(city_folder):
    now = round(time.time(), 3)

    async def story(twin):
        answer = await twin.accept_columns(
            ["device-2", "device-2", "x", "device-0"],
            [now - 2, now - 1, now, now],
            [68, 20.5, 1, 1],
            ["degF", "Cel", "m", "kg"],
        )
        assert answer == {"accepted": 2, "refused": {"unknown_device": 1, "wrong_unit": 1}}
        await until(lambda: counted(twin) == 4)

    asyncio.run(living(city_folder, story))
    assert [(d, t / 1000, round(v, 6)) for d, t, v in kept(city_folder)] == [
        ("device-2", now - 2, 20),
        ("device-2", now - 1, 20.5),
    ]


def test_the_same_stream_comes_over_http_mqtt_and_nats(city_folder):
    now = round(time.time(), 3)

    def stream(n):
        (made,) = write_arrow(["device-2"] * 100, now - 3 + n + np.arange(100) * 0.01, 20 + np.arange(100) % 9 * 0.1)
        return made

    async def story(twin):
        answer = await readings(Served(twin), stream(0), f"{ARROW_TYPE}; charset=binary")
        assert answer.body == b'{"accepted":100,"refused":{}}'
        assert await publish(twin.mqtt_port, (b"readings/arrow", stream(1))) == 1
        client = await nats.connect(f"nats://127.0.0.1:{twin._broker.port}")
        assert b"seq" in (await client.request("readings.arrow", stream(2), timeout=10)).data
        await client.close()
        assert await publish(twin.mqtt_port, (b"readings/lines", b'{"device":"device-3","value":61}\n' * 2)) == 1
        await until(lambda: counted(twin) == 302)
        assert twin.quality()["counts"]["good"] == 302

    asyncio.run(living(city_folder, story))
    assert len(kept(city_folder)) == 302


@pytest.mark.parametrize("stream", [b"", b"nonsense", write_arrow(["a"], [1], [1])[0][:100]])
def test_what_is_no_arrow_stream_is_refused_whole(city_folder, stream):
    async def story(twin):
        with pytest.raises(InputError, match="Arrow stream"):
            await twin.accept_arrow(stream)
        assert await twin._log.range() == (1, 0)

    asyncio.run(living(city_folder, story))


def test_columns_of_different_length_are_refused():
    with pytest.raises(InputError, match="differ in length"):
        write_arrow(["a", "b"], [1], [1])


def test_a_long_stream_is_cut_into_messages_that_the_log_takes():
    (stream,) = write_arrow([f"d{i}" for i in range(50_000)], np.arange(50_000.0), np.arange(50_000.0))
    assert len(stream) > 1 << 20
    parts = pieces_of(stream, 200_000)
    assert max(map(len, parts)) <= 200_000
    from citytwin.io.feeds.arrow import read_arrow
    from citytwin.io.feeds.words import words_of

    names = words_of([b"d7"])
    assert np.concatenate([read_arrow(p, names).value for p in parts]).tolist() == list(range(50_000))
