"""150,000 devices and a month of what they measured: memory, restart, a past moment, a device's month, a box and a kind.

    make bench CASE=devices
    CITYTWIN_BENCH_DAYS=30 CITYTWIN_BENCH_MINUTES=77 make bench CASE=devices

What is generated: a city of 150,000 devices of 30 kinds in turn. For one kind, river_stage, some devices (2,000) each minute
over the days (30) before, a day a batch of commits, compacted each day. Then the last minutes (77) of *every* device at one
reading a minute, committed each ten seconds of the city's time, compacted twice a minute with the limits of a living twin,
with a checkpoint each quarter of an hour. The last quarter has none yet, so that "now" is the worst moment: 17 minutes are
folded from the files. Times are the middle of several; beside them the processor time.
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

from benchmarks.row import Row
from citytwin.city import City, read_city, write_city
from citytwin.city.graph import Graph
from citytwin.city.query import query_of
from citytwin.columns import shipped
from citytwin.io.stores.checkpoints import QUARTER
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import DAY, ReadingStore
from citytwin.state import Arrivals, State
from citytwin.twin.devices import Devices
from citytwin.twin.questions import Questions
from citytwin.twin.upkeep import GRACE
from citytwin.twin.writer import Writer
from validation.live import many_devices

DEVICES, KINDS = 150_000, 30
MINUTES = int(os.environ.get("CITYTWIN_BENCH_MINUTES", "77"))  # of all devices
DAYS = int(os.environ.get("CITYTWIN_BENCH_DAYS", "30"))
CHARTED, LONG_KNOWN = "river_stage", 2_000
COMMITS = 6  # a minute
TIMES = 9


class Writing:
    """Readings of made-up values into a store, in the order of the log."""

    def __init__(self, store: ReadingStore, devices: Devices) -> None:
        self.store = store
        self.rng = np.random.default_rng(1)
        self.phase = self.rng.uniform(0.0, 60.0, len(devices.keys))
        self.low, self.high = np.array([k.usual for k in devices.kinds])[devices.kind].T

    def commit(self, row: np.ndarray, moment: np.ndarray) -> None:
        """One commit: devices `row`, measured at `moment` (s since 1970), rounded to thousandths; 100 readings a message."""
        n, low, high = len(row), self.low[row], self.high[row]
        value = low + (high - low) * (0.5 + 0.3 * np.sin(moment / 7200.0 + row) + 0.02 * self.rng.standard_normal(n))
        batch = Arrivals(
            row.astype(np.int32), moment, np.round(value, 3), moment + self.rng.uniform(0.0, 0.5, n), np.zeros(n, np.uint8),
            self.store.committed + 1 + np.arange(n) // 100, (np.arange(n) % 100).astype(np.int32),
        )  # fmt: skip
        self.store.commit(batch, self.store.committed + n // 100 + 1)

    def day(self, rows: np.ndarray, begin: float, end: float) -> int:
        """A reading a minute of devices `rows`, in commits of three hours; compacted. How many."""
        number = 0
        for part in np.arange(begin, end, 10_800.0):
            minutes = np.arange(part, min(part + 10_800.0, end), 60.0)
            self.commit(np.tile(rows, len(minutes)), (minutes[:, None] + self.phase[rows]).ravel())
            number += len(rows) * len(minutes)
        self.store.compact(0, 0)
        return number

    def minute(self, begin: float) -> int:
        """A reading of every device, as they come in life. How many."""
        order = np.argsort(self.phase)
        for number, row in enumerate(np.array_split(order, COMMITS)):
            self.commit(row, begin + self.phase[row])
            if number % 3 == 2:
                self.store.compact(2)
        return len(order)


def city() -> City:
    """Devices of the first 30 shipped kinds, the charted one among them, on a grid of 20 m."""
    made = many_devices(DEVICES)
    kinds = [CHARTED, *(k for k in shipped().kinds if k != CHARTED)][:KINDS]
    made.table("device")["kind"] = [kinds[i % KINDS] for i in range(DEVICES)]
    return made


def made(folder: Path, end: float) -> int:
    """Write city and history; the number of readings."""
    write_city(city(), folder)
    here = read_city(folder)
    devices = Devices(folder, here, here.columns)
    store = ReadingStore(folder / "live", devices.keys, devices.kinds, devices.kind)
    history, writing, begin = History(store), Writing(store, devices), end - 60.0 * MINUTES
    charted = np.flatnonzero(np.array(devices.names) == CHARTED)[:LONG_KNOWN]
    number = sum(writing.day(charted, max(day, end - DAYS * DAY), min(day + DAY, begin))
                 for day in np.arange((end - DAYS * DAY) // DAY * DAY, begin, DAY))  # fmt: skip
    quarter = int(begin // QUARTER)  # older moments have no checkpoints: none is asked for
    for moment in begin + 60.0 * np.arange(MINUTES):
        number += writing.minute(moment)
        if (quarter + 1) * QUARTER + GRACE < moment + 60.0:
            history.make_checkpoint(quarter)
            quarter += 1
    return number


def asked(folder: Path, end: float) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """The questions, with their bounds."""
    here = read_city(folder)
    devices = Devices(folder, here, here.columns)
    store = ReadingStore(folder / "live", devices.keys, devices.kinds, devices.kind)
    history = History(store)
    questions = Questions(here, here.columns, devices, history, Writer(store))
    key = devices.keys[int(np.flatnonzero(np.array(devices.names) == CHARTED)[777])]
    begin = end - DAYS * DAY
    yield f"a device's {DAYS} days of minutes, 1,000 buckets", "200 ms", lambda: questions.window(key, begin, end, 1000)
    yield "the same, 2,000 telling points", "200 ms", lambda: questions.readings(key, begin, end, 2000, True)
    quarter = store.checkpoints.quarters[-1] * QUARTER
    for name, moment in (("at the end of a quarter", quarter + QUARTER), ("in its midst", quarter + 450.0),
                         ("17 min after the last checkpoint", end)):  # fmt: skip
        known = int(np.isfinite(_values(questions.state_at(moment), devices)).sum())
        yield f"state of the city {name}, {known:,} known", "2,000 ms", lambda moment=moment: questions.state_at(moment)
    graph, state = Graph.of(here), State(here)
    x, y = 500_000.0, 5_000_000.0
    lon, lat = here.to_lonlat([x, x + 3000.0], [y, y + 5000.0])
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


def started(folder: Path) -> tuple[float, float, float, float]:
    """Seconds until the twin of `folder` is ready, its processor time, its memory (MiB) then and half a minute later."""
    program = Path(sys.executable).with_name("citytwin")
    begin = time.perf_counter()
    process = subprocess.Popen([program, "devices", "listen", folder, "--mqtt-port", "0"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        seconds = time.perf_counter() - begin
        busy = sum(psutil.Process(process.pid).cpu_times()[:2])
        at_once = psutil.Process(process.pid).memory_info().rss / 2**20
        time.sleep(30)
        later = psutil.Process(process.pid).memory_info().rss / 2**20
    finally:
        process.terminate()
        process.wait(60)
    return seconds, busy, at_once, later


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that one takes, on the clock and of the processors: the middle of several, after a first."""
    work()
    times = []
    for _ in range(TIMES):
        begin, busy = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - begin, time.process_time() - busy))
    wall, processor = np.median(times, axis=0) * 1e3
    return float(wall), float(processor)


