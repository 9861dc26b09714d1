"""The city as OGC API - Features (Part 1: Core, OGC 17-069r4), so that QGIS, ArcGIS and GDAL read its tables as layers.

A collection is a table that has places; an item is a thing, its attributes are its properties. Coordinates are longitude and
latitude (CRS84). A device also tells what it measures now: `quantity`, `value`, `unit`, `status`, `measured`.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlencode

import geopandas as gpd
import numpy as np
import shapely
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from citytwin.city import FORMS
from citytwin.city.graph import Graph, Rows
from citytwin.city.query import Condition, Query
from citytwin.errors import InputError, MissingError, nearest
from citytwin.server.encoding import Json, iso, moment
from citytwin.server.query import features_of
from citytwin.server.sensorthings.model import ROOT as SENSORTHINGS
from citytwin.server.served import Here, Served
from citytwin.server.things import STATUSES

router = APIRouter(prefix="/ogc", tags=["OGC API - Features"])

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
GEOJSON = "application/geo+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"
CONFORMS = [f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{name}" for name in ("core", "geojson")]
USUAL, MOST = 1000, 10_000  # items of a page
OWN = ("bbox", "limit", "offset", "datetime", "f", "crs", "bbox-crs")
JSON_FORM: dict[int | str, dict[str, Any]] = {200: {"description": "As OGC 17-069r4 says", "content": {"application/json": {}}}}
ITEMS_FORM: dict[int | str, dict[str, Any]] = {200: {"description": "GeoJSON", "content": {GEOJSON: {}}}}
API_FORM: dict[int | str, dict[str, Any]] = {200: {"description": "The OpenAPI document", "content": {OPENAPI: {}}}}


def _asked(name: str, kind: str, words: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": kind}}


PARAMETERS = {
    "parameters": [
        _asked("bbox", "string", "west,south,east,north in degrees (with heights between: six numbers)"),
        {"name": "limit", "in": "query", "required": False, "description": "items of a page",
         "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}},
        {"name": "offset", "in": "query", "required": False, "description": "items before this page",
         "schema": {"type": "integer", "minimum": 0, "maximum": 2**31}},
        _asked("datetime", "string", "checked, but things here have no time: it leaves none out"),
    ]
}  # fmt: skip


class GeoJson(Json):
    """A GeoJSON answer."""

    media_type = GEOJSON


def _link(
    request: Request, path: str, rel: str, title: str, media: str = "application/json", asked: dict[str, Any] | None = None
) -> dict[str, str]:
    root = f"{request.url.scheme}://{request.url.netloc}/ogc"
    said = f"?{urlencode(asked)}" if asked else ""
    return {"href": f"{root}{path}{said}", "rel": rel, "type": media, "title": title}


@router.get("", responses=JSON_FORM)
@router.get("/", responses=JSON_FORM, include_in_schema=False)
def landing(here: Here, request: Request) -> Response:
    """The landing page: where everything is."""
    links = [
        _link(request, "/", "self", "this page"),
        _link(request, "/api", "service-desc", "the interface", OPENAPI),
        _link(request, "/conformance", "conformance", "what this server conforms to"),
        _link(request, "/collections", "data", "the tables of the city"),
        {"href": f"{request.url.scheme}://{request.url.netloc}{SENSORTHINGS}", "rel": "related", "type": "application/json",
         "title": "the same devices, with what they measured: OGC SensorThings 1.1"},
    ]  # fmt: skip
    words = f"The digital twin of {here.twin.city.name}: its tables as features."
    return Json({"title": here.twin.city.name, "description": words, "links": links})


@router.get("/conformance", responses=JSON_FORM)
def conformance() -> Response:
    """The conformance classes that this server keeps to."""
    return Json({"conformsTo": CONFORMS})


@router.get("/api", responses=API_FORM)
def interface(request: Request) -> Response:
    """The OpenAPI document, the same as at /api/openapi.json."""
    return Json(request.app.openapi(), media_type=OPENAPI)


def _tables(here: Served) -> list[str]:
    return [t for t in here.twin.city.tables if isinstance(here.places.table(t), gpd.GeoDataFrame)]


def _table(here: Served, name: str) -> str:
    if name not in (known := _tables(here)):
        raise MissingError(f'no collection "{name}"', here.twin.city.name, nearest(name, known))
    return name


def _collection(here: Served, request: Request, table: str) -> dict[str, Any]:
    path = f"/collections/{quote(table)}"
    form = FORMS.get(table)
    said: dict[str, Any] = {
        "id": table, "title": table.replace("_", " ").capitalize(), "itemType": "feature", "crs": [CRS84],
        "description": form.meaning if form is not None else "",
        "links": [
            _link(request, path, "self", "this collection"),
            _link(request, f"{path}/items", "items", "its things", GEOJSON),
        ],
    }  # fmt: skip
    box = here.places.once(f"extent {table}", lambda: _extent(here, table))
    if box is not None:
        said["extent"] = {"spatial": {"bbox": [box], "crs": CRS84}}
    return said


def _extent(here: Served, table: str) -> list[float] | None:
    local = shapely.total_bounds(here.places.table(table).geometry.to_numpy())
    if not np.isfinite(local).all():
        return None
    edge = shapely.get_coordinates(shapely.segmentize(shapely.box(*local), max(float(np.ptp(local)) / 16, 1.0)))
    lon, lat = here.twin.city.to_lonlat(edge[:, 0], edge[:, 1])
    return [float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())]


@router.get("/collections", responses=JSON_FORM)
def collections(here: Here, request: Request) -> Response:
    """All tables that have places."""
    links = [_link(request, "/collections", "self", "this list")]
    return Json({"links": links, "collections": [_collection(here, request, t) for t in _tables(here)]})


@router.get("/collections/{id}", responses=JSON_FORM)
def collection(here: Here, request: Request, id: str) -> Response:
    """One table."""
    return Json(_collection(here, request, _table(here, id)))


# What may be asked are also the attributes of the table, which only the city knows: the parameters are read by hand.
@router.get("/collections/{id}/items", responses=ITEMS_FORM, openapi_extra=PARAMETERS)
def items(here: Here, request: Request, id: str) -> Response:
    """Things of a table: in `bbox`, with properties equal to what is asked (`?kind=hospital`), page by page."""
    table = _table(here, id)
    asked = _read(request)
    limit = min(_whole(asked.get("limit", str(USUAL)), "limit", 1), MOST)
    offset = _whole(asked.get("offset", "0"), "offset", 0)
    chosen = _chosen(here, table, asked)
    rows = chosen[offset : offset + limit]
    path = f"/collections/{quote(table)}"
    kept = {name: value for name, value in asked.items() if name not in ("offset", "limit")}

    def page(rel: str, at: int) -> dict[str, str]:
        return _link(request, f"{path}/items", rel, f"{rel} page", GEOJSON, {**kept, "limit": limit, "offset": at})

    links = [page("self", offset), _link(request, path, "collection", "the collection")]
    if len(rows) and offset + limit < len(chosen):
        links.append(page("next", offset + limit))
    if offset:
        links.append(page("prev", max(0, offset - limit)))
    return GeoJson({"type": "FeatureCollection", "timeStamp": iso(time.time()), "numberMatched": len(chosen),
                    "numberReturned": len(rows), "links": links, "features": _features(here, table, rows)},
                   headers={"content-crs": f"<{CRS84}>"})  # fmt: skip


@router.get("/collections/{id}/items/{key:path}", responses=ITEMS_FORM)
def item(here: Here, request: Request, id: str, key: str) -> Response:
    """One thing."""
    table = _table(here, id)
    found = _features(here, table, np.array([here.places.row(table, key)]))[0]
    path = f"/collections/{quote(table)}"
    links = [
        _link(request, f"{path}/items/{quote(key)}", "self", "this thing", GEOJSON),
        _link(request, path, "collection", "the collection"),
    ]
    return GeoJson({**found, "links": links}, headers={"content-crs": f"<{CRS84}>"})


def _features(here: Served, table: str, rows: Rows) -> list[dict[str, Any]]:
    return features_of(here, table, rows, _now(here, rows) if table == "device" else {})


def _now(here: Served, rows: Rows) -> dict[str, Any]:
    """What the devices in `rows` measure now."""
    value, status, when = here.twin.device_values()
    kinds = [here.twin.columns.kinds.get(here.hub.kinds[code]) for code in here.hub.kind[rows]]
    return {
        "quantity": [k.column.name if k is not None else None for k in kinds], "value": value[rows],
        "unit": [k.column.unit if k is not None else None for k in kinds],
        "status": [STATUSES[code] if code < len(STATUSES) else STATUSES[0] for code in status[rows]],
        "measured": [iso(float(t)) if np.isfinite(t) and t > 0 else None for t in when[rows]],
    }  # fmt: skip


# -- what is asked ----------------------------------------------------------------------------------------------------


def _read(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    asked = dict(pairs)
    if len(asked) < len(pairs):
        raise InputError("a parameter is given twice", "query")
    if asked.get("f", "json") not in ("json", "geojson", GEOJSON):
        raise InputError(f'no format "{asked["f"]}"', "f", "json")
    for name in ("crs", "bbox-crs"):
        if asked.get(name, CRS84) != CRS84:
            raise InputError(f'"{asked[name]}" is not offered', name, CRS84)
    if "datetime" in asked:
        _check_time(asked["datetime"])
    return asked


def _whole(text: str, where: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and int(text) >= least):
        raise InputError(f'"{text}" is not a number of things', where, f"a whole number from {least}")
    return int(text)


def _check_time(text: str) -> None:
    """A moment, or two with / between, of which one may be open (.. or nothing). Raises InputError."""
    ends = text.split("/")
    times = [moment(end, "datetime") for end in ends if end not in ("", "..")]
    if len(ends) > 2 or not times or times != sorted(times):
        raise InputError(f'"{text}" is not a time', "datetime", "as in 2026-11-21T18:00:00Z or 2026-11-01T00:00:00Z/..")


def _boxes(text: str) -> list[tuple[float, float, float, float]]:
    """One box, or two where it crosses the antimeridian. Raises InputError."""
    hint = "west,south,east,north in degrees"
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f'"{text}" is not a box', "bbox", hint) from error
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise InputError(f'"{text}" is not a box', "bbox", hint)
    west, south, east, north = numbers
    if south > north or min(west, east, -west, -east) < -180 or min(south, -north) < -90:
        raise InputError(f'"{text}" is not a box', "bbox", hint)
    return [(west, south, east, north)] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _chosen(here: Served, table: str, asked: dict[str, str]) -> Rows:
    graph = Graph.of(here.twin.city)
    known = graph.properties(table)
    wanted = {name: text for name, text in asked.items() if name not in OWN}
    wrong = [name for name in wanted if name not in known]
    if wrong:
        raise InputError(f'no parameter "{wrong[0]}"', "query", nearest(wrong[0], [*OWN, *known]))
    where = tuple(Condition(property=n, value=_number(t, n) if known[n] else t) for n, t in wanted.items())
    rows = graph.rows(Query(table=table, where=where))
    if "bbox" not in asked:
        return rows
    marks = np.logical_or.reduce([graph.in_box(table, *box) for box in _boxes(asked["bbox"])])
    inside: Rows = rows[marks[rows]]
    return inside


def _number(text: str, name: str) -> float:
    try:
        return {"true": 1.0, "false": 0.0}[text] if text in ("true", "false") else float(text)
    except ValueError as error:
        raise InputError(f'"{text}" is not a number', name) from error
