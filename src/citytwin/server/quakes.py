"""Announced earthquakes of one served twin: kept in the journal, run from the state now, run again as devices and people speak.

The journal holds what was announced, read and reported, in order; after a restart the events are made again from it. What the
twin's own devices read is in its history and is asked from there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from citytwin import scenario
from citytwin.city.roads import number
from citytwin.errors import ConflictError, MissingError, TwinError, nearest
from citytwin.hazards.earthquake.events import Event
from citytwin.hazards.earthquake.live import FELT_COLUMN, MOTION, PEOPLE_LASTING, Instruments, Told, is_news, told_by
from citytwin.incidents.journal import Asked, Entry
from citytwin.server.jobs import Jobs
from citytwin.sim import simulator
from citytwin.state import STATUS
from citytwin.units import seconds

if TYPE_CHECKING:
    from citytwin.twin import Twin

log = logging.getLogger("citytwin.server")

LISTENS = PEOPLE_LASTING + 120.0
"""Seconds after an event was announced that devices are heeded: late readings come in too."""

LOOKS, SETTLED, PATIENCE = 2.0, 4.0, 15.0
"""Seconds between two looks at the devices; without news before a run begins; after which it begins all the same."""

MOST_LISTENING = 8
"""Events that devices are heeded for at a time: of a swarm the newest."""

ALL_THE_SAME = 10
"""Looks after which the history is asked even if no device spoke: a person may have judged readings."""

MOST_LIVE_RUNS = 20
"""Runs that devices alone may start for one event; each waits longer than the one before."""

BEFORE = 300.0
"""Seconds before its announcement that an event without a time may have been."""

MOST_EVENTS, KEPT_DAYS = 200, 90.0
MOST_READINGS, MOST_REPORTS = 2_000, 5_000
LIFELINES = ("traffic", "power", "water", "care")
OUT_OF_SERVICE = ("faulty", "maintenance")
KIND = "earthquake"  # of journal entries


@dataclass
class Watched:
    """An event and what was learnt since: runs oldest first, readings by place, reports by building, what devices say."""

    id: str
    event: Event
    came: float
    folder: Path | None
    runs: list[str] = field(default_factory=list)
    readings: dict[str, dict[str, Any]] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    live_runs: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def timed(self) -> bool:
        """Whether it is known when it was."""
        return not math.isnan(self.event.time)

    @property
    def origin(self) -> float:
        """When it was, s since 1970; some minutes before it was announced where nobody said."""
        return self.event.time if self.timed else self.came - BEFORE

    def describe(self) -> dict[str, Any]:
        """The event as plain JSON values."""
        moment = dt.datetime.fromtimestamp(self.event.time, dt.UTC).isoformat() if self.timed else None
        return {
            "id": self.id, "name": self.event.name, "time": moment, "earthquake": self.event.said, "runs": self.runs,
            "readings": list(self.readings.values()), "reports": list(self.reports.values()),
            "devices": [told.reading(key) for key, told in self.told.items()], "left_out": self.left_out,
            "shakemap": bool(self.event.grid), "drill": self.event.drill,
            "listening": self.task is not None and not self.task.done(),
        }  # fmt: skip


class Earthquakes:
    """All announced events. Call its methods from the event loop only."""

    def __init__(self, twin: Twin, jobs: Jobs) -> None:
        self.twin, self.jobs = twin, jobs
        self.known: dict[str, Watched] = {}
        self.looks, self.settled, self.patience = LOOKS, SETTLED, PATIENCE

    async def start(self) -> None:
        """Make the events again from the journal; go on listening to those that are young."""
        for entry in await asyncio.to_thread(self._entries):
            try:
                self._replay(entry)
            except (KeyError, TypeError, ValueError, TwinError):
                log.exception("entry %d of the journal is no earthquake that can be read", entry.id)
        for watched in self.known.values():
            self._listen_to(watched)

    async def stop(self) -> None:
        """Listen no more."""
        tasks = [w.task for w in self.known.values() if w.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __getitem__(self, id: str) -> Watched:
        if id not in self.known:
            raise MissingError(f'no event "{id}"', hint=nearest(id, self.known) if self.known else "no earthquake is announced")
        return self.known[id]

    def listed(self) -> list[Watched]:
        """All of them, newest first."""
        return sorted(self.known.values(), key=lambda w: -w.came)

    async def announce(self, event: Event) -> tuple[Watched, bool]:
        """Take an event and run it; said again as it was, it is known (False). A corrected one keeps what was learnt."""
        id = re.sub(r"[^A-Za-z0-9]+", "-", event.id).strip("-")[-60:] or f"quake-{int(time.time() * 1000):x}"
        before = self.known.get(id)
        if before is not None and before.runs and _same(before.event, event):
            return before, False
        folder = await asyncio.to_thread(self._keep_grid, id, event) if event.grid else None
        watched = Watched(id, event, before.came if before else time.time(), folder)
        if before is not None:
            watched.runs, watched.readings, watched.reports = before.runs, before.readings, before.reports
            watched.told, watched.left_out, watched.live_runs = before.told, before.left_out, before.live_runs
        checked = await asyncio.to_thread(self._checked, watched, watched.readings, watched.reports)
        await self._write(watched, "announced", event.name, _plain(event) | {"came": watched.came})
        if before is not None and before.task is not None:
            before.task.cancel()
        self.known[id] = watched
        self._forget()
        await self._start(watched, checked, "announced")
        self._listen_to(watched)
        return watched, True

    async def learn(
        self, watched: Watched, readings: Mapping[str, dict[str, Any]], reports: Mapping[str, dict[str, Any]]
    ) -> None:
        """Add readings (by place or name) and reports (by building), and run again."""
        if readings and watched.event.grid:
            raise ConflictError("a ShakeMap heeds its stations already", hint="announce the event with magnitude and place")
        more, seen = {**watched.readings, **readings}, {**watched.reports, **reports}
        if len(more) > MOST_READINGS or len(seen) > MOST_REPORTS:
            raise ConflictError(f"at most {MOST_READINGS} readings and {MOST_REPORTS} reports of one event")
        checked = await asyncio.to_thread(self._checked, watched, more, seen)
        for what, fresh in (("readings", readings), ("reports", reports)):
            if fresh:
                await self._write(watched, what, f"{len(fresh)} {what} of {watched.event.name}", {what: dict(fresh)})
        watched.readings, watched.reports = more, seen
        await self._start(watched, checked, "readings" if readings else "reports")

    # -- runs ---------------------------------------------------------------------------------------------------------

    def scenario_of(
        self, watched: Watched, readings: Mapping[str, dict[str, Any]], reports: Mapping[str, dict[str, Any]]
    ) -> dict[str, Any]:
        """The scenario document of an event with all that is known of it."""
        city, event = self.twin.city, watched.event
        said: dict[str, Any] = {"shakemap": "grid.xml"} if event.grid else dict(event.said)
        found = {} if event.grid else {**{k: t.reading(k) for k, t in watched.told.items()}, **readings}
        if found:
            said["readings"] = list(found.values())
        if reports:
            for key in reports:
                city.row("building", key)
            said["reports"] = list(reports.values())
        if watched.timed and "hour" not in said:
            west, _, east, _ = city.lonlat_bounds
            moment = dt.datetime.fromtimestamp(event.time, dt.UTC) + dt.timedelta(hours=(west + east) / 30.0)
            said |= {"hour": round(moment.hour + moment.minute / 60.0, 2), "weekend": moment.weekday() >= 5}
        lifelines = [name for name in LIFELINES if all(t in city for t in simulator(name).spec.needs)]
        return {"name": event.name, "start": "now", "duration": _duration(said), "every": "15min", "seed": 1,
                "hazards": [{"earthquake": said}], "lifelines": lifelines}  # fmt: skip

    def _checked(self, watched: Watched, readings: Mapping[str, Any], reports: Mapping[str, Any]) -> scenario.Scenario:
        return scenario.parse(self.scenario_of(watched, readings, reports), watched.folder)

    async def _start(self, watched: Watched, checked: scenario.Scenario, why: str) -> None:
        job = await self.jobs.add(checked, self.twin.state.fork())
        watched.runs.append(job.id)
        words = f"{watched.event.name}: run {len(watched.runs)} begins ({why})"
        await self._write(watched, "run", words, {"run": job.id, "why": why, "devices": sorted(watched.told)})

    def _at_work(self, watched: Watched) -> bool:
        return any(self.jobs[r].status in ("queued", "running") for r in watched.runs if r in self.jobs.jobs)

    # -- devices ------------------------------------------------------------------------------------------------------

    def _listen_to(self, watched: Watched) -> None:
        """Begin to listen to the devices, where that makes sense."""
        young = time.time() < watched.came + LISTENS
        if young and not (watched.event.grid or watched.event.drill) and self._kinds() and watched.task is None:
            watched.task = asyncio.create_task(self._listen(watched))
            listening = [w for w in self.listed() if w.task is not None and not w.task.done()]
            for older in listening[MOST_LISTENING:]:
                older.task.cancel()  # type: ignore[union-attr]

    async def _listen(self, watched: Watched) -> None:
        """Look at the devices for a while; run again when they say something else and have settled."""
        newest: dict[str, Told] = {}
        first = last = -math.inf
        seen, idle, told = 0, ALL_THE_SAME, newest
        while time.time() < watched.came + LISTENS and watched.live_runs < MOST_LIVE_RUNS:
            await asyncio.sleep(self.looks)
            try:
                idle, now = idle + 1, time.monotonic()
                if idle >= ALL_THE_SAME or self._spoken_since(seen):
                    seen, idle = self.twin.devices.batches, 0
                    told, watched.left_out = await asyncio.to_thread(self.heard, watched)
                if is_news(newest, told):
                    newest, last = told, now
                    first = now if math.isinf(first) else first
                if not is_news(watched.told, told):
                    first = -math.inf
                    continue
                waits = self.settled * (1 + watched.live_runs)
                ready = now - last >= waits or now - first >= max(self.patience, waits)
                if ready and not self._at_work(watched):
                    await self._run_again(watched, told)
                    first = -math.inf
            except TwinError as error:
                log.warning("%s: %s", watched.id, error)

    async def _run_again(self, watched: Watched, told: dict[str, Told]) -> None:
        before, watched.told = watched.told, told
        try:
            checked = await asyncio.to_thread(self._checked, watched, watched.readings, watched.reports)
            watched.live_runs += 1
            await self._start(watched, checked, "devices")
        except TwinError:
            watched.told = before
            raise

    def _spoken_since(self, batch: int) -> bool:
        """Whether a device that may tell of shaking said something after batch number `batch`."""
        devices = self.twin.devices
        wanted = [n for n, kind in enumerate(devices.kinds) if kind.column.name in (MOTION, FELT_COLUMN)]
        return bool(np.isin(devices.kind[devices.changed_since(batch)], wanted).any())

    def _kinds(self) -> list[str]:
        """Kinds of devices that may tell of shaking, of those that the city has."""
        used = {self.twin.devices.kinds[k] for k in np.unique(self.twin.devices.kind)}
        return [k.name for k in used if k.column.name in (MOTION, FELT_COLUMN)]

    def heard(self, watched: Watched) -> tuple[dict[str, Told], dict[str, str]]:
        """What the devices say of an event by now, by key, and who is left out. Blocks."""
        said = watched.event.said
        row, when, value = self.twin.believed(self._kinds(), watched.origin, time.time() + 60.0)
        place = (float(said["place"][0]), float(said["place"][1]))
        return told_by(self._instruments(), row, when, value, watched.origin, said["magnitude"], place, watched.timed)

    def _instruments(self) -> Instruments:
        twin, kinds = self.twin, self._kinds()
        devices, (_, status, _) = twin.devices, twin.device_values()
        rows = np.flatnonzero(np.isin(devices.names, kinds))
        table = twin.city.table("device").iloc[rows]
        point = table.geometry.get_coordinates()
        lon, lat = twin.city.to_lonlat(point["x"].to_numpy(), point["y"].to_numpy())
        of = [devices.kinds[k] for k in devices.kind[rows]]
        words = [STATUS[s] for s in status[rows]]
        scale = number(table, "full_scale")
        return Instruments(
            rows.astype(np.int64), [devices.keys[r] for r in rows], lon, lat,
            np.array([k.column.name == FELT_COLUMN for k in of], dtype=np.bool_),
            np.where(np.isfinite(scale), scale, [k.column.high for k in of]), devices.period[rows], number(table, "vs30"),
            [w if w in OUT_OF_SERVICE else "" for w in words],
        )  # fmt: skip

    # -- what is kept -------------------------------------------------------------------------------------------------

    async def _write(self, watched: Watched, what: str, words: str, data: Mapping[str, Any]) -> None:
        entry = Entry(f"{KIND}.{what}", words, subject=f"{KIND}/{watched.id}", data=data)
        await asyncio.to_thread(self.twin.journal.append, [entry])

    def _entries(self) -> list[Entry]:
        found: list[Entry] = []
        after: int | None = None
        while True:
            page = self.twin.journal.read(
                Asked(KIND, begin=time.time() - KEPT_DAYS * 86400.0, after=after, limit=1000, oldest_first=True)
            )
            found += page.entries
            if page.next is None:
                return found
            after = page.next

    def _replay(self, entry: Entry) -> None:
        """Let an entry of the journal have the effect that it had."""
        id, data = entry.subject.partition("/")[2], entry.data
        if entry.kind == f"{KIND}.announced":
            event, folder = _event(data), self.jobs.city / "live" / "events" / id
            if event.grid and not (folder / "grid.xml").is_file():
                log.warning("the ShakeMap of event %s is gone", id)
                return
            before = self.known.get(id)
            watched = Watched(id, event, float(data["came"]), folder if event.grid else None)
            if before is not None:
                watched.runs, watched.readings, watched.reports = before.runs, before.readings, before.reports
            self.known[id] = watched
            self._forget()
        elif id in self.known:
            watched = self.known[id]
            watched.readings |= data.get("readings", {})
            watched.reports |= data.get("reports", {})
            if data.get("run") in self.jobs.jobs:
                watched.runs.append(data["run"])

    def _forget(self) -> None:
        """Keep the newest at hand; the journal has all."""
        for old in self.listed()[MOST_EVENTS:]:
            if old.task is not None:
                old.task.cancel()
            del self.known[old.id]

    def _keep_grid(self, id: str, event: Event) -> Path:
        folder = self.jobs.city / "live" / "events" / id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "grid.xml").write_bytes(event.grid)
        return folder


def _duration(said: Mapping[str, Any]) -> str:
    """An hour, or a quarter of an hour longer than the last aftershock is awaited."""
    shocks = said.get("aftershocks")
    last = 0.0
    for shock in shocks if isinstance(shocks, list) else ():
        if isinstance(shock, dict) and "delay" in shock:
            last = max(last, seconds(shock["delay"]))
    return f"{max(3600.0, last + 900.0):.0f} s"


def _same(one: Event, other: Event) -> bool:
    return (one.said, one.grid, one.drill) == (other.said, other.grid, other.drill) and (
        one.time == other.time or (math.isnan(one.time) and math.isnan(other.time))
    )


def _plain(event: Event) -> dict[str, Any]:
    """An event for the journal; of a ShakeMap only that there is one."""
    when = None if math.isnan(event.time) else event.time
    return {"id": event.id, "name": event.name, "time": when, "said": event.said, "shakemap": bool(event.grid),
            "drill": event.drill}  # fmt: skip


def _event(data: Mapping[str, Any]) -> Event:
    when = math.nan if data["time"] is None else float(data["time"])
    grid = b"in a file" if data["shakemap"] else b""
    return Event(data["id"], data["name"], when, dict(data["said"]), grid, drill=bool(data["drill"]))
