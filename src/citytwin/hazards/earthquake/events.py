"""Announced earthquakes, as agencies send them: USGS GeoJSON, QuakeML, ShakeMap's grid, or our own few values.

`read_event` tells by the content what it is and gives what a scenario may say to the earthquake.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from citytwin.errors import InputError
from citytwin.hazards.earthquake.source import mechanism_of

OURS = {"id", "time", "magnitude", "place", "depth", "mechanism", "strike", "dip", "rake", "models", "realisations", "hour",
        "name", "drill", "aftershocks", "susceptibility", "water_table"}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """An announced earthquake.

    id: the agency's, empty if it gave none. name: in words. time: origin time, seconds since 1970, NaN if not given. said:
    entries of the scenario's earthquake. grid: bytes of a ShakeMap grid that came with it. drill: it did not happen;
    devices are not asked.
    """

    id: str
    name: str
    time: float
    said: dict[str, Any]
    grid: bytes = b""
    facts: Mapping[str, Any] = field(default_factory=dict)
    drill: bool = False


def read_event(body: bytes) -> Event:
    """The event in a message. Raises InputError that says what is missing or what is read."""
    start = body.lstrip()[:1]
    if start == b"<":
        return _xml(body)
    if start != b"{":
        raise InputError(
            "an event is JSON or XML", "event", "read: USGS GeoJSON, QuakeML, ShakeMap grid.xml, or {magnitude: ...}"
        )
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("is not JSON", "event") from error
    if said.get("type") in ("Feature", "FeatureCollection"):
        return _geojson(said)
    return _own(said)


def single_events(body: bytes) -> list[bytes]:
    """The events of a feed as messages of one event each: features of a GeoJSON collection, events of a QuakeML document.

    Anything else comes back as it is. Raises InputError where it cannot be read.
    """
    if body.lstrip()[:1] == b"<":
        root = _parsed(body)
        found = [e for e in root.iter() if isinstance(e.tag, str) and etree.QName(e).localname == "event"]
        inside = etree.QName(root).localname in ("quakeml", "eventParameters")
        return [etree.tostring(e) for e in found] if inside else [body]
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError("the feed is neither JSON nor XML", "feed") from error
    if isinstance(said, dict) and said.get("type") == "FeatureCollection" and isinstance(said.get("features"), list):
        return [json.dumps(feature).encode() for feature in said["features"]]
    return [body]


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} {value!r} is not a number", "event") from None
    if not math.isfinite(number):
        raise InputError(f"{what} {value!r} is not a number", "event")
    return number


def _source(magnitude: Any, lon: Any, lat: Any, depth: Any) -> dict[str, Any]:
    """Entries of the earthquake; depth in km."""
    deep = 10.0 if depth in (None, "") else max(_number(depth, "depth"), 0.0)
    place = [_number(lon, "longitude"), _number(lat, "latitude")]
    return {"magnitude": _number(magnitude, "magnitude"), "place": place, "depth": f"{deep} km"}


def _moment(text: Any) -> float:
    try:
        moment = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        raise InputError(f'time "{text}" is not a time', "event", "as in 2026-11-21T18:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _named(said: Mapping[str, Any], place: str = "") -> str:
    return f"Earthquake of magnitude {said['magnitude']:g}{' ' + place if place else ''}"


def _own(said: Any) -> Event:
    wrong = [k for k in said if k not in OURS]
    if wrong:
        raise InputError(f'"{wrong[0]}" is not an entry of an event', "event", f"allowed: {', '.join(sorted(OURS))}")
    for name in ("magnitude", "place"):
        if name not in said:
            raise InputError(f"{name} is missing", "event")
    time = _moment(said["time"]) if said.get("time") else math.nan
    drill = said.get("drill", False)
    if not isinstance(drill, bool):
        raise InputError(f"drill is {drill!r}", "event", "true or false")
    entries = {k: v for k, v in said.items() if k not in ("id", "time", "name", "drill")}
    entries["magnitude"] = _number(said["magnitude"], "magnitude")
    name = str(said.get("name") or ("Drill: " if drill else "") + _named(entries))
    return Event(str(said.get("id", "")), name, time, entries, drill=drill)


def _geojson(said: Mapping[str, Any]) -> Event:
    """A feature of USGS's earthquake feeds; of a collection the first."""
    if said.get("type") == "FeatureCollection":
        features = said.get("features") or []
        if not features:
            raise InputError("the collection has no feature", "event")
        said = features[0]
    facts, place = said.get("properties") or {}, (said.get("geometry") or {}).get("coordinates") or []
    if len(place) < 2:
        raise InputError("the feature has no coordinates", "event")
    entries = _source(facts.get("mag"), place[0], place[1], place[2] if len(place) > 2 else None)
    time = _number(facts["time"], "time") / 1000.0 if facts.get("time") is not None else math.nan
    return Event(str(said.get("id", "")), _named(entries, str(facts.get("place") or "")), time, entries)


def _parsed(body: bytes) -> Any:
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"is not XML: {error.msg}", "event") from error


def _xml(body: bytes) -> Event:
    root = _parsed(body)
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = etree.QName(element).localname
    if root.tag == "shakemap_grid":
        return _grid(root, body)
    event = root if root.tag == "event" else next(root.iter("event"), None)
    if event is None:
        raise InputError(f"<{root.tag}> holds no event", "event", "read: QuakeML, ShakeMap grid.xml")
    return _quakeml(event)


def _grid(root: Any, body: bytes) -> Event:
    event = root.find("event")
    facts = dict(event.attrib) if event is not None else {}
    entries = {"magnitude": _number(facts.get("magnitude"), "magnitude")}
    stamp = str(facts.get("event_timestamp", ""))
    time = _moment(stamp.replace("UTC", "").replace("GMT", "").strip()) if stamp else math.nan
    name = _named(entries, str(facts.get("event_description", "")))
    return Event(str(facts.get("event_id", "")), name, time, {}, body, facts)


def _quakeml(event: Any) -> Event:
    """QuakeML 1.2: the preferred origin, magnitude and focal mechanism, else the first of each."""

    def chosen(kind: str) -> Any:
        found = event.findall(kind)
        wanted = event.findtext(f"preferred{kind[0].upper()}{kind[1:]}ID")
        return next((e for e in found if e.get("publicID") == (wanted or "").strip()), found[0] if found else None)

    origin, magnitude, focal = chosen("origin"), chosen("magnitude"), chosen("focalMechanism")
    if origin is None or magnitude is None:
        raise InputError("the event has no origin or no magnitude", "event")
    depth = origin.findtext("depth/value")
    deep = _number(depth, "depth") / 1000.0 if depth else None
    entries = _source(
        magnitude.findtext("mag/value"), origin.findtext("longitude/value"), origin.findtext("latitude/value"), deep
    )
    rake = focal.findtext("nodalPlanes/nodalPlane1/rake/value") if focal is not None else None
    if rake:
        entries["mechanism"] = mechanism_of(_number(rake, "rake"))
    time = origin.findtext("time/value")
    place = event.findtext("description/text") or ""
    return Event(str(event.get("publicID", "")), _named(entries, place), _moment(time) if time else math.nan, entries)
