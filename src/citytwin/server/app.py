"""The application: the routes of every noun, the guard before them, the error table behind them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from citytwin import __version__
from citytwin.server import (
    alerts,
    basemap,
    city,
    control,
    errors,
    events,
    export,
    features,
    forecasts,
    health,
    journal,
    live,
    optimisations,
    page,
    query,
    readings,
    rules,
    runs,
    scenarios,
    tables,
    things,
)
from citytwin.server.alertnews import AlertNews, follow_runs
from citytwin.server.basemap import Basemap
from citytwin.server.guard import Guard
from citytwin.server.hub import Hub
from citytwin.server.jobs import Jobs
from citytwin.server.places import Places
from citytwin.server.results import Results
from citytwin.server.sensorthings import routes as sensorthings
from citytwin.server.served import Served

if TYPE_CHECKING:
    from citytwin.twin import Twin

log = logging.getLogger("citytwin.server")

ERROR_FORM = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "message", "where", "hint"],
            "properties": {name: {"type": "string"} for name in ("kind", "message", "where", "hint")},
        }
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {"application/json": {"schema": ERROR_FORM}}}
    for status, words in {
        400: "Wrong input",
        403: "Not from here",
        404: "Not there",
        409: "Not now",
        413: "Too large",
        415: "Not a form that is read here",
        502: "Something outside failed",
        507: "The disk is full",
    }.items()
}


def create_app(
    twin: Twin,
    folder: Path,
    listens: str = "127.0.0.1",
    names: Iterable[str] = (),
    origins: Iterable[str] = (),
    places: int = 1,
) -> FastAPI:
    """The application that serves a started `twin` of the city in `folder`.

    listens, names, origins: see `Guard`. places: how many runs may be at work at once.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        here = _parts(twin, folder, places)
        app.state.served = here
        await here.jobs.start()
        await here.optimisations.start()
        await here.earthquakes.start()
        await here.hub.start()
        await here.basemap.start()
        try:
            yield
        finally:
            await here.hub.stop()
            sensorthings.close(app)
            await here.basemap.stop()
            await here.earthquakes.stop()
            await here.optimisations.stop()
            await here.jobs.stop()

    app = FastAPI(
        title="citytwin", version=__version__, lifespan=lifespan, openapi_url="/api/openapi.json", docs_url=None,
        redoc_url=None, responses=PROBLEMS, redirect_slashes=False,
    )  # fmt: skip
    errors.install(app)
    for each in (
        city,
        alerts,
        rules,
        journal,
        tables,
        control,
        things,
        health,
        query,
        features,
        export,
        readings,
        scenarios,
        runs,
        events,
        forecasts,
        optimisations,
    ):
        app.include_router(each.router)
    app.router.routes += [*live.routes, *basemap.routes, *runs.routes, *sensorthings.routes, *page.routes()]
    app.add_middleware(Guard, listens=listens, names=tuple(names), origins=tuple(origins))
    _describe_errors(app)
    return app


def _parts(twin: Twin, folder: Path, places: int) -> Served:
    known = Places(twin.city)
    jobs = Jobs(folder, places)
    hub = Hub(twin)
    results = Results(twin.city, known, jobs.frames)
    follow_runs(jobs, twin.alerts, results, hub)
    news = AlertNews(twin.alerts, known, hub)
    twin.control.told.append(lambda c: hub.tell(f"command {c.id}", {"type": "command", **c.describe()}))
    return Served(twin, known, hub, jobs, results, Basemap(twin.city, folder), news)


def _describe_errors(app: FastAPI) -> None:
    """Publish what is answered to a wrong request: 400 in our form, not FastAPI's own 422."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            for path in schema["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
