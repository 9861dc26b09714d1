"""Questions about the past: a device's window, with what waits for the history, and the city at a past moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from citytwin.city import City
from citytwin.columns import Columns, DeviceKind
from citytwin.io.stores.checkpoints import REACH
from citytwin.io.stores.history import Course, History
from citytwin.io.stores.thinning import telling, thinned
from citytwin.state import BELIEVED, IS_BELIEVED, Arrivals, Judgement, Quality, State, read_notice
from citytwin.state.notices import Judged
from citytwin.twin.devices import Devices
from citytwin.twin.writer import Writer

LOOKBACK = 6 * 3600.0  # a value read longer ago than this, or than some periods of its kind (a week at most), is not part of it
PERIODS = 5.0
MOST_DOUBTED = 1000  # doubted readings that are listed beside a chart


class Questions:
    """Answers from `history` and from what `writer` has not committed yet."""

    def __init__(self, city: City, columns: Columns, devices: Devices, history: History, writer: Writer) -> None:
        self._city = city
        self._columns = columns
        self._devices = devices
        self._history = history
        self._writer = writer

    def course(self, device: str, begin: float, end: float, further: tuple[Judgement, ...] = ()) -> Course:
        """All kept readings of one device between two moments (s since 1970), oldest first, judged `further` too.

        Raises MissingError with the nearest key.
        """
        row = self._city.row("device", device)
        kind = self._devices.kinds[self._devices.kind[row]]
        waiting, before = list(self._writer.waiting), self._writer.store.committed
        found = self._history.readings(device, kind.name, begin, end)
        parts = [(found.time, found.value, found.found)]
        for batch in waiting:  # not in the history yet
            new = (batch.row == row) & batch.kept & (batch.sequence > max(before, self._writer.store.committed))
            new &= (batch.time >= begin) & (batch.time <= end)
            parts.append((batch.time[new], batch.value[new], batch.quality[new]))
        time, value, quality = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.argsort(time, kind="stable")
        judgements = (*self._judgements(device, waiting), *further)
        final = Judged(judgements).quality(time, quality)
        return Course(time[order], value[order], final[order], quality[order])

    def _judgements(self, device: str, waiting: list[Arrivals]) -> tuple[Judgement, ...]:
        """What was said about the readings of a device, in the order of the log."""
        kept, committed = self._writer.store.notices.judged(device).judgements, self._writer.store.committed
        new = [read_notice(said) for batch in waiting for place, said in batch.notices if place > committed]
        return (*kept, *(n for n in new if isinstance(n, Judgement) and n.device == device))

    def believed(
        self, kinds: Sequence[str], begin: float, end: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Believed readings of all devices of `kinds` between two moments (both included): rows of the devices, times, values.

        In no order; those that wait for the history are among them.
        """
        none = np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
        if not kinds:
            return none
        waiting, before = list(self._writer.waiting), self._writer.store.committed
        parts = [self._of_table(batch) for batch in self._history.export(begin, end, kinds)]
        chosen = np.isin([k.name for k in self._devices.kinds], list(kinds))
        for batch in waiting:
            new = batch.kept & (batch.row >= 0) & (batch.sequence > max(before, self._writer.store.committed))
            new &= (batch.time >= begin) & (batch.time <= end)
            new[new] = chosen[self._devices.kind[batch.row[new]]]
            row, time, quality = batch.row[new].astype(np.int64), batch.time[new], batch.quality[new]
            for one in np.unique(row):
                own = row == one
                judgements = self._judgements(self._devices.keys[int(one)], waiting)
                quality[own] = Judged(judgements).quality(time[own], quality[own])
            true = IS_BELIEVED[quality]
            parts.append((row[true], time[true], batch.value[new][true]))
        row, time, value = (np.concatenate(each) for each in zip(*(parts or [none]), strict=True))
        return row, time, value

    def _of_table(
        self, batch: pa.RecordBatch
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Rows, times and values of the believed readings of a part of the history; of devices that the city has."""
        row = self._city.rows("device", batch["device"].to_pylist()).astype(np.int64)
        true = np.isin(batch["quality"].to_pylist(), [q.word for q in BELIEVED]) & (row >= 0)
        return row[true], batch["time"].cast(pa.int64()).to_numpy()[true] / 1e6, batch["value"].to_numpy()[true]

    def window(self, device: str, begin: float, end: float, points: int) -> dict[str, Any]:
        """Believed readings of one device between two moments (s since 1970), thinned to at most `points` buckets with low and
        high, and the `doubted` ones beside them. Raises MissingError with the nearest key.
        """
        found = self.course(device, begin, end)
        kind = self._kind(device)
        true = found.take(found.believed)
        doubted = found.take(np.flatnonzero(~found.believed)[-MOST_DOUBTED:])
        return {
            "column": kind.column.name, "unit": kind.column.unit, **thinned(true.time, true.value, begin, end, points),
            "doubted": {"time": doubted.time, "value": doubted.value, "quality": _words(doubted.quality)},
        }  # fmt: skip

    def readings(self, device: str, begin: float, end: float, points: int, all_of_them: bool) -> dict[str, Any]:
        """Readings of one device as they are, believed or `all_of_them`, with their quality; of more than `points` those that
        show most (largest triangles). Raises MissingError.
        """
        found = self.course(device, begin, end)
        kind = self._kind(device)
        found = found if all_of_them else found.take(found.believed)
        shown = found.take(telling(found.time, found.value, points))
        return {
            "column": kind.column.name, "unit": kind.column.unit, "number": len(found.time), "time": shown.time,
            "value": shown.value, "quality": _words(shown.quality),
        }  # fmt: skip

    def state_at(self, moment: float) -> State:
        """The city as its devices knew it at a past `moment` (s since 1970)."""
        state = State(self._city, self._columns, moment)
        lookback = np.clip(PERIODS * self._devices.period, LOOKBACK, REACH)
        if not len(lookback):
            return state
        row, time, value = self._history.known_at(moment, float(lookback.max()))
        recent = time >= moment - lookback[row]
        row, value = row[recent], value[recent]
        kind = self._devices.kind[row]
        for k in np.unique(kind):
            chosen = kind == k
            state.edit(self._devices.kinds[k].column.name)[row[chosen]] = value[chosen]
        return state

    def row(self, device: str) -> int:
        """The row of a device. Raises MissingError with the nearest key."""
        return self._city.row("device", device)

    def _kind(self, device: str) -> DeviceKind:
        return self._devices.kinds[int(self._devices.kind[self.row(device)])]


def _words(quality: np.ndarray[Any, Any]) -> list[str]:
    words = [q.word for q in Quality]
    return [words[code] for code in quality.tolist()]