def living() -> Iterator[Row]:
    """Make it all, ask, restart."""
    folder = Path(tempfile.mkdtemp(prefix="citytwin-devices-")) / "city"
    end = time.time() // QUARTER * QUARTER - QUARTER + GRACE  # two minutes into a quarter: the one before has no checkpoint yet
    try:
        begin = time.perf_counter()
        number = made(folder, end)
        sizes = [sum(p.stat().st_size for p in (folder / "live" / name).rglob("*.parquet")) / 2**20
                 for name in ("readings", "checkpoints")]  # fmt: skip
        took_to_make = f"{time.perf_counter() - begin:.0f} s"
        yield Row(
            f"devices: {number:,} readings generated",
            took_to_make,
            memory="{:,.0f} MiB disk, checkpoints {:,.0f} MiB more".format(*sizes),
        )
        for name, bound, work in asked(folder, end):
            wall, busy = measured(work)
            yield Row(f"devices: {name}", f"{wall:.1f} ms, processor {busy:.1f} ms", f"bound {bound}")
        for word in ("first start", "restart"):
            seconds, busy, at_once, later = started(folder)
            memory, times = f"{at_once:.0f}, then {later:.0f} MiB", f"{seconds:.1f} s, processor {busy:.1f} s"
            yield Row(f"devices: {word} to live, {DEVICES:,} devices", times, "bound 20 s, 2,048 MiB", memory=memory)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


CASES = [living]
