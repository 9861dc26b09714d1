"""The composition of a living city: opens a folder, wires broker, log, reader, writer, and answers questions.

    twin = Twin.open("andorra")
    await twin.start()            # broker, log, reader
    ...
    await twin.stop()

What the twin has not written to the history when it dies, it reads from the log again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from citytwin.city import City, read_city
from citytwin.columns import Columns
from citytwin.errors import OutsideError
from citytwin.incidents.rules import Rule
from citytwin.io.feeds.arrow import pieces_of, write_arrow
from citytwin.io.feeds.broker import Broker
from citytwin.io.feeds.door.process import DoorProcess
from citytwin.io.feeds.log import MOST_BYTES, Log, pieces
from citytwin.io.feeds.mapping import read_mappings
from citytwin.io.feeds.subjects import ARROW, LINES
from citytwin.io.feeds.vehicles import Vehicles
from citytwin.io.stores.history import History
from citytwin.io.stores.lock import FolderLock
from citytwin.io.stores.readings import ReadingStore
from citytwin.io.stores.records import SqlJournal, open_records
from citytwin.io.stores.transitions import Transitions
from citytwin.sim.registry import columns_with
from citytwin.state import Arrivals, Quality, State
from citytwin.twin.alerts import Alerts
from citytwin.twin.control import Control
from citytwin.twin.devices import Devices
from citytwin.twin.health import DeviceHealth
from citytwin.twin.listeners import Listeners
from citytwin.twin.memory import Memory
from citytwin.twin.probing import keep_storing
from citytwin.twin.questions import Questions
from citytwin.twin.reader import Reader
from citytwin.twin.selfwatch import SelfWatch
from citytwin.twin.trial import tried
from citytwin.twin.upkeep import Upkeep
from citytwin.twin.view import Sources
from citytwin.twin.writer import Writer

DRAIN_SECONDS = 30.0
PUSH_SECONDS = 0.5  # pages are told of changes so often: merged, and still seen within a second


class Twin:
    """A city that lives. `city`, `columns` (all declared ones, simulators' too), `state` (live), `devices`, `history`.

    `listeners`: who is told of each checked batch, and once a second (see `citytwin.twin.listeners`). `journal`: what
    happened and who did it. `control`: commands to devices. `alerts`: rules, alerts, messages.
    """

    def __init__(self, folder: Path, city: City, lock: FolderLock) -> None:
        self.folder = folder
        self.city = city
        self.columns: Columns = columns_with(city.columns)
        self.state = State(city, self.columns, time.time())
        self.devices = Devices(folder, city, self.columns)
        self._lock = lock
        self._store = ReadingStore(folder / "live", self.devices.keys, self.devices.kinds, self.devices.kind)
        self._history = History(self._store)
        self._writer = Writer(self._store)
        self.listeners = Listeners()
        self._mappings = read_mappings(folder)
        self._vehicles = Vehicles()
        self._reader = Reader(self.devices, self.state, self._writer, self.listeners, self._mappings)
        self._memory = Memory(folder, city, self._reader, self._writer, self._history)
        self._questions = Questions(city, self.columns, self.devices, self._history, self._writer)
        transitions = Transitions(folder / "live" / "status", self.devices.keys)
        self.health = DeviceHealth(self._reader, self._store, self._history, self._questions, transitions, self._say)
        self.listeners.append(self.health)
        self.upkeep = Upkeep(folder, [k.name for k in self.devices.kinds], self._store, self._history, transitions)
        self.records = open_records(folder)
        self.journal = SqlJournal(self.records)
        self.control = Control(folder, city, self.columns, self.devices, lambda: self.state, self.journal)
        self.listeners.append(self.control)
        sources = Sources(lambda: self._reader.health.heard, lambda: self.devices.status,
                          SelfWatch(folder, self._writer, lambda: self.problem))  # fmt: skip
        self.alerts = Alerts(folder, city, self.columns, self.records, self.journal, lambda: self.state, sources,
                             self.devices.changes_since)  # fmt: skip
        self.listeners.append(self.alerts)
        self._broker: Broker | None = None
        self._door: DoorProcess | None = None
        self._log: Log | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._child_problem = ""

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

    @property
    def mqtt_port(self) -> int:
        """Where devices connect."""
        return self._door.port if self._door else 0

    @property
    def problem(self) -> str:
        """What keeps readings from state or history just now, in words; empty when all is well."""
        return self._writer.problem or self._reader.problem or self._child_problem

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self, mqtt_port: int = 1883, host: str = "127.0.0.1") -> None:
        """Start or adopt broker and door, read the log from where the history ends. `mqtt_port` 0 takes any free port."""
        self._door = DoorProcess(self.folder / "live" / "door", host)
        self._broker = Broker(self.folder / "live" / "nats")
        try:
            self._door.check(mqtt_port)
            await self._broker.start()
            log = self._log = Log(self._broker.port)
            await log.open(self._writer.read_to)
            await asyncio.to_thread(self._memory.remember)
            await asyncio.to_thread(self._reader.warm)
            await self.control.open(self._broker.port)
            await self._door.start(mqtt_port, self._broker.port, self._broker.mqtt_port, self._mappings.filters)
        except BaseException:
            await self.stop()
            raise
        works = (self._reader.run(log), self._writer.run(log, self._memory.set_down), self._watch(), self._reader.tick(),
                 self.upkeep.run(),
                 keep_storing(log, self._broker.folder, lambda: self._writer.read_to, self._broker_pid))  # fmt: skip
        self._tasks = [asyncio.create_task(work) for work in works]
        self.alerts.start()

    def _broker_pid(self) -> int:
        return self._broker.pid if self._broker is not None and self._broker.alive else 0

    async def _watch(self) -> None:
        """For ever: bring broker and door up again, on the same ports, when they died."""
        while True:
            await asyncio.sleep(0.2)
            try:
                if self._broker is not None and not self._broker.alive:
                    await self._broker.run()
                    log = Log(self._broker.port)
                    await log.open(self._writer.read_to)
                    await log.close()
                if self._door is not None and not self._door.alive:
                    await self._door.run()
                self._child_problem = ""
            except OutsideError as error:
                self._child_problem = str(error)

    async def stop(self) -> None:
        """Close the door, read what the log holds by now, write it to the history, end the broker, let go.

        What cannot be read within `DRAIN_SECONDS` stays in the log for the next start.
        """
        self._stopping = True
        if self._door is not None:
            await self._door.stop()
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
                await self._memory.set_down()
                await self._log.forget(self._store.committed)
        await self.health.close()
        await self.control.close()
        await self.alerts.stop()
        if self._log is not None:
            await self._log.close()
        if self._broker is not None:
            await self._broker.stop()
        await asyncio.to_thread(self._store.rest)
        self.records.close()
        self._lock.release()

    async def _drained(self) -> None:
        """Wait until everything that the log holds now has been read."""
        if self._log is not None and self._tasks:
            _, last = await self._log.range()
            while self._writer.read_to < last:
                await asyncio.sleep(0.02)

    # -- questions ----------------------------------------------------------------------------------------------------

    def device_values(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """Value, status (`citytwin.state.STATUS`) and time (s since 1970, NaN: never) of each device row; copies."""
        self._reader.age()
        return self.devices.value.copy(), self.devices.status.copy(), self.devices.time.copy()

    def moved_since(self, batch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
        """Rows, longitudes and latitudes of devices that were seen elsewhere after batch number `batch`; the newest number."""
        rows = np.flatnonzero(self.devices.moved > batch)
        return rows, self.devices.longitude[rows], self.devices.latitude[rows], self.devices.batches

    async def changes(self, every: float = PUSH_SECONDS) -> AsyncIterator[npt.NDArray[np.int64]]:
        """Rows of devices whose value or status changed, merged: at most one array in `every` seconds, never a queue."""
        seen = self.devices.batches
        while not self._stopping:
            await asyncio.sleep(every)
            now = self.devices.batches
            rows = self.devices.changed_since(seen)
            seen = now
            if len(rows):
                yield rows

    def history(self, device: str, begin: float, end: float, points: int = 500) -> dict[str, Any]:
        """Readings of one device between two moments (s since 1970), thinned to at most `points` buckets with low and high.

        Raises MissingError with the nearest key.
        """
        return self._questions.window(device, begin, end, points)

    def kept(self) -> tuple[ReadingStore, list[Arrivals]]:
        """The files of the history, and the batches that wait for it; a commit may be moving them from here to there."""
        waiting = list(self._writer.waiting)
        return self._store, waiting

    def state_at(self, moment: float) -> State:
        """The city as its devices knew it at a past `moment` (s since 1970)."""
        return self._questions.state_at(moment)

    def readings_of(self, device: str, begin: float, end: float, points: int, all_of_them: bool = False) -> dict[str, Any]:
        """Readings of one device with their quality, believed or `all_of_them`; of more than `points` those that show most."""
        return self._questions.readings(device, begin, end, points, all_of_them)

    def believed(
        self, kinds: Sequence[str], begin: float, end: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Believed readings of all devices of `kinds` between two moments, the newest too: rows, times, values. Blocks."""
        return self._questions.believed(kinds, begin, end)

    def export(
        self, begin: float, end: float, kinds: Sequence[str] = (), devices: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Committed readings between two moments, by kind, device and time, with their final quality."""
        return self._history.export(begin, end, kinds, devices)

    def try_rules(self, rules: Mapping[str, Rule], begin: float, end: float, every: float = 0.0) -> dict[str, Any]:
        """The alerts that rules would have opened between two moments; see `citytwin.twin.trial.tried`. Blocks."""
        return tried(self.city, self.columns, self._history, rules, begin, end, every)

    def quality(self) -> dict[str, Any]:
        """Number of readings by what the checks found, and the newest that were not believed."""
        counts = {q.word: int(self._reader.counts[q]) for q in Quality}
        return {"counts": counts, "recent": self._reader.rejected[::-1], "problem": self.problem}

    # -- readings in --------------------------------------------------------------------------------------------------

    async def accept(self, lines: bytes) -> dict[str, Any]:
        """Put a batch of readings (JSON lines) into the log; durable when it returns. How many are accepted and refused."""
        found = await asyncio.to_thread(self._reader.decoder.look, lines)
        return await self._append(LINES, pieces(lines), found)

    async def accept_arrow(self, stream: bytes) -> dict[str, Any]:
        """The same of an Arrow IPC stream with columns `device`, `time`, `value`. Raises InputError where it is none."""
        found = await asyncio.to_thread(self._reader.decoder.look_arrow, stream)
        return await self._append(ARROW, pieces_of(stream, MOST_BYTES), found)

    async def accept_positions(self, message: bytes) -> dict[str, Any]:
        """The same of vehicle positions, a GTFS-realtime FeedMessage; devices are named by vehicle. Raises InputError."""
        seen = self._vehicles.read(message)
        return await self.accept_columns(seen.device, seen.time, seen.speed, ["m/s"] * len(seen.device), seen.place)

    async def accept_columns(
        self, device: Sequence[str], time: npt.ArrayLike, value: npt.ArrayLike, unit: Sequence[str] | None = None,
        place: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The same of n device keys, times (s since 1970; NaN: now) and values, in `unit` or in the units of their kinds.

        `place`: longitudes and latitudes of devices that move.
        """
        answers = [await self.accept_arrow(stream) for stream in write_arrow(device, time, value, unit, place)]
        refused: dict[str, int] = {}
        for answer in answers:
            for reason, number in answer["refused"].items():
                refused[reason] = refused.get(reason, 0) + number
        return {"accepted": sum(a["accepted"] for a in answers), "refused": refused}

    async def _say(self, subject: str, payload: bytes) -> None:
        """Put a message into the log; durable when it returns."""
        if self._log is None:
            raise OutsideError("the twin is not started")
        await self._log.append(subject, payload)

    async def _append(self, subject: str, batch: list[bytes], found: dict[str, int]) -> dict[str, Any]:
        if self._log is None:
            raise OutsideError("the twin is not started")
        for piece in batch:
            await self._log.append(subject, piece)
        accepted = found.pop(Quality.GOOD.word, 0)
        return {"accepted": accepted, "refused": found}
