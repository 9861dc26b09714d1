"""The addresses of SensorThings: resource paths of any depth, read here and answered by the other modules of this package."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import duckdb
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from citytwin.errors import InputError, MissingError, nearest
from citytwin.io.stores.sensing import SensingStore
from citytwin.server.encoding import Json, dumps
from citytwin.server.errors import error_body
from citytwin.server.sensorthings import functions
from citytwin.server.sensorthings.aggregating import aggregate
from citytwin.server.sensorthings.asking import Asking, Parents, set_of
from citytwin.server.sensorthings.bodies import decode, link_of
from citytwin.server.sensorthings.city import Mirror
from citytwin.server.sensorthings.kept import Kept
from citytwin.server.sensorthings.model import CONFORMS, ROOT, SETS, Entities, Property
from citytwin.server.sensorthings.observing import Observing
from citytwin.server.sensorthings.parsing import Options, UnsupportedError, read_options
from citytwin.server.sensorthings.patching import patched
from citytwin.server.sensorthings.telling import Telling, value_of
from citytwin.server.sensorthings.writing import Change

if TYPE_CHECKING:
    from citytwin.server.served import Served

SEGMENT = re.compile(r"([A-Za-z_]\w*)\(('?)(-?\d{1,20})\2\)")
_making = threading.Lock()
JSON_PATCH = "application/json-patch+json"
METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]


class Service:
    """The parts of one service, made when it is first asked."""

    def __init__(self, here: Served) -> None:
        self.store = SensingStore(here.twin.folder / "live" / "sensorthings.duckdb")
        functions.install(self.store)
        self.asking = Asking(Mirror(here, self.store), Kept(here.twin))
        self.observing = Observing(here.twin, self.asking, self.store)


@dataclass
class Target:
    """Where a path leads: a collection (of `parents`, or all), an entity, a property of one; `tail`: $ref, $value, $count."""

    entities: Entities
    path: str
    id: int | None = None
    parents: Parents | None = None
    property: Property | None = None
    rest: tuple[str, ...] = ()  # steps into a JSON property
    tail: str = ""


def service_of(app: Any) -> Service:
    """The service of the application, made at its first request."""
    with _making:
        if getattr(app.state, "sensorthings", None) is None:
            app.state.sensorthings = Service(app.state.served)
        made: Service = app.state.sensorthings
        return made


def close(app: Any) -> None:
    """Let go of the store, if there is one."""
    with _making:
        made = getattr(app.state, "sensorthings", None)
        app.state.sensorthings = None
    if isinstance(made, Service):
        made.store.close()


class MethodError(InputError):
    """A method that is not for this address (answered with 405)."""


async def answer(request: Request) -> Response:
    """Answer any request below the root."""
    try:
        return await _answer(request)
    except UnsupportedError as error:
        return Json(error_body("input", error.message, error.where, error.hint), 501)
    except MethodError as error:
        return Json(error_body("input", error.message, error.where, error.hint), 405, headers={"allow": error.hint})


async def _answer(request: Request) -> Response:
    service = await run_in_threadpool(service_of, request.app)
    path = request.path_params.get("path", "").strip("/")
    root = f"{request.url.scheme}://{request.url.netloc}{ROOT}"
    match request.method:
        case "GET" | "HEAD":
            query = request.scope.get("query_string", b"").decode("latin-1")
            return await run_in_threadpool(_get, service, path, query, root)
        case "POST":
            return await _post(service, path, decode(await request.body()), root)
        case "DELETE":
            return await run_in_threadpool(_delete, service, path)
        case method:
            said = decode(await request.body())
            way = "merge" if method == "PATCH" else "whole"
            if request.headers.get("content-type", "").startswith(JSON_PATCH):
                way = "patch"
            return await run_in_threadpool(_change, service, path, said, root, way)


# -- paths ------------------------------------------------------------------------------------------------------------


def _resolve(service: Service, cursor: duckdb.DuckDBPyConnection, path: str) -> Target:
    """Follow a path from step to step. Raises MissingError at the first that leads nowhere."""
    steps = path.split("/")
    tail = steps.pop() if steps[-1] in ("$ref", "$value", "$count") else ""
    if not steps:
        raise MissingError(f'no address "{path}"', "path")
    name, id = _segment(steps[0])
    target = Target(set_of(name), path, id)
    if id is not None:
        service.asking.one(cursor, target.entities, id)
    for at, step in enumerate(steps[1:], start=1):
        target = _follow(service, cursor, target, step, path)
        if target.property is not None:
            target.rest = tuple(steps[at + 1 :])
            if target.rest and target.property.type not in ("json", "geo", "result"):
                raise MissingError(f"{target.property.name} has no parts to ask for", "path")
            break
    target.tail = tail
    return target


def _segment(step: str) -> tuple[str, int | None]:
    found = SEGMENT.fullmatch(step)
    if found is not None:
        return found[1], int(found[3])
    if "(" in step:
        raise MissingError(f'"{step}" is no entity', "path", "ids here are whole numbers")
    return step, None


def _follow(service: Service, cursor: duckdb.DuckDBPyConnection, target: Target, step: str, path: str) -> Target:
    if target.id is None:
        raise MissingError(f"{target.entities.name} are many", "path", f"name one, as in {target.entities.name}(7)")
    name, id = _segment(step)
    entities, asking = target.entities, service.asking
    relation = entities.relation(name)
    if relation is None:
        found = entities.property(name)
        if found is None or id is not None:
            known = [p.name for p in entities.properties] + [r.name for r in entities.relations]
            raise MissingError(f'{entities.name} have no "{name}"', "path", nearest(name, known))
        return Target(entities, path, target.id, property=found)
    there = SETS[relation.target]
    if not relation.many:
        row = asking.one(cursor, entities, target.id)
        if row[relation.column] is None:
            raise MissingError(f"this {entities.one} has no {name}", "path")
        return Target(there, path, int(row[relation.column]))
    parents = Parents(entities, relation, (target.id,))
    if id is None:
        return Target(there, path, None, parents)
    if not asking.rows(cursor, there, Options(), parents, ids=(id,)):
        raise MissingError(f"no {there.one} has the id {id}", path)
    return Target(there, path, id)


# -- GET --------------------------------------------------------------------------------------------------------------


def _get(service: Service, path: str, query: str, root: str) -> Response:
    if not path:
        return Json(_welcome(root))
    if path == "$batch":
        raise UnsupportedError("batches are not offered", "path", "send data arrays to CreateObservations")
    options = read_options(parse_qsl(query, keep_blank_values=True))
    telling = Telling(service.asking, root)
    with service.store.reading() as cursor:
        target = _resolve(service, cursor, path)
        if target.property is not None and target.id is not None:
            return _property(service, cursor, telling, target)
        if target.id is not None:
            row = service.asking.one(cursor, target.entities, target.id)
            if target.tail == "$ref":
                return Json({"@iot.selfLink": telling.address(target.entities, target.id)})
            return Json(telling.entities(cursor, target.entities, [row], options)[0])
        return _collection(service, cursor, telling, target, options)


def _collection(
    service: Service, cursor: duckdb.DuckDBPyConnection, telling: Telling, target: Target, options: Options
) -> Response:
    entities, asking = target.entities, service.asking
    if target.tail == "$count":
        return PlainTextResponse(str(sum(asking.count(cursor, entities, options, target.parents).values())))
    if (options.apply is not None or options.arrays) and entities.name != "Observations":
        raise InputError("this is offered of Observations", "query", "ask Observations, or those of a Datastream")
    if options.apply is not None:
        return Json(aggregate(asking, cursor, options, target.path, telling.root, target.parents))
    if target.tail == "$ref":
        rows = asking.rows(cursor, entities, options, target.parents)[: options.page]
        return Json({"value": telling.references(rows, entities)})
    return Json(telling.collection(cursor, entities, options, target.path, target.parents))


def _property(service: Service, cursor: duckdb.DuckDBPyConnection, telling: Telling, target: Target) -> Response:
    assert target.property is not None
    assert target.id is not None
    row = service.asking.one(cursor, target.entities, target.id)
    if target.entities.name == "Datastreams":
        service.asking.spans(cursor, [row])
        service.asking.areas(cursor, [row])
    value = value_of(row, target.property.name, target.property.type)
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    name = target.property.name
    for step in target.rest:
        name, value = step, _inside(value, step, target.path)
    if value is None and not target.rest and not (target.property.needed or name == "resultTime"):
        return Response(status_code=204)  # resultTime is null where it is not known, and the standard's suite reads it so
    if target.tail != "$value":
        return Json({name: value})
    if isinstance(value, (dict, list)):
        return Json(value)
    return PlainTextResponse(value if isinstance(value, str) else dumps(value).decode())


def _inside(value: Any, step: str, path: str) -> Any:
    """A part of a JSON value: `name`, or `name[0]` of a list. Raises MissingError."""
    name, *places = step.replace("]", "").split("[")
    try:
        found = value[name]
        for place in places:
            found = found[int(place)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise MissingError(f'there is no "{step}"', path, nearest(name, value) if isinstance(value, dict) else "") from error
    return found


def _welcome(root: str) -> dict[str, Any]:
    return {
        "serverSettings": {
            "conformance": list(CONFORMS),
            f"{CONFORMS[-1]}": {"endpoints": [f"{root}/CreateObservations"]},
        },
        "value": [{"name": name, "url": f"{root}/{name}"} for name in SETS],
    }


# -- changes ----------------------------------------------------------------------------------------------------------


async def _post(service: Service, path: str, said: Any, root: str) -> Response:
    address = f"{root}/Observations"
    if path == "CreateObservations":
        return Json(await service.observing.take_arrays(said, address), 201)
    if path == "$batch":
        raise UnsupportedError("batches are not offered", "path", "send data arrays to CreateObservations")
    target = await run_in_threadpool(_where, service, path)
    stream = _stream(target, said)
    if stream is not None and service.observing.is_citys(stream):
        id = await service.observing.take(stream, {k: v for k, v in said.items() if k != "Datastream"})
        return (
            Response(status_code=201, headers={"location": f"{address}({id})"}) if id is not None else Response(status_code=202)
        )
    made = await run_in_threadpool(_make, service, target, said)
    return Response(status_code=201, headers={"location": f"{root}/{target.entities.name}({made})"})


def _where(service: Service, path: str) -> Target:
    with service.store.reading() as cursor:
        target = _resolve(service, cursor, path)
    if target.id is not None or target.tail:
        raise MethodError("new entities are posted to a collection", "path", "GET, PATCH, PUT, DELETE")
    return target


def _stream(target: Target, said: Any) -> int | None:
    """The Datastream that an Observation is posted to, if it is one that exists already."""
    if target.entities.name != "Observations" or not isinstance(said, dict):
        return None
    if target.parents is not None and target.parents.entities.name == "Datastreams":
        return target.parents.ids[0]
    return link_of(said["Datastream"]) if isinstance(said.get("Datastream"), dict) else None


def _make(service: Service, target: Target, said: Any) -> int:
    with service.store.change() as cursor:
        change = Change(service.asking, service.store, cursor)
        parents = target.parents
        if parents is None:
            return change.make(target.entities, said)
        if parents.relation.link is None:
            return change.make(target.entities, said, {parents.entities.one: parents.ids[0]})
        made = change.make(target.entities, said)
        change.pair(parents.entities, parents.ids[0], parents.relation, [made])
        return made


def _entity(service: Service, cursor: duckdb.DuckDBPyConnection, path: str) -> Target:
    target = _resolve(service, cursor, path)
    if target.id is None or target.property is not None or target.tail:
        raise MethodError("a change is made to one entity, as in Things(7)", "path", "GET, POST")
    return target


def _change(service: Service, path: str, said: Any, root: str, way: str) -> Response:
    with service.store.change() as cursor:
        target = _entity(service, cursor, path)
        assert target.id is not None
        if way == "patch":
            row = service.asking.one(cursor, target.entities, target.id)
            said = patched(target.entities, row, said)
        Change(service.asking, service.store, cursor).update(target.entities, target.id, said, way == "whole")
        row = service.asking.one(cursor, target.entities, target.id)
        return Json(Telling(service.asking, root).entities(cursor, target.entities, [row], Options())[0])


def _delete(service: Service, path: str) -> Response:
    with service.store.change() as cursor:
        target = _entity(service, cursor, path)
        assert target.id is not None
        Change(service.asking, service.store, cursor).delete(target.entities, target.id)
    return Response(status_code=200)


routes = [Route(ROOT, answer, methods=METHODS), Route(f"{ROOT}/{{path:path}}", answer, methods=METHODS)]
