"""Earthquakes as they are announced: an event starts a run from the state now; readings and reports make it run again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from citytwin.hazards.earthquake.events import read_event
from citytwin.server.encoding import Json
from citytwin.server.quakes import Watched
from citytwin.server.served import Here

router = APIRouter(prefix="/api/events/earthquake", tags=["runs"])


class Readings(BaseModel):
    """Readings of instruments, or what people felt, as the earthquake of a scenario takes them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    readings: list[dict[str, Any]]


class Reports(BaseModel):
    """Damage seen of single buildings, as the earthquake of a scenario takes it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reports: list[dict[str, Any]]


@router.post("", status_code=202)
async def announce(here: Here, request: Request) -> Response:
    """Take an event (USGS GeoJSON, QuakeML, ShakeMap grid.xml, or {magnitude, place, depth}) and run it from the state now.

    The same event said again is answered with 200 and the run that there is; one that was corrected runs again.
    """
    event = await run_in_threadpool(read_event, await request.body())
    watched, fresh = await here.earthquakes.announce(event)
    return _started(watched, 202 if fresh else 200, fresh)


@router.get("")
async def events(here: Here) -> Response:
    """All events of the last 90 days, at most 200, newest first."""
    return Json([w.describe() for w in here.earthquakes.listed()])


@router.get("/{id}")
async def event(here: Here, id: str) -> Response:
    """One event with its runs, readings and reports, what devices say of it, and which of them are left out and why."""
    return Json(here.earthquakes[id].describe())


@router.post("/{id}/readings", status_code=202)
async def readings(here: Here, id: str, given: Readings) -> Response:
    """Add readings, each {place, pga or pgv, noise} or {place, intensity, responses}, and run again."""
    watched = here.earthquakes[id]
    fresh = {str(r.get("name") or r.get("place")): r for r in given.readings}
    await here.earthquakes.learn(watched, fresh, {})
    return _started(watched)


@router.post("/{id}/reports", status_code=202)
async def reports(here: Here, id: str, given: Reports) -> Response:
    """Add damage seen of buildings, each {building, state, reliability}, and run again: the rest is updated by Bayes."""
    watched = here.earthquakes[id]
    fresh = {str(r.get("building")): r for r in given.reports}
    await here.earthquakes.learn(watched, {}, fresh)
    return _started(watched)


def _started(watched: Watched, status: int = 202, fresh: bool = True) -> Response:
    run = watched.runs[-1]
    return Json({"id": watched.id, "run": run, "fresh": fresh}, status, headers={"location": f"/api/runs/{run}"})
