"""Earthquakes as they are announced: an event starts a run from the state now; readings and reports make it run again."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from citytwin import scenario
from citytwin.errors import ConflictError, MissingError, nearest
from citytwin.hazards.earthquake.events import Event, read_event
from citytwin.server.encoding import Json
from citytwin.server.served import Here, Served
from citytwin.sim import simulator

router = APIRouter(prefix="/api/events/earthquake", tags=["runs"])

COLUMN = "peak_ground_acceleration"
"""What accelerometers of the twin read."""

FELT = 0.02
"""m/s2 from which a reading counts as of the earthquake."""

LISTENS = 1800.0
"""Seconds after an event that accelerometers are heeded."""

LOOKS = 2.0
"""Seconds between two looks at them."""

MORE = 1.1
"""A reading makes a new run when it is this many times what was known."""

MOST_RUNS = 20
MOST_EVENTS = 200
MOST_READINGS = 2_000
MOST_REPORTS = 5_000
LIFELINES = ("traffic", "power", "water", "care")


class Readings(BaseModel):
    """Readings of instruments, or what people felt, as the earthquake of a scenario takes them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    readings: list[dict[str, Any]]


class Reports(BaseModel):
    """Damage seen of single buildings, as the earthquake of a scenario takes it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reports: list[dict[str, Any]]


@dataclass
class Watched:
    """An event and what was learnt since: runs oldest first, readings by place, reports by building."""

    id: str
    event: Event
    came: float
    folder: Path | None
    runs: list[str] = field(default_factory=list)
    readings: dict[str, dict[str, Any]] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def describe(self) -> dict[str, Any]:
        """The event as plain JSON values."""
        moment = None if math.isnan(self.event.time) else dt.datetime.fromtimestamp(self.event.time, dt.UTC).isoformat()
        return {
            "id": self.id, "name": self.event.name, "time": moment, "earthquake": self.event.said, "runs": self.runs,
            "readings": list(self.readings.values()), "reports": list(self.reports.values()),
            "shakemap": bool(self.event.grid), "listening": self.task is not None and not self.task.done(),
        }  # fmt: skip


def _events(here: Served) -> dict[str, Watched]:
    return here.earthquakes


def _one(here: Served, id: str) -> Watched:
    known = _events(here)
    if id not in known:
        raise MissingError(f'no event "{id}"', hint=nearest(id, known) if known else "no earthquake was announced yet")
    return known[id]


@router.post("", status_code=202)
async def announce(here: Here, request: Request) -> Response:
    """Take an event (USGS GeoJSON, QuakeML, ShakeMap grid.xml, or {magnitude, place, depth}) and run it from the state now."""
    event = await run_in_threadpool(read_event, await request.body())
    known = _events(here)
    id = re.sub(r"[^A-Za-z0-9]+", "-", event.id).strip("-")[-60:] or f"quake-{int(time.time() * 1000):x}"
    if len(known) >= MOST_EVENTS and id not in known:
        raise ConflictError(f"{MOST_EVENTS} events are kept", hint="restart the server to forget them")
    folder = await run_in_threadpool(_keep_grid, here, id, event) if event.grid else None
    before = known.get(id)
    watched = Watched(id, event, time.time(), folder)
    if before is not None:  # the agency corrects its own event: what was learnt stays
        watched.runs, watched.readings, watched.reports, watched.task = (
            before.runs,
            before.readings,
            before.reports,
            before.task,
        )
    run = await _run(here, watched)
    known[id] = watched
    if watched.task is None and not event.grid:
        watched.task = asyncio.create_task(_listen(here, watched.id))
    return Json({"id": id, "run": run}, 202, headers={"location": f"/api/runs/{run}"})


@router.get("")
async def events(here: Here) -> Response:
    """All events since the server started, newest first."""
    return Json([w.describe() for w in sorted(_events(here).values(), key=lambda w: -w.came)])


@router.get("/{id}")
async def event(here: Here, id: str) -> Response:
    """One event with its runs, readings and reports."""
    return Json(_one(here, id).describe())


@router.post("/{id}/readings", status_code=202)
async def readings(here: Here, id: str, given: Readings) -> Response:
    """Add readings, each {place, pga or pgv, noise}, and run again."""
    watched = _one(here, id)
    if watched.event.grid:
        raise ConflictError("a ShakeMap heeds its stations already", hint="announce the event with magnitude and place instead")
    fresh = {str(r.get("name") or r.get("place")): r for r in given.readings}
    return await _again(here, watched, {**watched.readings, **fresh}, watched.reports)


@router.post("/{id}/reports", status_code=202)
async def reports(here: Here, id: str, given: Reports) -> Response:
    """Add damage seen of buildings, each {building, state, reliability}, and run again: the rest is updated by Bayes."""
    watched = _one(here, id)
    fresh = {str(r.get("building")): r for r in given.reports}
    return await _again(here, watched, watched.readings, {**watched.reports, **fresh})


async def _again(here: Served, watched: Watched, readings: dict[str, Any], reports: dict[str, Any]) -> Response:
    if len(readings) > MOST_READINGS or len(reports) > MOST_REPORTS:
        raise ConflictError(f"at most {MOST_READINGS} readings and {MOST_REPORTS} reports of one event")
    run = await _run(here, watched, readings, reports)
    watched.readings, watched.reports = readings, reports
    return Json({"id": watched.id, "run": run}, 202, headers={"location": f"/api/runs/{run}"})


def _keep_grid(here: Served, id: str, event: Event) -> Path:
    folder = here.jobs.city / "live" / "events" / id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grid.xml").write_bytes(event.grid)
    return folder


def scenario_of(
    here: Served, watched: Watched, readings: dict[str, Any] | None = None, reports: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The scenario document of an event with all that is known of it."""
    city = here.twin.city
    said: dict[str, Any] = {"shakemap": "grid.xml"} if watched.event.grid else dict(watched.event.said)
    found = {**(watched.readings if readings is None else readings)}
    if found:
        said["readings"] = list(found.values())
    seen = watched.reports if reports is None else reports
    if seen:
        for key in seen:
            city.row("building", key)
        said["reports"] = list(seen.values())
    if not math.isnan(watched.event.time) and "hour" not in said:
        west, _, east, _ = city.lonlat_bounds
        moment = dt.datetime.fromtimestamp(watched.event.time, dt.UTC) + dt.timedelta(hours=(west + east) / 30.0)
        said |= {"hour": round(moment.hour + moment.minute / 60.0, 2), "weekend": moment.weekday() >= 5}
    lifelines = [name for name in LIFELINES if all(t in city for t in simulator(name).spec.needs)]
    return {"name": watched.event.name, "start": "now", "duration": "1h", "every": "15min", "seed": 1,
            "hazards": [{"earthquake": said}], "lifelines": lifelines}  # fmt: skip


