"""What one server serves: the twin of one city, and what the routes keep beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from citytwin.server.alertnews import AlertNews
from citytwin.server.basemap import Basemap
from citytwin.server.hub import Hub
from citytwin.server.jobs import Jobs
from citytwin.server.places import Places
from citytwin.server.quakes import Earthquakes
from citytwin.server.results import Results
from citytwin.server.searches import Optimisations

if TYPE_CHECKING:
    from citytwin.twin import Twin


@dataclass
class Served:
    """The parts that the routes work with; one per process."""

    twin: Twin
    places: Places
    hub: Hub
    jobs: Jobs
    results: Results
    basemap: Basemap
    news: AlertNews
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)  # reports are made one after another
    optimisations: Optimisations = field(init=False)
    earthquakes: Earthquakes = field(init=False)

    def __post_init__(self) -> None:
        self.optimisations = Optimisations(self.jobs.city)
        self.optimisations.told = self.hub.tell
        self.earthquakes = Earthquakes(self.twin, self.jobs)


async def served(connection: HTTPConnection) -> Served:
    """The parts, for a route."""
    found: Served = connection.app.state.served
    return found


Here = Annotated[Served, Depends(served)]
