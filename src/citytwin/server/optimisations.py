"""Searches for the best measures: queue one, follow it, read the front, the words, the chart and the advice."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from citytwin.errors import InputError
from citytwin.server.encoding import Json
from citytwin.server.scenarios import document
from citytwin.server.served import Here

router = APIRouter(prefix="/api/optimisations", tags=["optimisations"])

MOST_PLAYS = 100_000


class Given(BaseModel):
    """A study as a document (a mapping), or as YAML text; its scenario is written in it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    study: dict[str, Any] | str


@router.post("", status_code=202)
async def search(here: Here, given: Given) -> Response:
    """Queue a search. Every strategy starts from the live state, with the same members."""
    from citytwin.scenario.optimise import parse_study

    study = await run_in_threadpool(lambda: parse_study(document(given.study)))
    plays = study.form.evaluations * study.form.members
    if plays > MOST_PLAYS:
        raise InputError(f"{plays} plays are too many", "evaluations", f"at most {MOST_PLAYS} with members counted")
    record = here.optimisations.add(study, here.twin.state.fork())
    return Json({"id": record.id}, 202, headers={"location": f"/api/optimisations/{record.id}"})


@router.get("")
async def searches(here: Here) -> Response:
    """All searches, newest first."""
    found = sorted(here.optimisations.records.values(), key=lambda r: (r.started, r.id), reverse=True)
    return Json([asdict(r) for r in found])


@router.get("/{id}")
async def one(here: Here, id: str) -> Response:
    """One search; with the front, the words and the recommended scenario, when it is done."""
    said: dict[str, Any] = {**asdict(here.optimisations[id]), "result": None, "recommended": None}
    if said["status"] == "done":
        front = await run_in_threadpool(here.optimisations.file(id, "found/front.json").read_text, "utf-8")
        said["result"] = json.loads(front)
        said["recommended"] = await run_in_threadpool(here.optimisations.file(id, "found/recommended.yaml").read_text, "utf-8")
    return Json(said)


@router.get("/{id}/chart.svg")
async def chart(here: Here, id: str) -> Response:
    """The chart of a search."""
    return FileResponse(here.optimisations.file(id, "found/front.svg"), media_type="image/svg+xml")


@router.delete("/{id}")
async def remove(here: Here, id: str) -> Response:
    """Stop a search that waits or works; delete one that has ended."""
    return Json({"id": id, "status": await here.optimisations.remove(id)})