async def _run(
    here: Served, watched: Watched, readings: dict[str, Any] | None = None, reports: dict[str, Any] | None = None
) -> str:
    document = await run_in_threadpool(scenario_of, here, watched, readings, reports)
    checked = await run_in_threadpool(scenario.parse, document, watched.folder)
    job = await here.jobs.add(checked, here.twin.state.fork())
    watched.runs.append(job.id)
    return job.id


def heard(here: Served, known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the twin's accelerometers read now, where it is news: by key of the device, as readings of a scenario."""
    state, city = here.twin.state, here.twin.city
    if COLUMN not in state.columns or "device" not in city:
        return {}
    values = state[COLUMN]
    rows = np.flatnonzero(np.nan_to_num(values) >= FELT)
    if not len(rows):
        return {}
    device = city.table("device").iloc[rows]
    point = device.geometry.get_coordinates()
    lon, lat = city.to_lonlat(point["x"].to_numpy(), point["y"].to_numpy())
    fresh = {}
    for key, x, y, value in zip(device["key"], lon, lat, values[rows], strict=True):
        before = known.get(str(key), {}).get("value", 0.0)
        if value > MORE * before:
            fresh[str(key)] = {
                "name": str(key),
                "place": [float(x), float(y)],
                "pga": f"{value:.5g} m/s2",
                "value": float(value),
            }
    return fresh


async def _listen(here: Served, id: str) -> None:
    """Look at the accelerometers for a while; run again when they say more than is known."""
    peaks: dict[str, dict[str, Any]] = {}
    end = time.monotonic() + LISTENS
    while time.monotonic() < end:
        await asyncio.sleep(LOOKS)
        watched = _events(here)[id]
        fresh = heard(here, peaks)
        at_work = any(here.jobs[r].status in ("queued", "running") for r in watched.runs if r in here.jobs.jobs)
        if not fresh or at_work or len(watched.runs) >= MOST_RUNS:
            continue
        peaks |= fresh
        said = {key: {k: v for k, v in reading.items() if k != "value"} for key, reading in fresh.items()}
        together = {**watched.readings, **said}
        await _run(here, watched, together)
        watched.readings = together
