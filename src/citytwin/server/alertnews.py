"""Alerts for open pages, and runs as forecasts for rules: what connects the twin's alerts with the rest of the server."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from citytwin.errors import TwinError
from citytwin.incidents.alerts import Alert
from citytwin.incidents.rules import SEVERITIES
from citytwin.server import encoding
from citytwin.server.places import Places
from citytwin.server.results import Results

if TYPE_CHECKING:
    from citytwin.server.hub import Hub
    from citytwin.server.jobs import Jobs
    from citytwin.twin.alerts import Alerts

NEWEST = 20  # alerts that a message carries
TIMES = ("opened", "changed", "closed", "acknowledged")


def described(alerts: Sequence[Alert], places: Places) -> list[dict[str, Any]]:
    """Alerts as JSON: times as ISO 8601, and where their things are."""
    listed: dict[int, dict[str, Any]] = {}
    for table in dict.fromkeys(alert.table for alert in alerts):
        mine = [alert for alert in alerts if alert.table == table]
        known = table in places.city.tables
        rows = places.city.rows(table, [alert.key for alert in mine]).tolist() if known else [-1] * len(mine)
        for alert, row in zip(mine, rows, strict=True):
            lon, lat = places.point(table, row) if row >= 0 else (None, None)
            said = alert.describe()
            times = {name: None if said[name] is None else encoding.iso(said[name]) for name in TIMES}
            listed[alert.id] = {**said, **times, "lon": lon, "lat": lat}
    return [listed[alert.id] for alert in alerts]


class AlertNews:
    """One message for all pages: how many alerts are open, and those that changed last. Sent at most once a second."""

    def __init__(self, alerts: Alerts, places: Places, hub: Hub) -> None:
        self.alerts, self.places, self.hub = alerts, places, hub
        self.revision = 0
        self.newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)
        alerts.told.append(self.tell)

    def tell(self, changed: Sequence[Alert]) -> None:
        """Some alerts have changed."""
        self.revision += 1
        for said in described(changed[-NEWEST:], self.places):
            for known in [known for known in self.newest if known["id"] == said["id"]]:
                self.newest.remove(known)
            self.newest.append(said)
        self.hub.tell("alerts", self.message())

    def message(self) -> dict[str, Any]:
        """The message: it says enough for a badge and a list, and replaces the one before."""
        found = list(self.alerts.book.open.values())
        counts = {severity: 0 for severity in SEVERITIES}
        for alert in found:
            counts[alert.severity] += 1
        waiting = sum(alert.acknowledged is None for alert in found)
        return {"type": "alerts", "revision": self.revision, "open": counts, "unacknowledged": waiting,
                "changed": list(self.newest)[::-1]}  # fmt: skip

    def words(self) -> Iterator[tuple[str, str]]:
        """What a page that has just come is told."""
        yield "alerts", encoding.dumps(self.message()).decode()


class RunForecast:
    """A run that is done, as rules look at it. Its numbers are read when a rule first asks, and remembered."""

    def __init__(self, name: str, folder: Path, results: Results) -> None:
        self.name, self._folder, self._results = name, folder, results
        self._known: dict[tuple[str, str, float | None, bool], npt.NDArray[np.float64] | None] = {}

    def values(self, table: str, column: str, within: float | None, high: bool) -> npt.NDArray[np.float64] | None:
        """The highest (lowest) values for each row of `table`; None where the run has no such column."""
        place = (table, column, within, high)
        if place not in self._known:
            try:
                self._known[place] = self._read(table, column, within, high)
            except TwinError:
                self._known[place] = None
        return self._known[place]

    def _read(self, table: str, column: str, within: float | None, high: bool) -> npt.NDArray[np.float64] | None:
        city = self._results.city
        own = str(self._results.declared(self._folder, column).get("table", ""))
        if own not in (table, "cell"):
            return None
        worst = np.fmax if high else np.fmin
        times = [t for t in self._results.frames(self._folder).times if within is None or t <= within + 1e-6]
        out: npt.NDArray[np.float64] | None = None
        for seconds in [None] if within is None and high else times:
            keys, values = self._results.values(self._folder, column, own, seconds)
            found = values if own == "cell" else _by_row(city, table, keys, values)
            out = found if out is None else worst(out, found)
        if out is None or own == table:
            return out
        from citytwin.city.graph import Graph

        touched: npt.NDArray[np.float64] = Graph.of(city).values(table, column, _OneColumn(column, out, self._results))
        return touched


def _by_row(city: Any, table: str, keys: list[str], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    out = np.full(city.size(table), np.nan)
    rows = city.rows(table, keys)
    out[rows[rows >= 0]] = values[rows >= 0]
    return out


class _OneColumn:
    """A state of one ground column, for the graph to bring to the things of a table."""

    def __init__(self, name: str, values: npt.NDArray[np.float64], results: Results) -> None:
        from citytwin.sim import columns_with

        self.columns = columns_with(results.city.columns)
        self._name, self._values = name, values

    def __contains__(self, name: object) -> bool:
        return name == self._name

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        return self._values


def follow_runs(jobs: Jobs, alerts: Alerts, results: Results, hub: Hub) -> None:
    """Tell pages of runs, and the rules of those that are done."""

    def told(sort: str, message: dict[str, Any]) -> None:
        hub.tell(sort, message)
        if message.get("type") == "run" and message.get("status") == "done":
            job = jobs[str(message["id"])]
            alerts.add_forecast(RunForecast(job.name, jobs.runs / job.id, results))

    jobs.told = told
