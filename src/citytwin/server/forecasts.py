"""Forecasts from the city's own readings: the epidemic by zone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from citytwin.errors import InputError
from citytwin.server.encoding import Json
from citytwin.server.served import Here

router = APIRouter(prefix="/api/forecasts", tags=["forecasts"])

FRESH = 600.0
"""Seconds that a forecast is answered again without being made anew: readings of cases come by the day."""

_made: dict[tuple[Any, ...], tuple[float, dict[str, Any]]] = {}


@router.get("/epidemic")
async def epidemic(
    here: Here,
    until: Annotated[str | None, Query(max_length=10)] = None,
    seen: Annotated[float | None, Query(ge=0.001, le=1)] = None,
    admitted: Annotated[float | None, Query(ge=1e-5, le=1)] = None,
    generation: Annotated[float | None, Query(ge=1, le=20)] = None,
) -> Response:
    """R(t), infections today and four weeks ahead for the city and each zone, with bands."""
    city = here.twin.city
    folder = Path(city.folder or "")
    key = (folder, until, seen, admitted, generation)
    async with here.reporting:
        now = time.monotonic()
        if key not in _made or now - _made[key][0] > FRESH:
            document = await run_in_threadpool(_forecast, city, folder, *key[1:])
            if len(_made) > 20:
                _made.clear()
            _made[key] = now, document
    return Json(_made[key][1])


def _forecast(
    city: Any, folder: Path, until: str | None, seen: float | None, admitted: float | None, generation: float | None
) -> dict[str, Any]:
    from citytwin.forecast.city import Disease, assimilate, described
    from citytwin.forecast.zones import KINDS, from_devices
    from citytwin.io.stores.daily import daily

    try:
        last = np.datetime64(until, "D") if until else None
    except ValueError as error:
        raise InputError(f'"{until}" is not a date', "until", "as in 2026-01-31") from error
    given = {"seen": seen, "admitted": admitted, "generation": generation}
    disease = Disease(**{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    return described(assimilate(from_devices(city, daily(folder, list(KINDS)), last), disease))
