"""What checks and health remember of each device: set down now and then, and found again at the start."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np

from citytwin.city import City
from citytwin.io.stores.history import History, Known
from citytwin.io.stores.memory import Arrays, fingerprint, look_up, set_down
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
        self._devices = fingerprint(reader.devices.keys, reader.devices.names)

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
        """State, checks and health as they were: from what was set down and the history since, or from the history alone."""
        reader = self._reader
        found = look_up(self._file, self._devices, self._writer.store.committed)
        if found is not None and all(found[1][n].shape == a.shape for n, a in self._arrays().items() if n in found[1]):
            sequence, arrays = found
            for name, array in self._arrays().items():
                if name in arrays:
                    array[:] = arrays[name]
            self._recall(self._history.since(sequence))
        else:
            sequence = 0
            self._recall(self._history.last_before(time.time() + 3600, LONG_LOOKBACK, number=8))
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

    def _recall(self, known: Known) -> None:
        rows = self._city.rows("device", known.device.tolist()) if len(known.time) else np.empty(0, np.int64)
        row = rows.astype(np.int32)
        there = row >= 0
        row, when = row[there], known.time[there]
        self._reader.checks.remember(row, when, known.value[there])
        np.maximum.at(self._reader.health.heard, row, when)
