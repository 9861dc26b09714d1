"""Laws of the living twin, with a real broker: what was acknowledged is in the history, once, whatever dies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import nats
import numpy as np
import psutil
import pytest

from citytwin.city import City, read_city, write_city
from citytwin.cli import main
from citytwin.errors import ConflictError
from citytwin.io.feeds.broker import Broker
from citytwin.io.feeds.fleet import Fleet
from citytwin.io.feeds.mqtt import Publisher
from citytwin.io.stores.history import History
from citytwin.twin import Twin

PATIENCE = 60.0


async def until(true, what="it"):
    """Wait for a fact, no longer than PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not happen in {PATIENCE:.0f} s"
        await asyncio.sleep(0.02)


def kept(folder):
    files = list((folder / "live/readings").rglob("*.parquet"))
    query = f"select device, epoch_ms(time), value from '{folder}/live/readings/**/*.parquet' order by all"
    return duckdb.sql(query).fetchall() if files else []


async def publish(port, *messages, qos=1):
    publisher = Publisher("127.0.0.1", port, "test")
    await publisher.connect()
    for topic, payload in messages:
        publisher.publish(topic, payload, qos)
    await publisher.close()
    return publisher.acked


def counted(twin):
    return sum(twin.quality()["counts"].values())


async def living(folder, then):
    twin = Twin.open(folder)
    await twin.start(0)
    try:
        return await then(twin)
    finally:
        await twin.stop()


def test_what_devices_publish_and_what_http_brings_is_state_and_history(city_folder):
    async def story(twin):
        changes = twin.changes(every=0.05)
        first = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        acked = await publish(
            twin.mqtt_port, (b"city/river_stage/device-0", b'{"value": 150, "unit": "cm"}'), (b"city/noise/device-3", b"61"),
            (b"city/noise/nobody", b"61"), (b"city/noise/device-3", b"?"), (b"other/topic", b"1"),
        )  # fmt: skip
        await publish(twin.mqtt_port, (b"city/rain_gauge/device-1", b"2.5"), qos=0)
        now = time.time()
        answer = await twin.accept(b'{"device":"device-2","value":21.5,"time":%.3f}\n{"device":"x","value":1}' % (now - 5))
        await until(lambda: counted(twin) == 7, "reading all seven")
        value, status, when = twin.device_values()
        assert acked == 5
        assert answer == {"accepted": 1, "refused": {"unknown_device": 1}}
        assert value[[0, 1, 2, 3]].tolist() == [1.5, 2.5, 21.5, 61.0]
        assert status[:5].tolist() == [1, 1, 1, 1, 0]
        assert when[2] == pytest.approx(now - 5, abs=0.001)
        assert twin.state["river_level"][0] == 1.5
        assert len(await asyncio.wait_for(first, PATIENCE))
        found = twin.history("device-2", now - 60, now + 60)
        assert (found["column"], found["unit"], found["value"]) == ("air_temperature", "Cel", [21.5])
        quality = twin.quality()
        assert {k: v for k, v in quality["counts"].items() if v} == {"good": 4, "unknown_device": 2, "unreadable": 1}
        assert {r["raw"] for r in quality["recent"]} == {"61", "?", '{"device":"x","value":1}'}
        await until(lambda: len(kept(city_folder)) == 4, "the commit")
        past = await asyncio.to_thread(twin.state_at, now - 3)
        assert past["air_temperature"][2] == 21.5
        assert past["river_level"][0] != past["river_level"][0]

    asyncio.run(living(city_folder, story))
    assert len(kept(city_folder)) == 4


