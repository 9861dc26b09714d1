"""Questions to the graph over HTTP: a JSON document in, things by pages out, as GeoJSON, Arrow or keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import geopandas as gpd
import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from citytwin.city.graph import Graph, Moment, Rows
from citytwin.city.query import Query, Text
from citytwin.columns import Columns
from citytwin.errors import InputError
from citytwin.server.encoding import Json, moment
from citytwin.server.served import Here, Served

router = APIRouter(prefix="/api", tags=["things"])

ARROW = "application/vnd.apache.arrow.stream"
FORMS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The things found", "content": {"application/json": {}, ARROW: {}}}
}


class Asked(Query):
    """A query with what is wanted of the things found.

    format: `geojson`, `arrow` (an IPC stream, geometry as WKB) or `keys`. columns: values of the state to bring along.
    limit, offset: a page; `next` of the answer is the offset of the next. at: a past moment (ISO 8601) to ask about.
    run: the id of a run to ask about instead of the city, `time` seconds after its start; without a time about its peaks.
    """

    format: Literal["geojson", "arrow", "keys"] = "geojson"
    columns: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    limit: Annotated[int, Field(ge=0, le=200_000)] = 1000
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0
    at: Text | None = None
    run: Text | None = None
    time: Annotated[float, Field(ge=0, le=1e10)] | None = None


class RunMoment:
    """A run as a state: its recorded columns at one time, or their peaks; what it did not affect is as it started."""

    def __init__(self, here: Served, run: Path, seconds: float | None) -> None:
        self.here, self.run, self.seconds = here, run, seconds
        declared = [str(c["name"]) for c in here.results.document(run).get("columns", [])]
        known = here.twin.columns
        self.columns = Columns({n: known[n] for n in declared if n in known}, known.kinds)
        self._read: dict[str, npt.NDArray[np.float64]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        if name not in self._read:
            self._read[name] = self._values(name)
        return self._read[name]

    def _values(self, name: str) -> npt.NDArray[np.float64]:
        column = self.columns[name]
        city = self.here.twin.city
        keys, values = self.here.results.values(self.run, name, column.table, self.seconds)
        size = city.size(column.table)
        if column.table == "cell":
            if len(values) != size:
                raise InputError("the run is of another ground than the city has now", "run")
            return values
        out = np.full(size, column.start, dtype=np.float64)
        rows = city.rows(column.table, keys)
        out[rows[rows >= 0]] = values[rows >= 0]
        return out


@router.post("/query", responses=FORMS)
def query(here: Here, asked: Asked, request: Request) -> Response:
    """Things by table, kind, properties, columns, place and relations, now, at a past moment, or in a run."""
    graph, state = Graph.of(here.twin.city), _state(here, asked)
    for name in asked.columns:
        graph.values(asked.table, name, state)
    chosen = graph.rows(asked, state)
    rows = chosen[asked.offset : asked.offset + asked.limit]
    following = asked.offset + len(rows)
    page = {"numberMatched": len(chosen), "numberReturned": len(rows),
            "next": following if len(rows) and following < len(chosen) else None}  # fmt: skip
    values = {name: graph.values(asked.table, name, state)[rows] for name in asked.columns}
    if asked.format == "keys":
        keys = here.places.table(asked.table)["key"].to_numpy(dtype=object)[rows].tolist()
        return Json({"table": asked.table, "keys": keys, "columns": values, **page})
    wants_arrow = "format" not in asked.model_fields_set and ARROW in request.headers.get("accept", "")
    if asked.format == "arrow" or wants_arrow:
        headers = {f"x-{name.replace('number', 'number-').lower()}": str(n) for name, n in page.items() if n is not None}
        return Response(arrow(here, asked.table, rows, values), media_type=ARROW, headers=headers)
    return Json({"type": "FeatureCollection", **page, "features": features_of(here, asked.table, rows, values)})


def _state(here: Served, asked: Asked) -> Moment:
    if asked.run is not None and asked.at is not None:
        raise InputError("a run has its own time", "at", "give at, or run and time")
    if asked.run is not None:
        return RunMoment(here, here.jobs.folder(asked.run), asked.time)
    if asked.time is not None:
        raise InputError("time is that of a run", "time", "give run too, or at for a past moment of the city")
    return here.twin.state if asked.at is None else here.twin.state_at(moment(asked.at, "at"))


def features_of(here: Served, table: str, rows: Rows, values: dict[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
    """Things as GeoJSON features in longitude and latitude: their attributes and `values` (one for each row) beside them."""
    shapes, attributes = here.places.geojson(table, rows), here.places.attributes(table, rows)
    more = list(zip(*values.values(), strict=True)) if values else [()] * len(rows)
    return [
        {"type": "Feature", "id": said.get("key"), "geometry": None if shape is None else msgspec.Raw(shape.encode()),
         "properties": {**said, **dict(zip(values, each, strict=True))}}
        for shape, said, each in zip(shapes, attributes, more, strict=True)
    ]  # fmt: skip


def arrow(here: Served, table: str, rows: Rows, values: dict[str, npt.NDArray[Any]]) -> bytes:
    """Things as an Arrow IPC stream; geometry is WKB in longitude and latitude, marked as GeoArrow does."""
    found: pd.DataFrame = here.places.table(table).iloc[rows].assign(**values).reset_index(drop=True)
    if isinstance(found, gpd.GeoDataFrame):
        shapes = here.places.to_lonlat(found.geometry.to_numpy())
        placed = gpd.GeoDataFrame(pd.DataFrame(found.drop(columns=found.geometry.name)), geometry=shapes, crs="OGC:CRS84")
        written = pa.table(placed.to_arrow(index=False, geometry_encoding="WKB"))
    else:
        written = pa.Table.from_pandas(found, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, written.schema) as writer:
        writer.write_table(written)
    return bytes(sink.getvalue())
