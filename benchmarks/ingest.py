"""Readings from devices to Parquet: single MQTT QoS 1 messages from 1,000 connections, a burst, batches, and how soon seen.

Each row starts the twin of a made folder (`citytwin devices listen`, or `citytwin serve` where there is HTTP) and a load in a
process of its own, and stops the clock when the last reading stands in the history. Every acknowledged reading, named by
device and time, must then stand in the Parquet files exactly once; plain DuckDB counts. All processes share this machine.

    INGEST_SECONDS=300 INGEST_BURST=60 make bench CASE=ingest      the full length; by default 10 and 5 seconds

Batches are offered no faster than `OFFERED`, a million readings for each second, thirty at most; senders have few messages in
flight, as real ones. CPU microseconds a reading are given for twin, door, broker and load: they hold on a busy machine, where
rates do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import nats
import numpy as np
import psutil
import pyarrow as pa
import websockets

from benchmarks.row import Row
from citytwin.city import City, Facts, write_city
from citytwin.io.feeds.arrow import cut
from citytwin.io.feeds.log import STREAM
from citytwin.io.feeds.subjects import ARROW

SECONDS = float(os.environ.get("INGEST_SECONDS", "10"))
BURST = float(os.environ.get("INGEST_BURST", "5"))
DEVICES, PROBES = 10_000, 600
ALL = 133_000  # devices of the burst, each once a second
WINDOW = 20  # messages of one connection that wait for their acknowledgement
OFFERED = 1_250_000  # readings a second in batches, a quarter more than is wanted
BATCHED = 1_000_000 * int(min(SECONDS, 30))  # readings of a row of batches
PATIENCE = 120.0
PUBLISHED = "published: 23,000/s, 108 CPUs"  # Orion-LD with temporal store, FIWARE/load-tests, large


def devices(number: int) -> City:
    """Devices of one kind in one place; the last are probes."""
    keys = [f"d{i:06d}" for i in range(number)] + [f"probe{i}" for i in range(PROBES)]
    n = len(keys)
    table = gpd.GeoDataFrame(
        {"key": keys, "kind": "noise", "name": "", "zone": ""},
        geometry=gpd.points_from_xy(5e5 + np.arange(n) % 100, 5e6 + np.arange(n) // 100), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Bench", "EPSG:32631"), {"device": table})


@dataclass
class Found:
    """What a run did: readings acknowledged, kept, kept more than once, lost; rate from the first sent to the last in the
    history; `offered`: rate at which they were sent; `behind`: s from the last sent to the last kept; CPU us a reading of each
    process; memory of twin, door and broker (MiB); `seen`: s until a page had a reading (99th percentile)."""  # noqa: D209

    acked: int
    kept: int
    twice: int
    lost: int
    rate: float
    offered: float
    behind: float
    cpu: dict[str, float]
    memory: float
    seen: float = float("nan")


class Living:
    """A twin in its own process."""

    def __init__(self, folder: Path, page: bool, number: int) -> None:
        write_city(devices(number), folder)
        self.folder = folder
        program = str(Path(sys.executable).with_name("citytwin"))
        self.port = _free_port()
        self.mqtt = _free_port()
        words = ["serve", str(folder), "--port", str(self.port)] if page else ["devices", "listen", str(folder)]
        self.process = subprocess.Popen([program, *words, "--mqtt-port", str(self.mqtt)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)  # fmt: skip
        end = time.time() + 120
        while not self._ready(page):
            assert self.process.poll() is None, "the twin ended at once"
            assert time.time() < end, "the twin did not start"
            time.sleep(0.1)
        door, broker = (json.loads((folder / "live" / f).read_text())["pid"] for f in ("door/door.json", "nats/broker.json"))
        self.parts = {"twin": self.process.pid, "door": door, "broker": broker}
        self.before = self.cpu()

    def _ready(self, page: bool) -> bool:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if not json.loads((self.folder / "live/door/door.json").read_text())["pid"]:
                return False
            if page:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/quality", timeout=2).read()
            return True
        return False

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each part so far."""
        return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in self.parts.items()}

    def memory(self) -> float:
        """Resident memory of all parts (MiB)."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.parts.values()) / 2**20

    @property
    def nats(self) -> str:
        """Where NATS clients connect."""
        return f"nats://127.0.0.1:{json.loads((self.folder / 'live/nats/broker.json').read_text())['port']}"

    def stop(self) -> None:
        """End it politely."""
        self.process.terminate()
        self.process.wait(PATIENCE)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def load(living: Living, **given: Any) -> dict[str, Any]:
    """Run the load process against the twin's doors."""
    said = {"form": "single", "port": living.mqtt, "http_port": living.port, "connections": 1000, "seconds": SECONDS,
            "most": None, "rate": None, "window": WINDOW, "devices": DEVICES, "lines": 0, "patience": PATIENCE,
            **given}  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks._load", json.dumps(said), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)
    return found


