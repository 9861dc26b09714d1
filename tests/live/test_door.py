"""Laws of the door: readings are acknowledged when the log has them, and everything else goes to the broker."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import time

import pytest
from test_live_twin import PATIENCE, Listening, broker_of, counted, kept, living, until

from citytwin.errors import InputError
from citytwin.io.feeds.child import any_port
from citytwin.io.feeds.door.process import DoorProcess
from citytwin.io.feeds.fleet import Fleet
from citytwin.io.feeds.mqtt import packet
from citytwin.io.feeds.topics import Pattern

NOISE = b"city/noise/device-3"


def text(words):
    return struct.pack(">H", len(words)) + words


class Client:
    """A plain MQTT client that notes every packet it gets."""

    def __init__(self):
        self.got = []

    @classmethod
    async def connect(cls, port, name=b"one", clean=True, will=None, keep_alive=60, level=4):
        here = cls()
        here.reader, here.writer = await asyncio.open_connection("127.0.0.1", port)
        flags = (2 if clean else 0) | (4 if will else 0)
        body = text(b"MQTT") + struct.pack(">BBH", level, flags, keep_alive) + text(name)
        here.send(0x10, body + (text(will[0]) + text(will[1]) if will else b""))
        here.task = asyncio.create_task(here._read())
        await here.wait(0x20)
        return here

    def send(self, first, body):
        self.writer.write(packet(first, body))

    def publish(self, topic, payload, qos=1, number=1, retain=0, again=0):
        self.send(0x30 | again << 3 | qos << 1 | retain, text(topic) + (struct.pack(">H", number) if qos else b"") + payload)

    async def subscribe(self, topic, qos=1):
        self.send(0x82, struct.pack(">H", 77) + text(topic) + bytes((qos,)))
        return await self.wait(0x90)

    async def _read(self):
        try:
            while True:
                first = (await self.reader.readexactly(1))[0]
                length, shift = 0, 0
                while True:
                    digit = (await self.reader.readexactly(1))[0]
                    length |= (digit & 127) << shift
                    shift += 7
                    if digit < 128:
                        break
                self.got.append((first, await self.reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.got.append((0, b""))

    async def wait(self, kind):
        """The body of the next packet of a kind (0: the end of the connection)."""
        await until(lambda: any(f & 0xF0 == kind for f, _ in self.got), f"a packet {kind:#x}")
        at = next(i for i, (f, _) in enumerate(self.got) if f & 0xF0 == kind)
        return self.got.pop(at)[1]

    async def close(self, politely=True):
        if politely:
            self.send(0xE0, b"")
        self.writer.close()
        await asyncio.wait_for(self.task, PATIENCE)


def test_a_device_subscribes_and_publishes_on_one_connection(city_folder):
    async def story(twin):
        device, other = await Client.connect(twin.mqtt_port, b"device"), await Client.connect(twin.mqtt_port, b"other")
        assert await device.subscribe(b"command/+/device-3") == b"\0\x4d\1"
        device.publish(NOISE, b"61", number=5)
        assert await device.wait(0x40) == b"\0\5"
        other.publish(b"command/noise/device-3", b"quiet", number=9)
        assert await other.wait(0x40) == b"\0\x09"
        assert (await device.wait(0x30)).startswith(text(b"command/noise/device-3"))
        device.send(0xC0, b"")
        assert await device.wait(0xD0) == b""
        await until(lambda: counted(twin) == 1)
        for client in (device, other):
            await client.close()

    asyncio.run(living(city_folder, story))


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_quality_of_service_is_taken_and_answered(city_folder, qos):
    async def story(twin):
        client = await Client.connect(twin.mqtt_port)
        client.publish(NOISE, b"61", qos, number=300)
        if qos == 1:
            assert await client.wait(0x40) == b"\1\x2c"
        if qos == 2:
            assert await client.wait(0x50) == b"\1\x2c"
            client.send(0x62, b"\1\x2c")
            assert await client.wait(0x70) == b"\1\x2c"
        await until(lambda: counted(twin) == 1)
        await client.close()

    asyncio.run(living(city_folder, story))
    assert len(kept(city_folder)) == 1


def test_many_packets_in_pieces_and_one_that_is_retained_are_all_taken_once(city_folder):
    async def story(twin):
        client = await Client.connect(twin.mqtt_port)
        moments = range(1_795_000_000, 1_795_000_200)
        frames = b"".join(
            packet(0x32 | (t % 50 == 0), text(NOISE) + struct.pack(">H", n + 1) + b'{"value":60,"time":%d}' % t)
            for n, t in enumerate(moments)
        )
        for at in range(0, len(frames), 777):
            client.writer.write(frames[at : at + 777])
            await asyncio.sleep(0)
        await until(lambda: len([1 for f, _ in client.got if f == 0x40]) == 200, "200 acknowledgements")
        assert {struct.unpack(">H", b)[0] for f, b in client.got if f == 0x40} == set(range(1, 201))
        late = await Client.connect(twin.mqtt_port, b"late")
        await late.subscribe(NOISE, 0)
        assert b'"time":1795000150' in await late.wait(0x30)  # the newest that was retained
        await until(lambda: counted(twin) == 200)
        assert twin.quality()["counts"]["good"] == 200
        for each in (client, late):
            await each.close()

    asyncio.run(living(city_folder, story))


def test_a_will_is_published_for_a_device_that_vanishes_and_not_for_one_that_says_goodbye(city_folder):
    async def story(twin):
        watcher = await Client.connect(twin.mqtt_port, b"watcher")
        await watcher.subscribe(b"state/+", 0)
        for name, politely in ((b"polite", True), (b"rude", False)):
            device = await Client.connect(twin.mqtt_port, name, will=(b"state/" + name, b"gone"))
            await device.close(politely)
        assert await watcher.wait(0x30) == text(b"state/rude") + b"gone"
        assert not watcher.got
        await watcher.close()

    asyncio.run(living(city_folder, story))


def test_a_session_that_is_kept_brings_what_was_sent_while_the_device_was_away(city_folder):
    async def story(twin):
        device = await Client.connect(twin.mqtt_port, b"device", clean=False)
        await device.subscribe(b"command/x")
        await device.close()
        other = await Client.connect(twin.mqtt_port, b"other")
        other.publish(b"command/x", b"while away")
        await other.wait(0x40)
        device = await Client.connect(twin.mqtt_port, b"device", clean=False)
        assert (await device.wait(0x30)).endswith(b"while away")
        device.publish(NOISE, b"61", number=5)
        assert await device.wait(0x40) == b"\0\5"
        for each in (device, other):
            await each.close()

    asyncio.run(living(city_folder, story))


def test_a_second_connection_of_the_same_name_ends_the_first(city_folder):
    async def story(twin):
        first = await Client.connect(twin.mqtt_port, b"same")
        second = await Client.connect(twin.mqtt_port, b"same")
        await first.wait(0)
        second.publish(NOISE, b"61")
        await second.wait(0x40)
        await second.close()

    asyncio.run(living(city_folder, story))


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.1\r\n\r\n", b"\x30\xff\xff\xff\xff\x01", b"\x10\x00",
                                      b"\x32\x05\x00\x09citynoise",
                                      packet(0x32, b"\0\x05city/"), packet(0x36, b"\0\x06city/x\0\1z")])  # fmt: skip
def test_what_is_no_mqtt_ends_its_connection_and_nobody_elses(city_folder, nonsense):
    async def story(twin):
        good = await Client.connect(twin.mqtt_port, b"good")
        for hello in (False, True):
            if hello:
                bad = await Client.connect(twin.mqtt_port, b"bad")
            else:
                bad = Client()
                bad.reader, bad.writer = await asyncio.open_connection("127.0.0.1", twin.mqtt_port)
                bad.task = asyncio.create_task(bad._read())
            bad.writer.write(nonsense)
            bad.writer.write_eof()
            await bad.wait(0)
        good.publish(NOISE, b"61")
        await good.wait(0x40)
        await good.close()

    asyncio.run(living(city_folder, story))


def test_an_mqtt_version_that_is_not_spoken_is_refused(city_folder):
    async def story(twin):
        client = Client()
        client.reader, client.writer = await asyncio.open_connection("127.0.0.1", twin.mqtt_port)
        client.send(0x10, text(b"MQTT") + struct.pack(">BBH", 5, 2, 60) + b"\0" + text(b"five"))
        assert await asyncio.wait_for(client.reader.read(), PATIENCE) == b"\x20\x02\0\1"

    asyncio.run(living(city_folder, story))


def test_a_device_that_is_silent_for_longer_than_it_promised_is_let_go(city_folder):
    async def story(twin):
        client = await Client.connect(twin.mqtt_port, keep_alive=1)
        begin = time.monotonic()
        await client.wait(0)
        assert time.monotonic() - begin >= 1.5

    asyncio.run(living(city_folder, story))


def test_a_door_that_is_killed_under_load_comes_back_on_its_port_and_nothing_is_lost_or_doubled(city_folder):
    async def story(twin):
        fleet = Fleet(twin.city, twin.columns.kinds, rate=1000, connections=5, faults=0)
        running = asyncio.create_task(fleet.run("127.0.0.1", twin.mqtt_port, 3.0, patience=PATIENCE))
        await asyncio.sleep(1.0)
        port = twin.mqtt_port
        os.kill(twin._door.pid, signal.SIGKILL)
        done = await running
        assert done.acked == done.sent > 300
        await until(lambda: counted(twin) >= done.sent + twin.quality()["counts"]["doubled"], "reading all of it")
        assert twin.mqtt_port == port
        return done.sent

    sent = asyncio.run(living(city_folder, story))
    found = kept(city_folder)
    assert len({(d, t) for d, t, _ in found}) == len(found) == sent


def test_devices_stay_connected_while_the_broker_is_killed_and_are_acknowledged_when_it_is_back(city_folder):
    async def story(twin):
        client = await Client.connect(twin.mqtt_port)
        os.kill(twin._broker.pid, signal.SIGKILL)
        for n in range(100):
            client.publish(NOISE, b'{"value":60.%d,"time":%d}' % (n % 10, 1_795_000_000 + n), number=n + 1)
        await until(lambda: len([1 for f, _ in client.got if f == 0x40]) == 100, "100 acknowledgements")
        assert not [1 for f, _ in client.got if f == 0]
        await until(lambda: counted(twin) == 100)
        assert twin.quality()["counts"]["good"] == 100
        await client.close()

    asyncio.run(living(city_folder, story))


def test_readings_of_a_door_whose_twin_and_broker_are_dead_are_acknowledged_only_when_they_are_stored(city_folder):
    twin = Listening(city_folder)
    twin.end(signal.SIGKILL)
    os.kill(broker_of(city_folder)["pid"], signal.SIGKILL)

    async def story():
        client = await Client.connect(twin.port)
        client.publish(NOISE, b'{"value":60,"time":1795000000}')
        await asyncio.sleep(0.5)
        assert client.got == []

        async def then(again):
            assert again._door.adopted
            assert again.mqtt_port == twin.port
            await client.wait(0x40)
            await until(lambda: counted(again) == 1)

        await living(city_folder, then)

    asyncio.run(story())
    assert len(kept(city_folder)) == 1


def test_a_device_is_not_read_while_the_log_is_behind(city_folder):
    async def story(twin):
        client = await Client.connect(twin.mqtt_port)
        os.kill(twin._broker.pid, signal.SIGSTOP)
        try:
            frame, sent = packet(0x32, text(NOISE) + b"\0\1" + b" " * 60_000 + b"60"), 0
            while sent < 2000:  # 120 MB, of which the door holds 32
                client.writer.write(frame)
                sent += 1
                try:
                    await asyncio.wait_for(client.writer.drain(), 1.0)
                except TimeoutError:
                    break
            assert 32 << 20 < sent * len(frame) < 100 << 20
        finally:
            os.kill(twin._broker.pid, signal.SIGCONT)
        await until(lambda: len([1 for f, _ in client.got if f == 0x40]) == sent, "all acknowledgements")
        await until(lambda: counted(twin) == sent)
        await client.close()

    asyncio.run(living(city_folder, story))


@pytest.mark.parametrize(
    ("pattern", "topic", "levels"),
    [("a/+/c", "a/b/c", {}), ("a/{id}/c", "a/b/c", {"id": "b"}), ("a/#", "a/b/c", {}), ("a/#", "a", {}), ("a/+", "a/b/c", None),
     ("a/{x}", "b/b", None), ("+/{x}/up", "q/r/up", {"x": "r"})],
)  # fmt: skip
def test_a_topic_filter_matches_as_mqtt_says(pattern, topic, levels):
    assert Pattern(pattern).matches(topic) == levels


@pytest.mark.parametrize("pattern", ["", "a/#/b", "a+/b", "a/b#"])
def test_a_wrong_topic_filter_is_refused(pattern):
    with pytest.raises(InputError, match="topic filter"):
        Pattern(pattern)


def test_a_door_whose_folder_is_gone_ends(tmp_path):
    """No twin would find it again, and nobody would end it."""

    async def story():
        with_nobody_behind = any_port("127.0.0.1")
        door = DoorProcess(tmp_path / "door")
        await door.start(0, with_nobody_behind, with_nobody_behind, [])
        shutil.rmtree(tmp_path / "door")
        await until(lambda: not door.alive)

    asyncio.run(story())
