"""Errors become a status here, in one table, and one JSON form: {"error": {"kind", "message", "where", "hint"}}.

No traceback ever leaves the process: what nobody foresaw is logged here and answered in one line.
"""

from __future__ import annotations

import errno
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from citytwin.errors import ConflictError, InputError, MissingError, OutsideError, SimulationError, TwinError
from citytwin.server.encoding import Json

log = logging.getLogger("citytwin.server")

STATUS: dict[type[TwinError], int] = {
    InputError: 400,
    MissingError: 404,
    ConflictError: 409,
    OutsideError: 502,
    SimulationError: 500,
}
DISK_FULL = 507
KINDS: dict[int, str] = {404: "missing", 409: "conflict"}


def status_of(error: TwinError) -> int:
    """The HTTP status of `error`; 507 where a full disk is behind it."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return DISK_FULL
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def kind_of(error: TwinError) -> str:
    """The word for the kind of `error`: input, missing, conflict, outside or simulation."""
    return type(error).__name__.removesuffix("Error").lower()


def error_body(kind: str, message: str, where: str = "", hint: str = "") -> dict[str, Any]:
    """The JSON form of an error."""
    line = " ".join(str(message).split())
    return {"error": {"kind": kind, "message": line, "where": where, "hint": hint}}


async def _twin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TwinError)
    return Json(error_body(kind_of(error), error.message, error.where, error.hint), status_of(error))


async def _wrong_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0] if error.errors() else {"loc": (), "msg": "the request is not valid"}
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    hint = f"{len(error.errors()) - 1} more" if len(error.errors()) > 1 else ""
    return Json(error_body("input", str(first["msg"]), where, hint), 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = KINDS.get(error.status_code, "input" if error.status_code < 500 else "outside")
    return Json(error_body(kind, str(error.detail), request.url.path), error.status_code, headers=dict(error.headers or {}))


async def _disk(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    log.error("%s %s: %s", request.method, request.url.path, error)
    if error.errno == errno.ENOSPC:
        return Json(error_body("outside", "the disk is full", hint="make room and try again"), DISK_FULL)
    return Json(error_body("outside", error.strerror or "a file could not be read or written"), 502)


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    return Json(error_body("unexpected", "the server met an error that nobody foresaw", hint="its log says more"), 500)


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the one form."""
    app.add_exception_handler(TwinError, _twin_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(Exception, _unforeseen)