async def arrow(living: Living, rows: int = 10_000) -> dict[str, Any]:
    """Arrow batches over NATS, four open at a time, each confirmed by the log. Device keys are a dictionary, sent each time."""
    client = await nats.connect(living.nats)
    keys = pa.DictionaryArray.from_arrays(np.arange(DEVICES, dtype=np.int32), [f"d{i:06d}" for i in range(DEVICES)])[:rows]
    value = 50 + np.arange(DEVICES) % 40 * 0.5
    begin, cpu, sent = time.time(), time.process_time(), 0

    async def worker() -> None:
        nonlocal sent
        while sent < BATCHED:
            if (time.time() - begin) * OFFERED < sent:
                await asyncio.sleep(0.001)
                continue
            moment = np.full(rows, begin + sent // rows * 0.001)
            sent += rows
            (stream,) = cut(pa.table({"device": keys, "time": moment, "value": value[:rows]}))
            await client.request(ARROW, stream, timeout=60)

    await asyncio.gather(*(worker() for _ in range(4)))
    await client.close()
    now = time.time()
    spent = time.process_time() - cpu
    return {"sent": sent, "acked": sent, "begin": begin, "published": now, "cpu": spent, "lost_connections": 0}


async def watched(living: Living, **given: Any) -> dict[str, Any]:
    """A load, while single readings of probes are timed from their sending to their arrival at a page's WebSocket."""
    sent: dict[int, float] = {}
    seen: dict[int, float] = {}
    loading = asyncio.create_task(load(living, **given))
    reader, writer = await asyncio.open_connection("127.0.0.1", living.mqtt)
    writer.write(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")
    await reader.readexactly(4)

    async def look() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{living.port}/api/live", max_size=None) as page:
            async for frame in page:
                if isinstance(frame, bytes) and frame[1] == 2:
                    now, (m,) = time.time(), struct.unpack_from("<I", frame, 16)
                    for row in np.frombuffer(frame, np.uint32, m, 24)[-PROBES:].tolist():
                        if row >= DEVICES and row in sent:
                            seen.setdefault(row, now)

    looking = asyncio.create_task(look())
    await asyncio.sleep(2)
    pause = max(0.005, (given.get("seconds", SECONDS) - 4) / PROBES)
    for i in range(PROBES):
        topic = b"city/noise/probe%d" % i
        sent[DEVICES + i] = time.time()
        writer.write(bytes((0x32, len(topic) + 6)) + len(topic).to_bytes(2, "big") + topic + (i + 1).to_bytes(2, "big") + b"60")
        await asyncio.sleep(pause)
    await reader.readexactly(4 * PROBES)
    done = await loading
    await asyncio.sleep(2)
    looking.cancel()
    writer.close()
    assert len(seen) == PROBES, f"a page saw {len(seen)} of {PROBES} probes"
    done["acked"] += PROBES
    done["seen"] = float(np.percentile([seen[row] - sent[row] for row in sent], 99))
    return done


async def committed(living: Living) -> float:
    """Wait until the history has the last message of the log; when that was."""
    client = await nats.connect(living.nats)
    wanted = json.loads((await client.request(f"$JS.API.STREAM.INFO.{STREAM}", b"{}")).data)["state"]["last_seq"]
    await client.close()
    end = time.time() + PATIENCE
    while time.time() < end:
        if json.loads((living.folder / "live/committed.json").read_text())["sequence"] >= wanted:
            return time.time()
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the history did not reach {wanted} in {PATIENCE:.0f} s")


def measure(send: Callable[[Living], Coroutine[Any, Any, dict[str, Any]]], page: bool = False, number: int = DEVICES) -> Found:
    """Run one load against a fresh twin and compare what was acknowledged with what is kept."""
    folder = Path(tempfile.mkdtemp(prefix="citytwin-bench-")) / "city"
    living = None
    try:
        living = Living(folder, page, number)
        done = asyncio.run(send(living))
        last = asyncio.run(committed(living))
        cpu = {name: (now - living.before[name]) / done["acked"] * 1e6 for name, now in living.cpu().items()}
        cpu["load"] = done["cpu"] / done["acked"] * 1e6
        memory = living.memory()
        living.stop()
        assert not done["lost_connections"], f"{done['lost_connections']} connections were lost"
        query = f"select count(*), count(distinct (device, time)) from '{folder}/live/readings/**/*.parquet'"
        ((kept, different),) = duckdb.execute(query).fetchall()
        return Found(
            done["acked"], kept, kept - different, done["acked"] - different, done["acked"] / (last - done["begin"]),
            done["sent"] / (done["published"] - done["begin"]), last - done["published"], cpu, memory,
            done.get("seen", float("nan")),
        )  # fmt: skip
    finally:
        if living is not None and living.process.poll() is None:
            living.stop()
        shutil.rmtree(folder.parent, ignore_errors=True)


def row(work: str, found: Found) -> Row:
    """A result as a line; more than nothing lost or doubled stands out."""
    cpu = "+".join(f"{found.cpu[n]:.2f}" for n in ("twin", "door", "broker", "load"))
    words = f"lost {found.lost}, twice {found.twice}"
    if np.isfinite(found.seen):
        words += f", seen p99 {found.seen:.2f} s"
    memory = f"{found.memory:.0f} MiB; {cpu} CPU us; {words}; last {found.behind:.1f} s after"
    return Row(work, f"{found.rate:,.0f}/s", PUBLISHED, f"{found.rate / 23000:.2f}", memory)


def batch(**given: Any) -> Found:
    """A load of JSON lines."""
    said = {"form": "lines", "connections": 20, "window": 4, "rate": OFFERED, "most": BATCHED, **given}
    return measure(lambda living: load(living, **said), page=said["form"] == "http")


def rows() -> Iterator[Row]:
    """All ways in."""
    found = measure(load)
    yield row(f"MQTT QoS 1, single, 1,000 connections, {SECONDS:.0f} s -> Parquet", found)
    looked = min(max(SECONDS, 8.0), 30.0)
    half = measure(lambda living: watched(living, rate=25_000.0, seconds=looked), page=True)
    yield row("the same at 25,000/s, a page looking on", half)
    burst = measure(
        lambda living: load(living, form="gateways", devices=ALL, rate=ALL, most=int(ALL * BURST), window=2000), number=ALL
    )
    yield row(f"burst, {ALL:,} devices at 1 Hz for {BURST:.0f} s, {burst.offered:,.0f}/s taken", burst)
    many = f"{BATCHED / 1e6:.0f} million"
    yield row(f"MQTT QoS 1, {many} by 20 in messages of 1,000 lines", batch(lines=1000))
    yield row(f"MQTT QoS 1, {many} by 100 in messages of 100 lines", batch(lines=100, connections=100))
    yield row(f"HTTP, {many} in requests of 10,000 JSON lines", batch(form="http", lines=10_000, connections=4))
    yield row(f"NATS, {many} in Arrow streams of 10,000", measure(arrow))


CASES = [rows]
