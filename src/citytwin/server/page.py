"""The page: files that the web build put into `static`; and a word for those who have not built it."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"

UNBUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>citytwin</title>
<h1>citytwin</h1>
<p>The server works; its page has not been built yet. Run <code>make setup</code> in the project's folder, then reload.</p>
<p>The interface is described at <a href="/api/openapi.json">/api/openapi.json</a>.</p>
"""


class Page(StaticFiles):
    """Static files: those with a hash in their name are kept by browsers, the others are asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`."""
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if "assets/" in path else "no-cache"
        return answer


async def unbuilt(request: Request) -> Response:
    """What to do where there is no page."""
    return HTMLResponse(UNBUILT)


async def no_such(request: Request) -> Response:
    """An address under /api that is none."""
    raise HTTPException(404, "there is nothing at this address")


def routes(static: Path = STATIC) -> list[BaseRoute]:
    """The last routes of the server: the page, and an answer for unknown addresses of the interface."""
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    api = Route("/api/{rest:path}", no_such, methods=methods, include_in_schema=False)
    if not (static / "index.html").is_file():
        return [api, Route("/", unbuilt, include_in_schema=False)]
    return [api, Mount("/", Page(directory=static, html=True), name="page")]