def test_devices_that_stayed_are_known_when_others_came_went_or_became_another_kind(city_folder, monkeypatch):
    begin = int(time.time()) - 100

    async def before(twin):
        speak = ((b"noise", 3, 61), (b"river_stage", 0, 2), (b"rain_gauge", 1, 5))
        said = [(b"city/%s/device-%d" % (kind, i), b'{"value":%d,"time":%d}' % (value + k, begin + k))
                for k in range(3) for kind, i, value in speak]  # fmt: skip
        await publish(twin.mqtt_port, *said, (b"city/noise/device-3", b"?"))
        await until(lambda: counted(twin) == 10)
        return int(np.nanmax(twin.devices.time))

    newest = asyncio.run(living(city_folder, before))
    city = read_city(city_folder)
    table = city.table("device")
    table = table[table["key"] != "device-0"].iloc[::-1].reset_index(drop=True)
    table.loc[table["key"] == "device-1", "kind"] = "noise"
    changed = city_folder.with_name("changed")
    write_city(City(city.facts, {"device": table}), changed)
    shutil.move(city_folder / "live", changed / "live")
    asked, real = [], History.device_counts
    monkeypatch.setattr(History, "device_counts", lambda self, after=0: asked.append(after) or real(self, after))

    async def after(twin):
        value, _, when = twin.device_values()
        row = {key: i for i, key in enumerate(twin.devices.keys)}
        counts = twin.health.of("device-3", begin, time.time())["counts"]
        await publish(twin.mqtt_port, (b"city/noise/device-3", b'{"value":62,"time":%d}' % (begin + 1)))
        await until(lambda: twin.quality()["counts"]["doubled"] == 1, "knowing what was sent again")
        return value[row["device-3"]], when[row["device-3"]], value[row["device-1"]], counts

    value, when, other, counts = asyncio.run(living(changed, after))
    assert (value, when, counts) == (63, newest, {"good": 3, "unreadable": 1})
    assert other != other  # a rain gauge that is a microphone now has said nothing yet
    assert all(place > 0 for place in asked)  # the history was not read from its begin


async def log_of_an_earlier_version(folder, messages):
    """The stream as versions before the door made it."""
    broker = Broker(folder / "live" / "nats")
    await broker.start()
    client = await nats.connect(f"nats://127.0.0.1:{broker.port}")
    stream = client.jetstream()
    await stream.add_stream(name="$MQTT_msgs", subjects=["$MQTT.msgs.>", "city.>", "readings.>"], discard="new")
    for payload in messages:
        await stream.publish("city.noise.device-3", payload)
    await client.close()
    await broker.stop()


@pytest.mark.parametrize(("messages", "words"), [
    ((b"61", b"62"), "holds up to 2 messages that the history has not (let that version run once more"),
    ((), "the log is of an earlier version (the history has all that it held: remove live/nats"),
])  # fmt: skip
def test_the_log_of_an_earlier_version_is_refused_in_one_line_and_nothing_is_forgotten(city_folder, messages, words):
    async def before(twin):
        await publish(twin.mqtt_port, (b"city/noise/device-3", b"61"))
        await until(lambda: counted(twin) == 1)

    asyncio.run(living(city_folder, before))
    memory, committed = city_folder / "live/memory.npz", city_folder / "live/committed.json"
    shutil.rmtree(city_folder / "live/nats")
    committed.write_text('{"sequence": 0}')
    asyncio.run(log_of_an_earlier_version(city_folder, messages))
    known = memory.read_bytes()
    with pytest.raises(ConflictError) as refused:
        asyncio.run(living(city_folder, before))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert memory.read_bytes() == known
    shutil.rmtree(city_folder / "live/nats")
    asyncio.run(living(city_folder, before))


def test_a_twin_that_comes_back_knows_what_it_knew(city_folder):
    async def before(twin):
        await publish(twin.mqtt_port, (b"city/noise/device-3", b'{"value":61,"time":%d}' % int(time.time())))
        await until(lambda: counted(twin) == 1)
        return twin.device_values()

    async def after(twin):
        return twin.device_values(), twin.quality()["counts"]["good"]

    value, status, when = asyncio.run(living(city_folder, before))
    for forgotten in (False, True):
        if forgotten:
            (city_folder / "live/memory.npz").unlink()
        (again, status_again, when_again), good = asyncio.run(living(city_folder, after))
        assert (again[3], when_again[3], status_again[3], good) == (value[3], when[3], status[3], 1)


def test_a_twin_that_is_stopped_politely_first_reads_all_that_was_acknowledged(city_folder):
    async def story(twin):
        moments = range(1_795_000_000, 1_795_003_000)
        messages = ((b"city/noise/device-3", b'{"value":%d,"time":%d}' % (50 + t % 9, t)) for t in moments)
        assert await publish(twin.mqtt_port, *messages) == 3000

    asyncio.run(living(city_folder, story))
    assert len(kept(city_folder)) == 3000


