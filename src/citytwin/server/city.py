"""The city as a whole: what it is, which columns, device kinds and simulators there are."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from citytwin import __version__, scenario
from citytwin.server.encoding import Json, iso
from citytwin.server.served import Here, Served
from citytwin.sim import all_simulators

router = APIRouter(prefix="/api", tags=["city"])


@router.get("/health")
async def health(here: Here) -> Response:
    """Whether the server works, and how far the base map is."""
    return Json({"status": "ok", "version": __version__, "now": iso(time.time()), "basemap": here.basemap.status(),
                 "mqtt_port": here.twin.mqtt_port, "pages": len(here.hub.pages)})  # fmt: skip


@router.get("/city")
async def city(here: Here) -> Response:
    """What the city is and where."""
    static: dict[str, Any] = here.places.once("city", lambda: _facts(here))
    return Json({**static, "now": iso(time.time())})


def _facts(here: Served) -> dict[str, Any]:
    place = here.twin.city
    west, south, east, north = place.lonlat_bounds
    return {
        "name": place.name,
        "synthetic": place.facts.synthetic,
        "bbox": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2],
        "tables": {table: place.size(table) for table in place.tables},
        "sources": [vars(source) for source in place.facts.sources],
        "notes": place.facts.notes,
        "missing": place.facts.missing,
        "ground": _ground(here) if place.has_ground else None,
        "kinds_present": here.hub.kinds,
    }


def _ground(here: Served) -> dict[str, Any]:
    height, width = here.twin.city.ground.shape
    cell_size = here.twin.city.ground.cell_size
    return {"width": width, "height": height, "cell_size": cell_size, "corners": here.places.corners(width, height)}


@router.get("/columns")
async def columns(here: Here) -> Response:
    """Every declared column: the city's, the sensors', the simulators'."""
    return Json([column.describe() for column in here.twin.columns])


@router.get("/device-kinds")
async def device_kinds(here: Here) -> Response:
    """Every declared kind of device."""
    return Json([kind.describe() for kind in here.twin.columns.kinds.values()])


@router.get("/simulators")
def simulators() -> Response:
    """Every installed simulator, with the form of its parameters and interventions."""
    return Json([each.spec.describe() for each in all_simulators()])


@router.get("/scenario-schema")
def scenario_schema() -> Response:
    """The JSON Schema of a scenario document."""
    return Json(scenario.json_schema())
