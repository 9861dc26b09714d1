"""Device health over HTTP: who is well, what was refused and why; judgements, maintenance; readings as they are, and export."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from citytwin.errors import InputError
from citytwin.server.encoding import Json, moment
from citytwin.server.served import Here
from citytwin.state import Judgement

router = APIRouter(prefix="/api", tags=["health"])

DAY, WEEK = 86_400.0, 7 * 86_400.0
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(max_length=1000)]
Moment = Annotated[str, StringConstraints(max_length=40)]
FORMS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.stream"}
FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The readings as a file", "content": {form: {} for form in ("application/json", *FORMS.values())}}
}
EXPORT = pa.schema([("device", pa.string()), ("kind", pa.string()), ("time", pa.timestamp("us")), ("value", pa.float64()),
                    ("quality", pa.string())])  # fmt: skip


class Judging(BaseModel):
    """What a person says about readings of a device. There is no sign-in yet: `who` is what the caller says."""

    model_config = ConfigDict(extra="forbid")
    device: Name
    begin: Moment
    end: Moment | None = None
    verdict: str
    who: Name
    why: Words


class Maintaining(BaseModel):
    """A device is being worked on up to `until`; without `until` it is over."""

    model_config = ConfigDict(extra="forbid")
    until: Moment | None = None
    who: Name
    note: Words = ""


def span(begin: str | None, end: str | None, usual: float) -> tuple[float, float]:
    """Two moments as s since 1970: the last `usual` seconds, if not said. Raises InputError."""
    until = moment(end, "end") if end is not None else time.time()
    since = moment(begin, "begin") if begin is not None else max(0.0, until - usual)
    if since >= until:
        raise InputError("begin is not before end", "begin")
    return since, until


@router.get("/devices/health")
async def city_health(
    here: Here, kind: str = "", status: str = "", reason: str = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100, offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:  # fmt: skip
    """The health of all devices: sums by status, reason and kind, and the devices themselves, worst first."""
    return Json(here.twin.health.table(kind, status, reason, limit, offset))


@router.get("/devices/{key:path}/health")
async def device_health(here: Here, key: str, begin: str | None = None, end: str | None = None) -> Response:
    """The health of one device: counts by reason, what was refused, the course of its status, its uptime (last week)."""
    return Json(await run_in_threadpool(here.twin.health.of, key, *span(begin, end, WEEK)))


@router.get("/devices/{key:path}/status")
async def device_status(here: Here, key: str, at: str | None = None) -> Response:
    """What the status of a device is, or was at a past moment."""
    when = moment(at, "at") if at is not None else time.time()
    return Json({"key": key, "at": when, "status": await run_in_threadpool(here.twin.health.status_at, key, when)})


@router.post("/devices/{key:path}/maintenance")
async def maintenance(here: Here, key: str, said: Maintaining) -> Response:
    """Put a device into maintenance, or end it. It is in the log when this answers."""
    until = moment(said.until, "until") if said.until is not None else 0.0
    return Json(await here.twin.health.maintain(key, until, said.who, said.note))


@router.get("/devices/{key:path}/readings")
async def device_readings(
    here: Here, key: str, begin: str | None = None, end: str | None = None,
    points: Annotated[int, Query(ge=3, le=100_000)] = 2000, quality: Literal["believed", "all"] = "believed",
) -> Response:  # fmt: skip
    """Readings of one device as they are, with their quality; of more than `points` those that show most (the last day)."""
    since, until = span(begin, end, DAY)
    return Json(await run_in_threadpool(here.twin.readings_of, key, since, until, points, quality == "all"))


@router.post("/readings/judgement")
async def judge(here: Here, said: Judging) -> Response:
    """Confirm or overrule the readings of a device in a span of time, or withdraw what was said. It is in the log then."""
    now = time.time()
    begin = moment(said.begin, "begin")
    end = moment(said.end, "end") if said.end is not None else now
    judgement = Judgement(said.device, begin, end, said.verdict, said.who, said.why, now)
    return Json(await here.twin.health.judge(judgement))


@router.get("/readings/judgements")
async def judgements(here: Here, device: str = "") -> Response:
    """All judgements, or those on one device, oldest first."""
    return Json({"judgements": here.twin.health.judgements(device)})


@router.get("/readings/export", responses=FILES)
async def export(
    here: Here, begin: str | None = None, end: str | None = None, kind: Annotated[list[str], Query()] = [],  # noqa: B006
    device: Annotated[list[str], Query()] = [], format: Literal["csv", "parquet", "arrow"] = "csv",  # noqa: B006
) -> Response:  # fmt: skip
    """Readings of a span of time (the last day, if not said), of some kinds or devices or all, as a file."""
    since, until = span(begin, end, DAY)
    for name in kind:
        here.twin.columns.kind(name)
    for key in device:
        await run_in_threadpool(here.places.row, "device", key)
    batches = here.twin.export(since, until, kind, device)
    headers = {"content-disposition": f'attachment; filename="readings.{format}"'}
    return StreamingResponse(written(batches, format), media_type=FORMS[format], headers=headers)


class Pipe(io.RawIOBase):
    """What is written into it can be taken out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, part: Any) -> int:
        """Take bytes in."""
        content = bytes(part)
        self._parts.append(content)
        self._place += len(content)
        return len(content)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._place

    def take(self) -> bytes:
        """Take out what is there."""
        content, self._parts = b"".join(self._parts), []
        return content


def written(batches: Iterator[pa.RecordBatch], form: str) -> Iterator[bytes]:
    """Batches of readings in one of `FORMS`, piece by piece."""
    pipe = Pipe()
    sink = pa.PythonFile(pipe, "w")
    makers: dict[str, Any] = {"csv": pacsv.CSVWriter, "parquet": pq.ParquetWriter, "arrow": pa.ipc.new_stream}
    writer = makers[form](sink, EXPORT)
    for batch in batches:
        table = pa.Table.from_batches([batch]).cast(EXPORT)
        writer.write_table(table)
        if content := pipe.take():
            yield content
    writer.close()
    yield pipe.take()
