"""The twin: opens a city folder and keeps its state current from the log of readings, and its history whole.

    twin = Twin.open("andorra")
    await twin.start()            # broker, log, reader
    ...
    await twin.stop()

The reader goes: log -> decode -> checks -> state -> history -> forget in the log. What it has not written to the history
when it dies, it reads from the log again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.city import City, read_city
from citytwin.columns import Columns
from citytwin.errors import InputError, OutsideError
from citytwin.io.feeds.broker import Broker
from citytwin.io.feeds.decode import Decoder
from citytwin.io.feeds.log import LINES, Log
from citytwin.io.stores.history import History, Known, thinned
from citytwin.io.stores.lock import FolderLock
from citytwin.io.stores.memory import fingerprint, look_up, set_down
from citytwin.io.stores.readings import ReadingStore
from citytwin.sim.registry import columns_with
from citytwin.state import Arrivals, Checks, Health, Quality, State

COMMIT_SECONDS = 1.0  # readings wait at most this long for the history
COMMIT_READINGS = 200_000  # or until so many wait
MOST_WAITING = 1_000_000  # more than this are not read from the log until the history has taken some
FORGET_SECONDS = 5.0
COMPACT_SECONDS = 20.0  # between looks at the number of files; the memory is set down then too
DRAIN_SECONDS = 30.0
MOST_LINES = 4 << 20  # bytes of one message of a batch
LOOKBACK = 6 * 3600.0  # a value read longer ago than this is not part of the city's state at a past moment
LONG_LOOKBACK = 2 * 86400.0  # but a device that comes back is still known
RECENT_REJECTED = 100


class Twin:
    """A city that lives. `city`, `columns` (all declared ones, simulators' too), `state` (live), `mqtt_port`."""

    def __init__(self, folder: Path, city: City, lock: FolderLock) -> None:
        self.folder = folder
        self.city = city
        self.columns: Columns = columns_with(city.columns)
        self.state = State(city, self.columns, time.time())
        self.problem = ""  # what keeps readings from the history just now, in words
        self._lock = lock
        devices = city.table("device") if "device" in city else None
        self._keys: list[str] = [] if devices is None else devices["key"].astype(str).tolist()
        self._kinds = list(self.columns.kinds.values())
        index = {k.name: i for i, k in enumerate(self._kinds)}
        names = [] if devices is None else devices["kind"].tolist()
        unknown = sorted({str(n) for n in names if n not in index})
        if unknown:
            raise InputError(f'devices of kind "{unknown[0]}", which is not declared', str(folder / "device.parquet"),
                             "declare it in a sensors.csv in the city folder")  # fmt: skip
        self._kind = np.array([index[n] for n in names], dtype=np.int32)
        n = len(self._keys)
        self._value = np.full(n, np.nan, dtype=np.float32)
        self._time = np.full(n, np.nan)
        self._changed = np.zeros(n, dtype=np.int64)  # number of the last batch that changed the row
        self._status = np.zeros(n, dtype=np.uint8)
        self._batches = 1
        self._checks = Checks(self._kinds, self._kind)
        self._health = Health(np.array([self._kinds[k].period for k in self._kind], dtype=np.float64))
        self._decoder = Decoder(self._keys, self._kinds, self._kind)
        self._store = ReadingStore(folder / "live", self._keys, self._kinds, self._kind)
        self._history = History(self._store)
        self._counts = np.zeros(len(Quality), dtype=np.int64)
        self._rejected: list[dict[str, Any]] = []
        self._waiting: list[Arrivals] = []
        self._committing = threading.Lock()
        self._memory_file = folder / "live" / "memory.npz"
        self._devices = fingerprint(self._keys, names)
        self._read_to = self._store.committed
        self._broker: Broker | None = None
        self._log: Log | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @classmethod
    def open(cls, folder: Path | str) -> Twin:
        """Open the city in `folder` for living. Raises ConflictError (another twin runs there), MissingError, InputError."""
        folder = Path(folder)
        city = read_city(folder)
        lock = FolderLock(folder / "live" / "lock")
        try:
            return cls(folder, city, lock)
        except BaseException:
            lock.release()
            raise

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self, mqtt_port: int = 1883, host: str = "127.0.0.1") -> None:
        """Start or adopt the broker and read the log from where the history ends. `mqtt_port` 0 takes any free port."""
        self._broker = Broker(self.folder / "live" / "nats", host)
        try:
            await self._broker.start(mqtt_port)
            if not self._broker.adopted:
                await self._bring_up()
            self._log = Log(self._broker.port)
            await self._log.open()
            await asyncio.to_thread(self._remember)
        except BaseException:
            await self.stop()
            raise
        self._tasks = [asyncio.create_task(work()) for work in (self._read, self._write, self._watch, self._age)]

    async def _bring_up(self) -> None:
        """Bring up a broker: first in private, so that the log is there and counts on behind the history, then for all."""
        broker = self._broker
        assert broker is not None
        await broker.run(mqtt=False)
        log = Log(broker.port)
        await log.open()
        await log.continue_after(self._read_to)
        await log.close()
        await broker.pause()
        await broker.run(mqtt=True)

    async def _watch(self) -> None:
        """For ever: bring the broker up again, on the same ports, when it died."""
        while True:
            await asyncio.sleep(0.2)
            if self._broker is not None and not self._broker.alive:
                try:
                    await self._bring_up()
                except OutsideError as error:
                    self.problem = str(error)

    async def stop(self) -> None:
        """Read what the log holds by now, write it to the history, end the broker, let go of the folder.

        What cannot be read within `DRAIN_SECONDS` stays in the log for the next start.
        """
        self._stopping = True
        with contextlib.suppress(OutsideError, TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS if self._tasks else 0):
                await self._drained()
        left = set(self._tasks)
        while left:  # again and again: `asyncio.wait_for` of Python 3.11, used by nats-py, can swallow a cancellation
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=0.5)
        self._tasks = []
        with contextlib.suppress(OutsideError):
            if self._log is not None:
                await self._set_down()
                await self._log.forget(self._store.committed)
        if self._log is not None:
            await self._log.close()
        if self._broker is not None:
            await self._broker.stop()
        self._lock.release()

    async def _drained(self) -> None:
        """Wait until everything that the log holds now has been read."""
        if self._log is not None and self._tasks:
            _, last = await self._log.range()
            while self._read_to < last:
                await asyncio.sleep(0.02)

    @property
    def mqtt_port(self) -> int:
        """Where devices connect."""
        return self._broker.mqtt_port if self._broker else 0

    # -- the reader ---------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """For ever: take messages from the log into the state and the waiting batches."""
        assert self._log is not None
        while True:
            if sum(map(len, self._waiting)) > MOST_WAITING:
                await asyncio.sleep(0.05)
                continue
            try:
                messages = await self._log.read(self._read_to)
            except OutsideError as error:
                self.problem = str(error)
                await asyncio.sleep(0.2)
                continue
            if messages.last:
                self._take(self._decoder.decode(messages), messages.last)

    def _take(self, batch: Arrivals, last: int) -> None:
        if len(batch):
            self._checks.check(batch)
            self._apply(batch)
            self._waiting.append(batch)
        self._read_to = last

    def _apply(self, batch: Arrivals) -> None:
        """Good readings into the state; all into counts and health."""
        self._counts += np.bincount(batch.quality, minlength=len(Quality))
        self._health.hear(batch)
        self._show_rejected(batch)
        good = np.flatnonzero(batch.quality == Quality.GOOD)
        self._set(batch.row[good], batch.time[good], batch.value[good])

    def _set(self, row: npt.NDArray[np.int32], when: npt.NDArray[np.float64], value: npt.NDArray[np.float64]) -> None:
        self._batches += 1
        self._value[row] = value
        self._time[row] = when
        self._changed[row] = self._batches
        kind = self._kind[row]
        for k in np.unique(kind):
            chosen = kind == k
            self.state.edit(self._kinds[k].column.name)[row[chosen]] = value[chosen]
        self.state.time = time.time()

    def _show_rejected(self, batch: Arrivals) -> None:
        for i in np.flatnonzero(~batch.believed)[-RECENT_REJECTED:].tolist():
            name, payload = batch.raw.get(i, ("", b""))
            device = self._keys[batch.row[i]] if batch.row[i] >= 0 else name
            raw = payload.decode("utf-8", "replace") if payload else repr(float(batch.value[i]))
            reason = Quality(batch.quality[i]).word
            self._rejected.append({"device": device, "reason": reason, "raw": raw[:200], "time": float(batch.arrived[i])})
        del self._rejected[:-RECENT_REJECTED]

    async def _age(self) -> None:
        """For ever: notice devices that fell silent."""
        while True:
            status = self._health.status(time.time())
            changed = status != self._status
            if changed.any():
                self._batches += 1
                self._changed[changed] = self._batches
                self._status = status
            await asyncio.sleep(1.0)

    # -- the writer ---------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """For ever: commit what waits, then let the log forget it; keep the files few."""
        forgot = compacted = begun = time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            waiting = sum(map(len, self._waiting))
            if self._read_to == self._store.committed or (now - begun < COMMIT_SECONDS and waiting < COMMIT_READINGS):
                continue
            begun = now
            try:
                await asyncio.to_thread(self._commit)
                if now - forgot > FORGET_SECONDS and self._log is not None:
                    forgot = now
                    await self._log.forget(self._store.committed)
                if now - compacted > COMPACT_SECONDS:
                    compacted = now
                    await self._set_down()
                    await asyncio.to_thread(self._store.compact)
                self.problem = ""
            except OutsideError as error:
                self.problem = str(error)
                await asyncio.sleep(1.0)

    def _commit(self) -> None:
        """Everything that waits, into the history. Called in a thread; one at a time."""
        with self._committing:
            waiting, last = list(self._waiting), self._read_to
            if last > self._store.committed:
                self._store.commit(Arrivals.joined(waiting) if waiting else Arrivals.empty(), last)
                del self._waiting[: len(waiting)]

    def _memory(self) -> dict[str, npt.NDArray[Any]]:
        """What is to be set down: copies, as of `_read_to`."""
        held = self._checks.memory | self._health.memory | {"counts": self._counts}
        return {name: array.copy() for name, array in held.items()}

    async def _set_down(self) -> None:
        """The memory as of what has been read; the history follows first, so that it is never behind the memory."""
        memory, sequence = self._memory(), self._read_to
        await asyncio.to_thread(self._commit)
        await asyncio.to_thread(set_down, self._memory_file, self._devices, sequence, memory)

    def _remember(self) -> None:
        """State, checks and health as they were: from what was set down and the history since, or from the history alone."""
        found = look_up(self._memory_file, self._devices, self._store.committed)
        if found is not None:
            sequence, arrays = found
            for name, array in (self._checks.memory | self._health.memory | {"counts": self._counts}).items():
                array[:] = arrays[name]
            self._recall(self._history.since(sequence))
        else:
            sequence = 0
            self._recall(self._history.last_before(time.time() + 3600, LONG_LOOKBACK, number=8))
        for word, number in self._history.counts(sequence).items():
            self._counts[Quality[word.upper()]] += number
        seen = np.flatnonzero(np.isfinite(self._checks.last_time)).astype(np.int32)
        self._set(seen, self._checks.last_time[seen], self._checks.last_value[seen])

    def _recall(self, known: Known) -> None:
        row = self.city.rows("device", known.device.tolist()).astype(np.int32) if len(known.time) else np.empty(0, np.int32)
        there = row >= 0
        row, when = row[there], known.time[there]
        self._checks.remember(row, when, known.value[there])
        np.maximum.at(self._health.heard, row, when)

    # -- questions ----------------------------------------------------------------------------------------------------

    def device_values(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """Value, status (`citytwin.state.STATUS`) and time (s since 1970, NaN: never) of each device row; copies."""
        self._status = self._health.status(time.time())
        return self._value.copy(), self._status.copy(), self._time.copy()

    async def changes(self, every: float = 1.0) -> AsyncIterator[npt.NDArray[np.int64]]:
        """Rows of devices whose value or status changed, merged: at most one array in `every` seconds, never a queue."""
        seen = self._batches
        while not self._stopping:
            await asyncio.sleep(every)
            now = self._batches
            rows = np.flatnonzero(self._changed > seen)
            seen = now
            if len(rows):
                yield rows

    def history(self, device: str, begin: float, end: float, points: int = 500) -> dict[str, Any]:
        """Readings of one device between two moments (s since 1970), thinned to at most `points` buckets with low and high.

        Raises MissingError with the nearest key.
        """
        row = self.city.row("device", device)
        kind = self._kinds[self._kind[row]]
        waiting = list(self._waiting)
        when, value = self._history.window(device, kind.name, begin, end)
        for batch in waiting:  # not in the history yet
            new = (batch.row == row) & batch.believed & (batch.sequence > self._store.committed)
            new &= (batch.time >= begin) & (batch.time <= end)
            when, value = np.append(when, batch.time[new]), np.append(value, batch.value[new])
        order = np.argsort(when, kind="stable")
        return {"column": kind.column.name, "unit": kind.column.unit,
                **thinned(when[order], value[order], begin, end, points)}  # fmt: skip

    def state_at(self, moment: float) -> State:
        """The city as its devices knew it at a past `moment` (s since 1970)."""
        state = State(self.city, self.columns, moment)
        known = self._history.last_before(moment, LOOKBACK)
        rows = self.city.rows("device", known.device.tolist()) if len(known.time) else np.empty(0, np.int64)
        columns = {k.name: k.column.name for k in self._kinds}
        for name in dict.fromkeys(known.kind.tolist()):
            chosen = (known.kind == name) & (rows >= 0)
            if name in columns:
                state.edit(columns[name])[rows[chosen]] = known.value[chosen]
        return state

    def quality(self) -> dict[str, Any]:
        """Number of readings by what the checks found, and the newest that were not believed."""
        counts = {q.word: int(self._counts[q]) for q in Quality}
        return {"counts": counts, "recent": self._rejected[::-1], "problem": self.problem}

    async def accept(self, lines: bytes) -> dict[str, Any]:
        """Put a batch of readings (JSON lines) into the log; durable when it returns. How many are accepted and refused."""
        if self._log is None:
            raise OutsideError("the twin is not started")
        found = await asyncio.to_thread(self._decoder.look, lines)
        for part in _parts(lines, MOST_LINES):
            await self._log.append(LINES, part)
        accepted = found.pop(Quality.GOOD.word, 0)
        return {"accepted": accepted, "refused": found}


def _parts(lines: bytes, most: int) -> list[bytes]:
    """`lines` cut at line ends into pieces of at most `most` bytes each (a single longer line is left whole)."""
    parts = []
    at = 0
    while at < len(lines):
        end = len(lines) if len(lines) - at <= most else lines.rfind(b"\n", at, at + most) + 1
        if end <= at:
            end = (lines.find(b"\n", at) + 1) or len(lines)
        parts.append(lines[at:end])
        at = end
    return parts
