"""Tables of the city as other platforms read them: NGSI-LD entities with what devices measure now, and GeoJSON."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from citytwin.io.exporters.features import geojson_lines
from citytwin.io.exporters.ngsi import Exporter, Reading
from citytwin.server.served import Here, Served

router = APIRouter(prefix="/api/export", tags=["export"])

LD, GEOJSON = "application/ld+json", "application/geo+json"
MOST = 10_000
NGSI_FORM: dict[int | str, dict[str, Any]] = {200: {"description": "NGSI-LD entities", "content": {LD: {}}}}
GEOJSON_FORM: dict[int | str, dict[str, Any]] = {200: {"description": "GeoJSON", "content": {GEOJSON: {}}}}


@router.get("/ngsi-ld/{table}", responses=NGSI_FORM)
def ngsi(here: Here, table: str, limit: int = Query(1000, ge=1, le=MOST), offset: int = Query(0, ge=0, le=2**31)) -> Response:
    """Things of a table as NGSI-LD entities, page by page; `x-next` is the offset of the next page."""
    number = here.twin.city.size(table) if table in here.twin.city.tables else len(here.places.table(table))
    rows = np.arange(offset, max(offset, min(offset + limit, number)), dtype=np.int64)
    entities = list(_exporter(here).entities(table, rows))
    headers = {"x-number-matched": str(number)}
    if offset + limit < number:
        headers["x-next"] = str(offset + limit)
    return Response(msgspec.json.encode(entities), media_type=LD, headers=headers)


@router.get("/geojson/{table}", responses=GEOJSON_FORM)
def geojson(here: Here, table: str) -> Response:
    """A whole table as GeoJSON."""
    here.places.table(table)
    return StreamingResponse(geojson_lines(here.twin.city, table), media_type=GEOJSON)


def _exporter(here: Served) -> Exporter:
    """The exporter, made once, with what the devices measure now."""
    made: Exporter = here.places.once("ngsi-ld", lambda: Exporter(here.twin.city, here.twin.columns))
    value, _, when = here.twin.device_values()
    keys = here.places.table("device")["key"].astype(str).tolist() if "device" in here.twin.city.tables else []
    heard = np.isfinite(when) & (when > 0)
    return made.with_readings({keys[i]: Reading(float(value[i]), float(when[i])) for i in np.flatnonzero(heard).tolist()})
