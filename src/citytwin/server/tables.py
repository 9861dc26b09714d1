"""Tables as GeoJSON by place and kind, and search by name or key."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from citytwin.errors import InputError
from citytwin.server.encoding import Json
from citytwin.server.places import Box
from citytwin.server.served import Here

router = APIRouter(prefix="/api", tags=["things"])


def box_of(text: str) -> Box:
    """West, south, east, north (degrees) in `text`. Raises InputError."""
    hint = "as in 1.50,42.49,1.54,42.53: west,south,east,north in degrees"
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f'"{text}" is not a box', "bbox", hint) from error
    fits = all(map(math.isfinite, (west, south, east, north))) and west <= east and south <= north
    if not fits or min(west, -east) < -180 or min(south, -north) < -90:
        raise InputError(f'"{text}" is not a box', "bbox", hint)
    return west, south, east, north


@router.get("/tables/{table}")
def things_of(
    here: Here,
    table: str,
    bbox: str | None = None,
    kind: str | None = None,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """Things of one table as a GeoJSON FeatureCollection in longitude and latitude.

    `bbox` is west,south,east,north in degrees; `kind` is a kind, use or class. `numberMatched` counts all that match.
    """
    chosen = here.places.select(table, box_of(bbox) if bbox is not None else None, kind)
    rows = chosen[offset : offset + limit]
    features = [
        {"type": "Feature", "id": values.get("key"), "geometry": _raw(shape), "properties": values}
        for shape, values in zip(here.places.geojson(table, rows), here.places.attributes(table, rows), strict=True)
    ]
    return Json({"type": "FeatureCollection", "numberMatched": len(chosen), "numberReturned": len(rows), "features": features})


def _raw(shape: str | None) -> msgspec.Raw | None:
    return None if shape is None else msgspec.Raw(shape.encode())


@router.get("/search")
def search(
    here: Here,
    q: Annotated[str, Query(max_length=200)],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Things by key or by part of their name, without regard to case and accents."""
    return Json(here.places.search(q.strip(), limit) if q.strip() else [])
