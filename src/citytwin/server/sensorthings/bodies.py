"""What clients send, read into the columns of an entity, with one clear line where it is wrong."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import shapely

from citytwin.errors import InputError, nearest
from citytwin.jsonable import NOT_JSON
from citytwin.server.encoding import dumps
from citytwin.server.sensorthings.model import Entities, Property, Relation
from citytwin.server.sensorthings.times import moment, span

Body = dict[str, Any]
Columns = dict[str, Any]


def decode(body: bytes) -> Any:
    """JSON. Raises InputError."""
    try:
        return msgspec.json.decode(body)
    except NOT_JSON as error:
        raise InputError(f"the body is not JSON: {str(error).splitlines()[0]}", "body") from error


def checked(entities: Entities, body: Any) -> Body:
    """`body` as an object that holds nothing unknown; control information is left out."""
    if not isinstance(body, dict):
        raise InputError(f"a {entities.one} is a JSON object", "body")
    known = [p.name for p in entities.properties] + [r.name for r in entities.relations]
    out = {}
    for name, value in body.items():
        if "@" in name or name == "id":
            continue
        if name not in known:
            raise InputError(f'{entities.name} have no property "{name}"', "body", nearest(name, known))
        out[name] = value
    return out


def link_of(value: Any) -> int | None:
    """The id in `{"@iot.id": n}`; None for an entity that is to be made. Raises InputError."""
    if not isinstance(value, dict):
        raise InputError("a related entity is a JSON object", "body", 'as in {"@iot.id": 7}')
    said = value.get("@iot.id", value.get("id"))
    if said is None:
        return None
    if isinstance(said, str) and said.strip("'").lstrip("-").isdecimal():
        said = int(said.strip("'"))
    if not isinstance(said, int) or isinstance(said, bool):
        raise InputError(f'"{said}" is not an id', "@iot.id", "ids here are whole numbers")
    return said


def only_links(relation: Relation, value: Any) -> list[int]:
    """The ids of a relation that is changed; entities inline are refused, as the standard asks.

    One that has an id is a link, whatever else is said of it: clients write back what they have read.
    """
    values = value if relation.many else [value]
    if not isinstance(values, list):
        raise InputError(f"{relation.name} is a list", relation.name)
    out = []
    for each in values:
        id = link_of(each)
        if id is None:
            raise InputError(
                "a change cannot hold related entities inline", relation.name, 'link to them, as in {"@iot.id": 7}'
            )
        out.append(id)
    return out


def columns(entities: Entities, body: Body, partial: bool = False) -> Columns:
    """The properties in `body` as columns of SQL. Raises InputError where one that is needed is missing or has a wrong type."""
    out: Columns = {}
    for each in entities.properties:
        if each.name not in body:
            if each.needed and not partial:
                raise InputError(f"a {entities.one} needs {each.name}", "body")
            if not partial:
                out |= _nothing(each)
            continue
        if body[each.name] is None and each.type != "result":
            if each.needed:
                raise InputError(f"{each.name} cannot be null", "body")
            out |= _nothing(each)
            continue
        out |= _column(entities, each, body)
    return out


def _nothing(each: Property) -> Columns:
    if each.name == "validTime":
        return {"valid_begin": None, "valid_end": None}
    if each.type == "span":  # of a Datastream: it follows from the Observations; of an Observation: see there
        return {}
    return {each.name: None}


def _column(entities: Entities, each: Property, body: Body) -> Columns:
    value, where = body[each.name], f"{entities.one}.{each.name}"
    match each.type:
        case "json":
            if each.name in ("properties", "unitOfMeasurement", "parameters") and not isinstance(value, dict):
                raise InputError(f"{each.name} is a JSON object", where)
            return {each.name: dumps(value).decode()}
        case "geo":
            return {each.name: dumps(value).decode(), **_shape(value, str(body.get("encodingType", "")), where)}
        case "time":
            return {each.name: _time(value, where)}
        case "span":
            return _span(entities, each.name, value, where)
        case "result":
            return result_columns(value)
        case _:
            if not isinstance(value, str):
                raise InputError(f"{each.name} is text", where)
            return {each.name: value}


def result_columns(value: Any) -> Columns:
    """A result: as JSON, and as number or text where it is one."""
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return {"result": dumps(value).decode(), "number": number, "text": value if isinstance(value, str) else None}


def _time(value: Any, where: str) -> dt.datetime:
    if not isinstance(value, str):
        raise InputError(f"{value!r} is not a time", where, "as in 2026-11-21T18:00:00Z")
    return moment(value)


def _span(entities: Entities, name: str, value: Any, where: str) -> Columns:
    if entities.name == "Datastreams":
        return {}
    if not isinstance(value, str):
        raise InputError(f"{value!r} is not a time", where, "as in 2026-11-21T18:00:00Z, or two with / between")
    begin, end = span(value)
    return {"valid_begin": begin, "valid_end": end} if name == "validTime" else {"begin": begin, "end": end}


def _shape(value: Any, encoding: str, where: str) -> Columns:
    """The shape of a GeoJSON geometry or feature; none where it is in another encoding."""
    nothing = {"shape": None, "lon": None, "lat": None}
    if not isinstance(value, dict):
        return nothing
    geometry = value.get("geometry") if value.get("type") == "Feature" else value
    try:
        shape = shapely.from_geojson(dumps(geometry).decode())
    except shapely.errors.ShapelyError as error:
        if "geo+json" in encoding or "GeoJSON" in encoding:
            raise InputError("it is not GeoJSON", where, 'as in {"type": "Point", "coordinates": [1.5, 42.5]}') from error
        return nothing
    if shape is None:
        return nothing
    point = isinstance(shape, shapely.Point) and not shape.is_empty
    return {
        "shape": shapely.to_wkb(shape),
        "lon": shapely.get_x(shape) if point else None,
        "lat": shapely.get_y(shape) if point else None,
    }
