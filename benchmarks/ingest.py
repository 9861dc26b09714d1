"""Readings a second, from devices to Parquet: single MQTT QoS 1 messages, and batches over the log.

Each run starts `citytwin devices listen` on a made folder in its own process, sends for a fixed time from this one with
at most `OPEN` messages unacknowledged, and stops the clock when the last reading stands in the history.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import duckdb
import geopandas as gpd
import nats
import numpy as np
import psutil

from benchmarks.row import Row
from citytwin.city import City, Facts, write_city
from citytwin.io.feeds.log import LINES
from citytwin.io.feeds.mqtt import Publisher

SECONDS = 10.0
OPEN = 20_000  # messages sent and not yet acknowledged, over all connections
DEVICES = 10_000
PATIENCE = 300.0
Send = Callable[[Path, int], Awaitable[int]]


def devices() -> City:
    """Devices of one kind in one place."""
    table = gpd.GeoDataFrame(
        {"key": [f"d{i}" for i in range(DEVICES)], "kind": "noise", "name": "", "zone": ""},
        geometry=gpd.points_from_xy(np.full(DEVICES, 5e5), np.full(DEVICES, 5e6)), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Bench", "EPSG:32631"), {"device": table})


async def single(folder: Path, port: int, connections: int) -> int:
    """QoS 1, one reading a message, over `connections` connections; number acknowledged."""
    publishers = [Publisher("127.0.0.1", port, f"bench-{i}", max(1, OPEN // connections)) for i in range(connections)]
    for publisher in publishers:
        await publisher.connect()
    topics = [f"city/noise/d{i}".encode() for i in range(DEVICES)]
    begin, tick = time.time(), 0
    while time.time() - begin < SECONDS:
        stamp = b"%.3f" % (begin + tick * 0.001)
        for i, topic in enumerate(topics):
            publisher = publishers[i % connections]
            if not publisher.free:
                await publisher.ready()
            publisher.publish(topic, b'{"value":%d.%d,"time":%s}' % (50 + tick % 20, i % 10, stamp))
            if i % 500 == 0:
                await asyncio.sleep(0)
        tick += 1
    for publisher in publishers:
        await publisher.close(PATIENCE)
    return sum(p.acked for p in publishers)


async def batches(folder: Path, port: int, lines: int = 1000) -> int:
    """JSON lines, `lines` readings a message, each confirmed by the log, eight open at a time; number confirmed."""
    client = await nats.connect(f"nats://127.0.0.1:{json.loads((folder / 'live/nats/broker.json').read_text())['port']}")
    begin = time.time()

    async def worker(number: int) -> int:
        done, tick = 0, 0
        while time.time() - begin < SECONDS:
            stamp = begin + (8 * tick + number) * 0.001
            first = (tick * lines) % DEVICES
            said = [b'{"device":"d%d","value":%d.5,"time":%.3f}' % (first + i, 50 + tick % 20, stamp) for i in range(lines)]
            await client.request(LINES, b"\n".join(said), timeout=60)
            done, tick = done + lines, tick + 1
        return done

    total = sum(await asyncio.gather(*(worker(n) for n in range(8))))
    await client.close()
    return total


def measure(send: Send) -> tuple[int, float, float, float]:
    """Readings kept, readings a second, CPU microseconds of twin and broker a reading, memory of both at the end (MiB)."""
    folder = Path(tempfile.mkdtemp(prefix="citytwin-bench-")) / "city"
    try:
        write_city(devices(), folder)
        program = str(Path(sys.executable).with_name("citytwin"))
        twin = subprocess.Popen([program, "devices", "listen", str(folder), "--mqtt-port", "0"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)  # fmt: skip
        assert twin.stdout is not None
        port = json.loads(twin.stdout.readline())["mqtt_port"]
        broker = psutil.Process(json.loads((folder / "live/nats/broker.json").read_text())["pid"])
        both = (psutil.Process(twin.pid), broker)
        before, begin = sum(sum(p.cpu_times()[:2]) for p in both), time.time()
        sent = asyncio.run(send(folder, port))
        _, last = asyncio.run(_until_committed(folder))
        took = last - begin
        cpu = sum(sum(p.cpu_times()[:2]) for p in both) - before
        memory = sum(p.memory_info().rss for p in both) / 2**20
        twin.terminate()
        twin.wait(PATIENCE)
        kept = duckdb.sql(
            f"select count(*), count(distinct (sequence, part)) from '{folder}/live/readings/**/*.parquet'"
        ).fetchall()
        assert kept == [(sent, sent)], f"sent {sent}, kept {kept}"
        return sent, sent / took, cpu / sent * 1e6, memory
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


async def _until_committed(folder: Path) -> tuple[int, float]:
    """Wait until the history has the last message of the log; its place and the time."""
    client = await nats.connect(f"nats://127.0.0.1:{json.loads((folder / 'live/nats/broker.json').read_text())['port']}")
    wanted = json.loads((await client.request("$JS.API.STREAM.INFO.$MQTT_msgs", b"{}")).data)["state"]["last_seq"]
    await client.close()
    end = time.time() + PATIENCE
    while time.time() < end:
        if json.loads((folder / "live/committed.json").read_text())["sequence"] >= wanted:
            return wanted, time.time()
        await asyncio.sleep(0.05)
    raise TimeoutError(f"the history did not reach {wanted} in {PATIENCE:.0f} s")


def rows() -> Iterator[Row]:
    """Both ways in."""
    published = "published: 23,000/s, 108 CPUs"  # Orion-LD with temporal store, FIWARE/load-tests, large
    for work, send in (
        ("MQTT QoS 1, single readings, 50 connections -> Parquet", lambda f, p: single(f, p, 50)),
        ("MQTT QoS 1, single readings, 1,000 connections -> Parquet", lambda f, p: single(f, p, 1000)),
        ("batches of 1,000 JSON lines -> Parquet", batches),
    ):
        _, rate, cpu, memory = measure(send)
        yield Row(work, f"{rate:,.0f}/s", published, f"{rate / 23000:.2f}", f"{memory:.0f} MiB, {cpu:.1f} CPU us each")


CASES = [rows]
