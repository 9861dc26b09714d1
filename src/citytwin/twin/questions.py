"""Questions about the past: a device's window, with what waits for the history, and the city at a past moment."""

from __future__ import annotations

from typing import Any

import numpy as np

from citytwin.city import City
from citytwin.columns import Columns
from citytwin.io.stores.history import History, thinned
from citytwin.state import State
from citytwin.twin.devices import Devices
from citytwin.twin.writer import Writer

LOOKBACK = 6 * 3600.0  # a value read longer ago than this is not part of the city's state at a past moment


class Questions:
    """Answers from `history` and from what `writer` has not committed yet."""

    def __init__(self, city: City, columns: Columns, devices: Devices, history: History, writer: Writer) -> None:
        self._city = city
        self._columns = columns
        self._devices = devices
        self._history = history
        self._writer = writer

    def window(self, device: str, begin: float, end: float, points: int) -> dict[str, Any]:
        """Readings of one device between two moments (s since 1970), thinned to at most `points` buckets with low and high.

        Raises MissingError with the nearest key.
        """
        row = self._city.row("device", device)
        kind = self._devices.kinds[self._devices.kind[row]]
        waiting = list(self._writer.waiting)
        when, value = self._history.window(device, kind.name, begin, end)
        for batch in waiting:  # not in the history yet
            new = (batch.row == row) & batch.believed & (batch.sequence > self._writer.store.committed)
            new &= (batch.time >= begin) & (batch.time <= end)
            when, value = np.append(when, batch.time[new]), np.append(value, batch.value[new])
        order = np.argsort(when, kind="stable")
        return {"column": kind.column.name, "unit": kind.column.unit,
                **thinned(when[order], value[order], begin, end, points)}  # fmt: skip

    def state_at(self, moment: float) -> State:
        """The city as its devices knew it at a past `moment` (s since 1970)."""
        state = State(self._city, self._columns, moment)
        known = self._history.last_before(moment, LOOKBACK)
        rows = self._city.rows("device", known.device.tolist()) if len(known.time) else np.empty(0, np.int64)
        columns = {k.name: k.column.name for k in self._devices.kinds}
        for name in dict.fromkeys(known.kind.tolist()):
            chosen = (known.kind == name) & (rows >= 0)
            if name in columns:
                state.edit(columns[name])[rows[chosen]] = known.value[chosen]
        return state
