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

    async def check_config(self) -> None:
        """Nothing: the folder may come later, when somebody builds the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`; a word on how to build the page where there is none (yet)."""
        try:
            answer = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or path not in (".", "index.html"):
                raise
            answer = HTMLResponse(UNBUILT)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        return answer


async def no_such(request: Request) -> Response:
    """An address under /api that is none."""
    raise HTTPException(404, "there is nothing at this address")


def routes(static: Path = STATIC) -> list[BaseRoute]:
    """The last routes of the server: an answer for unknown addresses of the interface, and the page."""
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    api = Route("/api/{rest:path}", no_such, methods=methods, include_in_schema=False)
    return [api, Mount("/", Page(directory=static, html=True, check_dir=False), name="page")]
