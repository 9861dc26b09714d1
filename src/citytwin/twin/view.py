"""What rules look at: the live city, and the twin itself as a table of one row."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.city.graph import Graph
from citytwin.columns import Column, Columns
from citytwin.incidents.rules.compiling import OWN
from citytwin.state import State

Values = npt.NDArray[np.float64]

OWN_COLUMNS = (
    Column("disk_free", OWN, "percent", "Free room on the disk that holds the city folder", 0, 100),
    Column("disk_free_bytes", OWN, "byte", "The same in bytes", 0),
    Column("history_behind", OWN, "s", "Time since the history took readings, while some wait", 0),
    Column("readings_waiting", OWN, "1", "Readings that wait for the history", 0),
    Column("readings_stopped", OWN, "1", "1 while broker, log or history have a problem", 0, 1),
    Column("messages_dead", OWN, "1", "Messages given up in the last day", 0),
    Column("channels_failing", OWN, "1", "Channels whose last message did not get through", 0),
)


class Forecast(Protocol):
    """A run that is done: `name` of its scenario; values per row of a table, or None where it has none."""

    name: str

    def values(self, table: str, column: str, within: float | None, high: bool) -> Values | None:
        """The highest (lowest) values, over all of the run or within so many seconds from its start."""


@dataclass
class Sources:
    """Where a live view gets its numbers: the devices' hearing and status, and what the twin says of itself."""

    heard: Callable[[], Values]
    status: Callable[[], npt.NDArray[np.uint8]]
    own: Callable[[], Mapping[str, float]]


class LiveView:
    """A `View` of rules. `forecasts`: runs that are done, newest first."""

    def __init__(self, city: City, columns: Columns, state: Callable[[], State], sources: Sources) -> None:
        self.city = city
        self.columns = with_own(columns)
        self.began = time.time()
        self.forecasts: list[Forecast] = []
        self._state, self._sources = state, sources
        self._own: dict[str, Values] = {}

    def look_at_self(self) -> None:
        """Take the twin's own numbers anew."""
        self._own = {name: np.array([value]) for name, value in self._sources.own().items()}

    def values(self, table: str, column: str) -> Values:
        """A column's values, one for each row of `table`."""
        if table == OWN:
            return self._own.get(column, np.full(1, np.nan))
        return Graph.of(self.city).values(table, column, self._state())

    def heard(self) -> Values:
        """When each device was last heard."""
        return self._sources.heard()

    def status(self) -> npt.NDArray[np.uint8]:
        """The status code of each device."""
        return self._sources.status()

    def forecast(self, table: str, column: str, within: float | None, run: str, high: bool) -> Values | None:
        """From the newest run whose scenario is named like `run`."""
        for each in self.forecasts:
            if fnmatch.fnmatchcase(each.name, run):
                return each.values(table, column, within, high)
        return None


def with_own(columns: Columns) -> Columns:
    """`columns` and those of the twin itself."""
    more = Columns(dict(columns.by_name), dict(columns.kinds))
    more.declare(OWN_COLUMNS)
    return more
