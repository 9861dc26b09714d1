"""The journal over HTTP: read by pages, filtered; nobody writes to it here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from citytwin.incidents import Asked, Entry
from citytwin.server.encoding import Json, iso, moment
from citytwin.server.served import Here

router = APIRouter(prefix="/api", tags=["journal"])

Word = Annotated[str, Query(max_length=300)]
Id = Annotated[int | None, Query(ge=0, le=2**53)]


def entry_of(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, its time as ISO 8601."""
    return {**entry.describe(), "time": iso(entry.time)}


@router.get("/journal")
async def journal(
    here: Here, kind: Word = "", actor: Word = "", subject: Word = "", begin: Word = "", end: Word = "", words: Word = "",
    before: Id = None, after: Id = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    order: Literal["newest", "oldest"] = "newest",
) -> Response:  # fmt: skip
    """Entries of the journal; everything that is given must hold."""
    asked = Asked(
        kind, actor, subject, moment(begin, "begin") if begin else None, moment(end, "end") if end else None, words, before,
        after, limit, order == "oldest",
    )  # fmt: skip
    page = await run_in_threadpool(here.twin.journal.read, asked)
    return Json({"entries": [entry_of(entry) for entry in page.entries], "next": page.next})


@router.get("/journal/verify")
async def verify(here: Here) -> Response:
    """Whether every entry is as it was written: `first_wrong` is the id of the first that is not, or null."""
    return Json({"first_wrong": await run_in_threadpool(here.twin.journal.verify)})
