"""Rules tried on the past: the history is played again, second by second or coarser, and the alerts that would have been.

Nothing is recorded and nobody told. Values are those that were believed; who was heard when is told by them too. Time before
the first reading is nobody's silence; a later stop of the twin is. The twin's own numbers and forecasts of then are not kept:
rules about them find nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from citytwin.city import City
from citytwin.columns import Columns
from citytwin.errors import InputError
from citytwin.incidents.alerts import Alert, Book
from citytwin.incidents.rules import Engine, Rule
from citytwin.io.stores.history import History
from citytwin.state import Health, State
from citytwin.twin.view import with_own

WARM_UP = 3600.0  # seconds before the trial whose readings are known at its start
MOST_STEPS = 200_000
MOST_DAYS = 62


@dataclass
class Recording:
    """n readings in the order of time: row of the device, time (s since 1970), value."""

    row: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]


def recorded(city: City, history: History, begin: float, end: float) -> Recording:
    """All believed readings between two moments."""
    tables = [pa.table({"device": b["device"], "time": b["time"], "value": b["value"], "quality": b["quality"]})
              for b in history.export(begin, end)]  # fmt: skip
    if not tables:
        none = np.empty(0)
        return Recording(none.astype(np.int64), none, none)
    table = pa.concat_tables(tables)
    table = table.filter(pc.is_in(table["quality"], pa.array(["good", "late"])))
    found = table["device"].combine_chunks().dictionary_encode()
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    row = city.rows("device", found.dictionary.to_pylist())[found.indices.to_numpy()]
    time, value = table["time"].cast(pa.int64()).to_numpy() / 1e6, table["value"].to_numpy()
    order = np.argsort(time, kind="stable")
    order = order[row[order] >= 0]
    return Recording(row[order].astype(np.int64), time[order], value[order])


class PastView:
    """A view of rules on what was known up to a moment: `go_on` moves it."""

    def __init__(self, city: City, columns: Columns, recording: Recording, begin: float) -> None:
        self.city, self.columns, self.began = city, with_own(columns), begin
        self._state = State(city, columns, begin)
        self._recording = recording
        kinds = city.table("device")["kind"].tolist()
        self._column = np.array([columns.kinds[k].column.name for k in kinds], dtype=object)
        self._health = Health(np.array([columns.kinds[k].period for k in kinds], dtype=np.float64))
        self._at = 0
        self._now = begin

    def go_on(self, now: float) -> npt.NDArray[np.bool_]:
        """Take all readings up to `now`; which devices had any."""
        end = int(np.searchsorted(self._recording.time, now, side="right"))
        chosen = slice(self._at, end)
        row, value = self._recording.row[chosen], self._recording.value[chosen]
        changed = np.zeros(len(self._column), dtype=np.bool_)
        changed[row] = True
        np.maximum.at(self._health.heard, row, self._recording.time[chosen])
        for name in dict.fromkeys(self._column[np.unique(row)].tolist()):
            mine = self._column[row] == name
            self._state.edit(name)[row[mine]] = value[mine]
        self._at, self._now = end, now
        return changed

    def values(self, table: str, column: str) -> npt.NDArray[np.float64]:
        """A column's values as they were known."""
        if table == "twin":
            return np.full(1, np.nan)
        return self._state[column]

    def heard(self) -> npt.NDArray[np.float64]:
        """When each device was last heard."""
        return self._health.heard

    def status(self) -> npt.NDArray[np.uint8]:
        """The status of each device, as its silence tells."""
        return self._health.status(self._now)

    def forecast(self, table: str, column: str, within: float | None, run: str, high: bool) -> None:
        """Not kept."""


def tried(
    city: City, columns: Columns, history: History, rules: Mapping[str, Rule], begin: float, end: float,
    every: float = 0.0, told: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:  # fmt: skip
    """The alerts that `rules` would have opened between two moments (s since 1970), looked at `every` so many seconds.

    every 0: every second, or as fine as 20,000 looks allow. Raises InputError.
    """
    if not begin < end <= begin + MOST_DAYS * 86400:
        raise InputError("the trial ends before it begins, or is too long", "end", f"at most {MOST_DAYS} days")
    step = max(every, 1.0) if every else max(1.0, (end - begin) / 20_000)
    if (end - begin) / step > MOST_STEPS:
        raise InputError(f"{(end - begin) / step:.0f} looks are too many", "every", f"at most {MOST_STEPS}")
    recording = recorded(city, history, begin - WARM_UP, end)
    began = max(begin, float(recording.time[0])) if len(recording.time) else end  # before the first reading nobody listened
    view = PastView(city, columns, recording, began)
    engine = Engine(view, {name: rule.model_copy(update={"enabled": True}) for name, rule in rules.items()})
    book = Book(engine, {}, lambda table, key: (key, ""))
    alerts: dict[int, Alert] = {}
    for number, now in enumerate(np.arange(begin, end, step).tolist()):
        changed = view.go_on(now)
        book.attend()
        changes = book.compare(engine.step(now, changed), now)
        book.done(changes)
        alerts |= {alert.id: alert for alert in changes.alerts}
        if number % 1000 == 0:
            told((now - begin) / (end - begin))
    listed = [alert.describe() for alert in alerts.values()]
    counts = {name: sum(a.rule == name for a in alerts.values()) for name in rules}
    return {
        "begin": begin,
        "end": end,
        "every": step,
        "readings": len(recording.time),
        "counts": counts,
        "alerts": listed,
    }
