"""citytwin events: hand the earthquakes that an agency announces to a served twin."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import click
import httpx
import numpy as np

from citytwin.cli.follow import PATIENCE, reader
from citytwin.cli.served import ServedTwin, served_at
from citytwin.cli.show import say
from citytwin.errors import ConflictError, InputError, OutsideError
from citytwin.hazards.earthquake.events import Event, read_event, single_events
from citytwin.hazards.earthquake.live import distance

HOUR = 3600.0


@click.group()
def events() -> None:
    """Earthquakes as they are announced."""


@events.command()
@click.argument("feed")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where the twin is served.")
@click.option("--magnitude", type=click.FloatRange(0, 10), default=4.0, show_default=True, help="Only from this magnitude on.")
@click.option("--within", type=click.FloatRange(min=0), default=300.0, show_default=True, help="Kilometres from the city.")
@click.option("--since", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Only of the last hours.")
@click.option("--every", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Seconds between looks.")
@click.option("--times", type=click.IntRange(1), help="Look so often, then stop; without it only Ctrl-C ends it.")
def follow(feed: str, url: str, magnitude: float, within: float, since: float, every: float, times: int | None) -> None:
    """Announce the earthquakes of FEED to the twin served at --url.

    FEED is an address or file: USGS's GeoJSON feeds, QuakeML (as FDSN services answer), a ShakeMap's grid.xml. An event that
    changes is announced again; one that did not starts nothing. A look that fails is said and tried again at the next.
    """
    looked, told = 0, 0
    with served_at(url) as twin, httpx.Client(timeout=PATIENCE, follow_redirects=True) as client:
        look = reader(feed, client)
        centre: tuple[float, float] | None = None
        while times is None or looked < times:
            if looked:
                time.sleep(every)
            looked += 1
            try:
                centre = centre or tuple(twin.get("/api/city")["center"])
                told += _announce(look, twin, partial(_matters, magnitude, within, since * HOUR, centre))
            except (OutsideError, ConflictError) as error:
                if looked == times:
                    raise
                say(f"{error}")
    print(f"{told} events announced in {looked} looks")


def _announce(look: Callable[[], bytes], twin: ServedTwin, matters: Callable[[Event], bool]) -> int:
    """Hand over the events of one look that matter; how many the twin had not heard like that."""
    told = 0
    for message in single_events(look()):
        try:
            event = read_event(message)
        except InputError as error:
            say(f"an event was passed over: {error}")
            continue
        if matters(event):
            form = "application/xml" if message.lstrip()[:1] == b"<" else "application/json"
            answer = twin.post_bytes("/api/events/earthquake", message, form)
            told += bool(answer["fresh"])
            if answer["fresh"]:
                say(f"{event.name}: run {answer['run']}")
    return told


def _matters(magnitude: float, within: float, since: float, centre: tuple[float, float], event: Event) -> bool:
    """Whether an event is strong, near and young enough; a ShakeMap and what gives no time or place always is."""
    if not math.isnan(event.time) and event.time < time.time() - since:
        return False
    if "magnitude" not in event.said or "place" not in event.said:
        return True
    lon, lat = (np.array([float(v)]) for v in event.said["place"])
    return bool(event.said["magnitude"] >= magnitude and distance(lon, lat, centre)[0] <= within)
