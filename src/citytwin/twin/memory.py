"""What checks and health remember of each device: set down now and then, and found again at the start."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.io.stores.history import History, Known
from citytwin.io.stores.memory import Arrays, look_up, rows_in, set_down, who
from citytwin.state import Quality
from citytwin.twin.reader import Reader
from citytwin.twin.writer import Writer

LONG_LOOKBACK = 2 * 86400.0  # a device that comes back after so long is still known


class Memory:
    """The memory of `reader`, kept in `folder`."""

    def __init__(self, folder: Path, city: City, reader: Reader, writer: Writer, history: History) -> None:
        self._file = folder / "live" / "memory.npz"
        self._city = city
        self._reader = reader
        self._writer = writer
        self._history = history
        self._remembered = False
        self._devices = who(reader.devices.keys, reader.devices.names)

    def _arrays(self) -> Arrays:
        reader = self._reader
        return reader.checks.memory | reader.health.memory | {"counts": reader.counts} | self._places()

    def _places(self) -> Arrays:
        return {"longitude": self._reader.devices.longitude, "latitude": self._reader.devices.latitude}

    async def set_down(self) -> None:
        """The memory as of what has been read; the history follows first, so that it is never behind the memory.

        Nothing where nothing was remembered yet: a twin that cannot start must not forget what the one before knew.
        """
        if not self._remembered:
            return
        arrays, sequence = {name: array.copy() for name, array in self._arrays().items()}, self._writer.read_to
        await asyncio.to_thread(self._writer.commit)
        await asyncio.to_thread(set_down, self._file, self._devices, sequence, arrays)

    def remember(self) -> None:
        """State, checks and health as they were: from what was set down and the history since, or from the history alone.

        Devices that are new, or of another kind now, are known from the last days of the history; their counts begin anew.
        """
        reader = self._reader
        sequence, fresh = self._look_up()
        if fresh.any():
            self._recall(self._history.last_before(time.time() + 3600, LONG_LOOKBACK, number=8), fresh)
        if sequence:
            self._recall(self._history.since(sequence), ~fresh)
        self._count(sequence)
        reader.recent.refill(self._writer.store, reader.decoder.spoken.names)
        for notice in self._writer.store.notices.since(sequence):
            reader.heeding.take(notice)
        checks = reader.checks
        seen = np.flatnonzero(np.isfinite(checks.last_time)).astype(np.int32)
        reader.devices.set(reader.state, seen, checks.last_time[seen], checks.last_value[seen])
        reader.devices.moved[np.isfinite(reader.devices.longitude)] = reader.devices.batches
        reader.state.time = time.time()
        self._remembered = True

    def _look_up(self) -> tuple[int, npt.NDArray[np.bool_]]:
        """Take over what was set down; as of which place of the log (0: nothing), and the devices of which it says nothing."""
        devices = self._reader.devices
        fresh = np.ones(len(devices.keys), dtype=np.bool_)
        found = look_up(self._file, self._writer.store.committed)
        if found is None:
            return 0, fresh
        sequence, said, arrays = found
        row = np.arange(len(fresh)) if np.array_equal(said, self._devices) else rows_in(said, devices.keys, devices.names)
        kept = row >= 0
        own = {name: array for name, array in self._arrays().items() if name in arrays}
        if any(array.shape[1:] != arrays[name].shape[1:] for name, array in own.items()):  # of another version
            return 0, fresh
        for name, array in own.items():
            if name == "counts":
                array[:] = arrays[name]
            else:
                array[kept] = arrays[name][row[kept]]
        return sequence, ~kept

    def _count(self, sequence: int) -> None:
        """Readings that came after place `sequence`, by quality and device."""
        listed = self._history.device_counts(sequence)
        if not listed:
            return
        rows = self._city.rows("device", [device for device, _, _ in listed])
        for (_, word, number), row in zip(listed, rows, strict=True):
            self._reader.counts[Quality[word.upper()]] += number
            if row >= 0:
                self._reader.health.counts[row, Quality[word.upper()]] += number

    def _recall(self, known: Known, of: npt.NDArray[np.bool_]) -> None:
        """Take over readings, oldest first, of the devices `of`."""
        rows = self._city.rows("device", known.device.tolist()) if len(known.time) else np.empty(0, np.int64)
        row = rows.astype(np.int32)
        there = row >= 0
        there[there] = of[row[there]]
        row, when = row[there], known.time[there]
        self._reader.checks.remember(row, when, known.value[there])
        np.maximum.at(self._reader.health.heard, row, when)
