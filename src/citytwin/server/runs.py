"""Runs: play a scenario, follow it, look at what it did, compare, take it home."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from citytwin import __version__, scenario
from citytwin.errors import ConflictError, InputError
from citytwin.server.encoding import Json
from citytwin.server.process import ordered
from citytwin.server.scenarios import Given, checked
from citytwin.server.served import Here, Served

router = APIRouter(prefix="/api", tags=["runs"])

MOST_COMPARED = 10
CHUNK = 2**18


@router.post("/runs", status_code=202)
async def play(here: Here, given: Given) -> Response:
    """Queue a scenario. It starts from the live state, or where its start is past, from the state of that time."""
    wanted = await run_in_threadpool(checked, given.scenario)
    if isinstance(wanted.start, dt.datetime) and wanted.start < dt.datetime.now(dt.UTC):
        state = await run_in_threadpool(here.twin.state_at, max(0.0, wanted.start.timestamp()))
    else:
        state = here.twin.state.fork()
    job = await here.jobs.add(wanted, state)
    return Json({"id": job.id}, 202, headers={"location": f"/api/runs/{job.id}"})


@router.get("/runs")
async def runs(here: Here) -> Response:
    """All runs, newest first."""
    return Json(here.jobs.listed())


@router.get("/runs/{id}")
async def run(here: Here, id: str) -> Response:
    """One run; with its result, its scenario and what can be drawn, when it is done."""
    said = here.jobs.one(id)
    said |= {"scenario": here.jobs[id].scenario, "result": None, "frames": None}
    if said["status"] == "done":
        folder = here.jobs.folder(id)
        said["result"] = await run_in_threadpool(here.results.document, folder)
        said["frames"] = await run_in_threadpool(here.results.frames, folder)
        said["scenario"] = said["scenario"] or await run_in_threadpool(_scenario, folder)
    return Json(said)


def _scenario(folder: Path) -> Any:
    return scenario.read_scenario(folder / "scenario.yaml").said


@router.delete("/runs/{id}")
async def remove(here: Here, id: str) -> Response:
    """Stop a run that waits or works; delete one that has ended."""
    return Json({"id": id, "status": await here.jobs.remove(id)})


async def frames(request: Request) -> Response:
    """All frames of a raster column as bytes; see docs/reference/http-api.md for the form."""
    here: Served = request.app.state.served
    asked = request.query_params.get("size", "1024")
    if not asked.isdecimal() or len(asked) > 5:
        raise InputError(f'"{asked}" is not a size', "size", "a number of pixels, as in 1024")
    folder = here.jobs.folder(request.path_params["id"])
    path = await run_in_threadpool(here.results.encoded, folder, request.path_params["column"], int(asked))
    headers = {"content-encoding": "gzip", "cache-control": "private, max-age=86400", "accept-ranges": "none"}
    body = await run_in_threadpool(path.read_bytes)
    return Response(body, media_type="application/octet-stream", headers=headers)


@router.get("/runs/{id}/tables/{table}")
def table(here: Here, id: str, table: str, format: Literal["columns", "geojson"] = "columns") -> Response:
    """The affected rows of a table: keys and written columns, or a GeoJSON FeatureCollection."""
    folder = here.jobs.folder(id)
    return Json(here.results.geojson(folder, table) if format == "geojson" else here.results.table(folder, table))


@router.get("/runs/{id}/series")
def series(
    here: Here,
    id: str,
    table: str = "cell",
    key: str | None = None,
    lon: Annotated[float | None, Query(ge=-180, le=180)] = None,
    lat: Annotated[float | None, Query(ge=-90, le=90)] = None,
) -> Response:
    """Every recorded column over time: at a place (table=cell with lon and lat) or of one thing (with key)."""
    folder = here.jobs.folder(id)
    if table != "cell":
        if key is None:
            raise InputError("which thing?", "key", "give its key, or table=cell with lon and lat")
        return Json(here.results.series_of(folder, table, key))
    if lon is None or lat is None:
        raise InputError("which place?", "lon, lat", "give both in degrees")
    return Json(here.results.series_at(folder, lon, lat))


@router.get("/runs/{id}/report.pdf")
async def report(here: Here, id: str) -> Response:
    """A report that a mayor can read, as PDF; made once, in a process of its own."""
    folder = here.jobs.folder(id)
    out = here.jobs.frames / id / f"report-{__version__}.pdf"
    async with here.reporting:
        if not out.is_file():
            out.parent.mkdir(parents=True, exist_ok=True)
            await ordered(here.twin.city.folder or folder, {"do": "report", "run": str(folder), "out": str(out)})
    return FileResponse(out, media_type="application/pdf", filename=f"{id}.pdf", content_disposition_type="inline")


@router.get("/runs/{id}/download")
async def download(here: Here, id: str) -> Response:
    """The run folder as a ZIP archive, written while it is sent."""
    folder = here.jobs.folder(id)
    headers = {"content-disposition": f'attachment; filename="{id}.zip"'}
    return StreamingResponse(zipped(folder), media_type="application/zip", headers=headers)


@router.get("/compare")
def compare(here: Here, runs: str) -> Response:
    """Runs side by side, `runs` being their ids joined by commas."""
    ids = [id for id in runs.split(",") if id]
    if not 2 <= len(ids) <= MOST_COMPARED:
        raise InputError(f"{len(ids)} runs cannot be compared", "runs", f"2 to {MOST_COMPARED} ids joined by commas")
    if len(set(ids)) != len(ids):
        raise ConflictError("a run is named twice", "runs")
    results = [scenario.read_result(here.jobs.folder(id)) for id in ids]
    return Json({"ids": ids, **scenario.compare(results)})


class _Sink:
    """Where the ZIP writer writes; what has come so far is taken away in pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.at = 0

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        self.at += len(data)
        return len(data)

    def tell(self) -> int:
        return self.at

    def flush(self) -> None:
        return None

    def taken(self) -> bytes:
        taken, self.pieces = b"".join(self.pieces), []
        return taken


def zipped(folder: Path) -> Iterator[bytes]:
    """A folder as a ZIP archive, in pieces. What is compressed already is stored as it is."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:  # type: ignore[call-overload]
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            entry = zipfile.ZipInfo.from_file(path, str(Path(folder.name) / path.relative_to(folder)), strict_timestamps=False)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in (".nc", ".parquet") else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w") as out:
                while piece := source.read(CHUNK):
                    out.write(piece)
                    yield sink.taken()
    yield sink.taken()


routes = [Route("/api/runs/{id}/frames/{column}", frames)]