class Listening:
    """`citytwin devices listen` in its own process."""

    def __init__(self, folder: Path) -> None:
        program = str(Path(sys.executable).with_name("citytwin"))
        self.process = subprocess.Popen(
            [program, "devices", "listen", str(folder), "--mqtt-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.port = json.loads(self.process.stdout.readline())["mqtt_port"]

    def end(self, sign):
        self.process.send_signal(sign)
        self.process.communicate(timeout=PATIENCE)


def broker_of(folder):
    return json.loads((folder / "live/nats/broker.json").read_text())


def test_what_is_acknowledged_while_the_twin_is_dead_is_in_the_history_when_it_is_back(city_folder):
    twin = Listening(city_folder)
    twin.end(signal.SIGKILL)
    broker = broker_of(city_folder)
    moments = range(1_795_000_000, 1_795_000_500)
    acked = asyncio.run(publish(twin.port, *((b"city/noise/device-3", b'{"value":61.5,"time":%d}' % t) for t in moments)))
    os.kill(broker["pid"], signal.SIGKILL)
    assert acked == 500

    async def after(again):
        assert not again._broker.adopted
        assert again._door.adopted
        await until(lambda: counted(again) == 500, "reading what the dead broker had acknowledged")

    asyncio.run(living(city_folder, after))
    assert [t for _, t, _ in kept(city_folder)] == [t * 1000 for t in moments]


def test_a_running_broker_is_adopted_with_its_port(city_folder):
    twin = Listening(city_folder)
    twin.end(signal.SIGKILL)
    left = broker_of(city_folder)

    async def after(again):
        assert again._broker.adopted
        assert again._broker.pid == left["pid"]
        assert again._door.adopted
        assert again.mqtt_port == twin.port

    asyncio.run(living(city_folder, after))
    assert not psutil.pid_exists(left["pid"]) or psutil.Process(left["pid"]).status() == psutil.STATUS_ZOMBIE


def test_a_broker_that_dies_under_load_comes_back_on_its_port_and_nothing_is_lost_or_doubled(city_folder):
    async def story(twin):
        fleet = Fleet(twin.city, twin.columns.kinds, rate=1000, connections=5, faults=0)
        running = asyncio.create_task(fleet.run("127.0.0.1", twin.mqtt_port, 3.0, patience=PATIENCE))
        await asyncio.sleep(1.0)
        os.kill(twin._broker.pid, signal.SIGKILL)
        done = await running
        assert done.acked == done.sent > 300
        await until(lambda: counted(twin) >= done.sent + twin.quality()["counts"]["doubled"], "reading all of it")
        assert twin._broker.alive
        return done.sent

    sent = asyncio.run(living(city_folder, story))
    found = kept(city_folder)
    assert len(found) == sent
    assert len({(d, t) for d, t, _ in found}) == sent


def test_two_twins_on_one_folder_conflict_and_say_who_holds_it(city_folder, capsys):
    holder = Twin.open(city_folder)
    with pytest.raises(ConflictError, match=f"process {os.getpid()}"):
        Twin.open(city_folder)
    program = str(Path(sys.executable).with_name("citytwin"))
    other = subprocess.run([program, "devices", "listen", str(city_folder)], capture_output=True, text=True, timeout=PATIENCE)
    assert (other.returncode, other.stdout) == (2, "")
    assert other.stderr.count("\n") == 1
    assert f"another twin runs on this folder (process {os.getpid()})" in other.stderr
    holder._lock.release()
    Twin.open(city_folder)._lock.release()


def test_a_lock_left_by_a_dead_process_is_taken_over(city_folder):
    code = "import os, sys; from citytwin.twin import Twin; Twin.open(sys.argv[1]); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(city_folder)], timeout=PATIENCE)
    assert (city_folder / "live/lock").read_text().strip().isdigit()
    Twin.open(city_folder)._lock.release()


def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(city_folder, capsys):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert main(["devices", "listen", str(city_folder), "--mqtt-port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"port {port} is taken" in said.err
    assert "--mqtt-port" in said.err
    assert said.err.count("\n") == 1
    assert not (city_folder / "live/nats/broker.json").exists()


def test_simulating_devices_without_a_broker_says_so_in_one_line(city_folder, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert main(["devices", "simulate", str(city_folder), "--mqtt", f"127.0.0.1:{port}", "--seconds", "1"]) == 3
    assert "no MQTT broker answers" in capsys.readouterr().err
    assert main(["devices", "simulate", str(city_folder), "--mqtt", "nowhere"]) == 2


def test_readings_wait_while_the_disk_is_full_and_none_is_lost(city_folder, monkeypatch):
    from citytwin.io.stores import readings as module

    async def story(twin):
        real = module.write_partial

        def full(table, path, *form):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "write_partial", full)
        await publish(
            twin.mqtt_port, *((b"city/noise/device-3", b'{"value":60,"time":%d}' % t) for t in range(10**9, 10**9 + 50))
        )
        await until(lambda: "disk is full" in twin.quality()["problem"], "saying that the disk is full")
        assert kept(city_folder) == []
        monkeypatch.setattr(module, "write_partial", real)
        await until(lambda: len(kept(city_folder)) == 50, "writing after all")

    asyncio.run(living(city_folder, story))
