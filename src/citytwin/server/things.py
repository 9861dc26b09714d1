"""One thing: what it is, how it is now, what it belongs to; and the history of one device."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from citytwin.errors import InputError
from citytwin.server import encoding
from citytwin.server.encoding import Json, moment
from citytwin.server.served import Here, Served
from citytwin.state import STATUS

router = APIRouter(prefix="/api/things", tags=["things"])

STATUSES = STATUS
DAY = 86_400.0


# A key may hold slashes (an OpenStreetMap key is one), so this route stands before that of a thing.
@router.get("/device/{key:path}/history")
async def history(
    here: Here,
    key: str,
    begin: str | None = None,
    end: str | None = None,
    points: int = Query(500, ge=2, le=10_000),
) -> Response:
    """Readings of one device between two times (the last day, if not said), thinned to about `points` buckets."""
    until = moment(end, "end") if end is not None else time.time()
    since = moment(begin, "begin") if begin is not None else max(0.0, until - DAY)
    if since >= until:
        raise InputError("begin is not before end", "begin")
    await run_in_threadpool(here.places.row, "device", key)
    return Json(await run_in_threadpool(here.twin.history, key, since, until, points))


@router.get("/{table}/{key:path}")
async def thing(here: Here, table: str, key: str) -> Response:
    """One thing with its geometry, attributes, current state and relations."""
    found = await run_in_threadpool(_described, here, table, key)
    row = found.pop("row")
    found["state"] = _device_state(here, row) if table == "device" else _state(here, table, row)
    return Json(found)


def _described(here: Served, table: str, key: str) -> dict[str, Any]:
    row = here.places.row(table, key)
    rows = np.array([row])
    shape = here.places.geojson(table, rows)[0]
    relations, total = here.places.related(table, key)
    return {
        "row": row,
        "table": table,
        "key": key,
        "name": here.places.name(table, row),
        "geometry": None if shape is None else msgspec.Raw(shape.encode()),
        "attributes": here.places.attributes(table, rows)[0],
        "relations": relations,
        "relations_total": total,
    }


def _state(here: Served, table: str, row: int) -> dict[str, Any]:
    """The columns of a thing that somebody has written."""
    state = here.twin.state
    written = [here.twin.columns[name] for name in state.written]
    return {
        c.name: {"value": state[c.name][row], "unit": c.unit, "time": encoding.iso(state.time), "status": "online"}
        for c in written
        if c.table == table and np.isfinite(state[c.name][row])
    }


def _device_state(here: Served, row: int) -> dict[str, Any]:
    """The one column that a device measures, with the time of its last reading and the device's status."""
    kind = here.twin.columns.kinds.get(here.hub.kinds[int(here.hub.kind[row])])
    if kind is None:
        return {}
    value, status, times = here.twin.device_values()
    known = np.isfinite(times[row]) and times[row] > 0
    return {
        kind.column.name: {
            "value": value[row],
            "unit": kind.column.unit,
            "time": encoding.iso(float(times[row])) if known else None,
            "status": STATUSES[int(status[row])] if int(status[row]) < len(STATUSES) else STATUSES[0],
        }
    }
