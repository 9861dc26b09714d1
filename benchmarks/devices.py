"""150,000 devices and a month of what they measured: memory, restart, a past moment, a device's month, a box and a kind.

    make bench CASE=devices
    CITYTWIN_BENCH_DAYS=30 CITYTWIN_BENCH_HOURS=3 make bench CASE=devices

What is generated: a city of 150,000 devices of all shipped kinds in turn; the last hours (3) of *every* device at its own
period (one minute where a kind says less); and for one kind, river_stage, every device each minute over the days (30) before.
Files are written by the store itself, compacted, and have their hourly checkpoints. Times are the middle of several.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from benchmarks.query import took
from benchmarks.row import Row
from citytwin.city import read_city, write_city
from citytwin.city.graph import Graph
from citytwin.city.query import query_of
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import DAY, ReadingStore
from citytwin.io.stores.transitions import Transitions
from citytwin.state import Arrivals, State
from citytwin.twin.devices import Devices
from citytwin.twin.questions import Questions
from citytwin.twin.upkeep import Upkeep
from citytwin.twin.writer import Writer
from validation.live import many_devices

DEVICES = 150_000
RECENT = 3600.0 * int(os.environ.get("CITYTWIN_BENCH_HOURS", "3"))  # seconds of all devices
CHARTED = "river_stage"
SHORTEST = 60.0


def made(folder: Path, days: int, end: float) -> int:
    """Write city and history; the number of readings."""
    city = many_devices(DEVICES)
    write_city(city, folder)
    devices = Devices(folder, city, city.columns)
    store = ReadingStore(folder / "live", devices.keys, devices.kinds, devices.kind)
    usual = np.array([k.usual for k in devices.kinds])[devices.kind]
    rng = np.random.default_rng(1)
    sequence = 0
    charted = np.flatnonzero(np.array(devices.names) == CHARTED)
    for day in range(days):
        begin = end - (days - day) * DAY
        stop = min(begin + DAY, end - RECENT)
        for part in np.array_split(np.arange(begin, stop, 60.0), 4):
            sequence = written(store, charted, part, usual, rng, sequence)
        store.compact(0, 0)
    period = np.maximum(devices.period, SHORTEST)
    for begin in np.arange(end - RECENT, end, 600.0):
        for group in np.unique(period):
            rows = np.flatnonzero(period == group)
            moments = np.arange(np.ceil(begin / group) * group, begin + 600.0, group)
            if len(moments):
                sequence = written(store, rows, moments, usual, rng, sequence)
    store.compact(0, 0)
    history = History(store)
    transitions = Transitions(folder / "live" / "status", devices.keys)
    Upkeep(folder, [k.name for k in devices.kinds], store, history, transitions).make_all(end)
    return sequence


def written(
    store: ReadingStore, rows: np.ndarray, moments: np.ndarray, usual: np.ndarray, rng: np.random.Generator, sequence: int
) -> int:  # fmt: skip
    """Readings of devices `rows` at `moments` into the store; the last place in the log."""
    row, time_ = np.tile(rows, len(moments)).astype(np.int32), np.repeat(moments, len(rows))
    low, high = usual[row].T
    value = low + (high - low) * (0.5 + 0.3 * np.sin(time_ / 7200.0 + row) + 0.02 * rng.standard_normal(len(row)))
    n = len(row)
    for begin in range(0, n, 500_000):
        cut = slice(begin, min(n, begin + 500_000))
        size = cut.stop - cut.start
        batch = Arrivals(
            row[cut], time_[cut], np.round(value[cut], 3), time_[cut], np.zeros(size, np.uint8),
            sequence + 1 + np.arange(size), np.zeros(size, np.int32),
        )  # fmt: skip
        sequence += size
        store.commit(batch, sequence)
    return sequence


def asked(folder: Path, days: int, end: float) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """The questions, with their bounds."""
    city = read_city(folder)
    devices = Devices(folder, city, city.columns)
    store = ReadingStore(folder / "live", devices.keys, devices.kinds, devices.kind)
    history = History(store)
    questions = Questions(city, city.columns, devices, history, Writer(store))
    key = devices.keys[int(np.flatnonzero(np.array(devices.names) == CHARTED)[777])]
    begin = end - days * DAY
    yield f"a device's {days} days of minutes, 1,000 buckets", "200 ms", lambda: questions.window(key, begin, end, 1000)
    yield "the same, 2,000 telling points", "200 ms", lambda: questions.readings(key, begin, end, 2000, True)
    hour = end // 3600 * 3600  # the last full hour of which all devices' readings are there
    for name, moment in (("59 min after a full hour", hour - 60.0), ("at a full hour", hour), ("at the end", end)):
        known = int(np.isfinite(_values(questions.state_at(moment), devices)).sum())
        yield f"state of the city {name}, {known:,} known", "2,000 ms", lambda moment=moment: questions.state_at(moment)
    graph, state = Graph.of(city), State(city)
    x, y = 500_000.0, 5_000_000.0
    lon, lat = city.to_lonlat([x, x + 3000.0], [y, y + 5000.0])
    box = [float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])]
    query = query_of({"table": "device", "kind": CHARTED, "within": {"bbox": box}})
    yield "box and kind", "20 ms", lambda: graph.rows(query, state)


def _values(state: State, devices: Devices) -> np.ndarray:
    """The value of each device."""
    found = np.full(len(devices.keys), np.nan)
    for code, kind in enumerate(devices.kinds):
        rows = devices.kind == code
        found[rows] = state[kind.column.name][rows]
    return found


def started(folder: Path) -> tuple[float, float, float]:
    """Seconds until the twin of `folder` is ready, and its memory (MiB) then and half a minute later; it is ended."""
    program = Path(sys.executable).with_name("citytwin")
    begin = time.perf_counter()
    process = subprocess.Popen([program, "devices", "listen", folder, "--mqtt-port", "0"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        seconds = time.perf_counter() - begin
        at_once = psutil.Process(process.pid).memory_info().rss / 2**20
        time.sleep(30)
        later = psutil.Process(process.pid).memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait(60)
    return seconds, at_once, later


def living() -> Iterator[Row]:
    """Make it all, ask, restart."""
    days = int(os.environ.get("CITYTWIN_BENCH_DAYS", "30"))
    folder = Path(tempfile.mkdtemp(prefix="citytwin-devices-")) / "city"
    end = time.time() // 3600 * 3600 - 120.0
    try:
        begin = time.perf_counter()
        number = made(folder, days, end)
        size = sum(p.stat().st_size for p in (folder / "live").rglob("*.parquet")) / 2**20
        took_to_make = f"{time.perf_counter() - begin:.0f} s"
        yield Row(f"devices: {number:,} readings generated", took_to_make, memory=f"{size:,.0f} MiB disk")
        for name, bound, work in asked(folder, days, end):
            yield Row(f"devices: {name}", f"{took(work):.0f} ms", f"bound {bound}")
        for word in ("first start", "restart"):
            seconds, at_once, later = started(folder)
            yield Row(f"devices: {word} to live, {DEVICES:,} devices", f"{seconds:.1f} s", "bound 20 s, 2,048 MiB",
                      memory=f"{at_once:.0f}, then {later:.0f} MiB")  # fmt: skip
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


CASES = [living]
