"""Readings over HTTP, and what the checks found about all readings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header
from starlette.responses import Response

from citytwin.server.encoding import Json
from citytwin.server.served import Here

router = APIRouter(prefix="/api", tags=["readings"])

ARROW = "application/vnd.apache.arrow.stream"
POSITIONS = ("application/x-protobuf", "application/protobuf", "application/x-google-protobuf")  # GTFS-realtime
LINES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {"schema": {"type": "string"}, "example": '{"device": "river_stage-1", "value": 1.2}\n'},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
            POSITIONS[0]: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("/readings", openapi_extra=LINES)
async def readings(
    here: Here, batch: Annotated[bytes, Body(media_type="application/x-ndjson")], content_type: Annotated[str, Header()] = ""
) -> Response:
    """Take readings: JSON lines {"device", "value", "time"?, "unit"?}, an Arrow IPC stream with columns of these names, or
    the vehicle positions of a GTFS-realtime message.

    They are kept for good when this answers. A reading that the checks refuse is counted with its reason and does not stop
    the others.
    """
    form = content_type.partition(";")[0].strip().lower()
    if form == ARROW:
        return Json(await here.twin.accept_arrow(batch))
    if form in POSITIONS:
        return Json(await here.twin.accept_positions(batch))
    return Json(await here.twin.accept(batch))


@router.get("/quality")
async def quality(here: Here) -> Response:
    """How many readings were good, and how many were refused for which reason."""
    return Json(here.twin.quality())
