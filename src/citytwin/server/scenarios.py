"""Scenarios before they run: are they right, and if not, what is wrong where."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from citytwin import scenario
from citytwin.errors import InputError
from citytwin.scenario import Scenario
from citytwin.scenario.yaml_text import parse_yaml
from citytwin.server.encoding import Json

router = APIRouter(prefix="/api/scenarios", tags=["runs"])

LARGEST = 2**16  # characters of a scenario written as YAML


class Given(BaseModel):
    """A scenario as a document (a mapping), or as YAML text."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    scenario: dict[str, Any] | str


def document(given: dict[str, Any] | str) -> Any:
    """The document that was given. Raises InputError where text is not YAML."""
    if not isinstance(given, str):
        return given
    if len(given) > LARGEST:
        raise InputError(f"a scenario of {len(given)} characters is too long", "scenario", f"at most {LARGEST}")
    return parse_yaml(given, "scenario")


def checked(given: dict[str, Any] | str) -> Scenario:
    """The scenario that was given; it may name no files. Raises InputError."""
    try:
        return scenario.parse(document(given))
    except RecursionError as error:
        raise InputError("the document is nested too deeply", "scenario") from error


@router.post("/check")
def check(given: Given) -> Response:
    """All problems of a scenario; none where it is good."""
    try:
        problems = scenario.check(document(given.scenario))
    except InputError as error:
        problems = [error]
    except RecursionError:
        problems = [InputError("the document is nested too deeply", "scenario")]
    said = [{"message": p.message, "where": p.where, "hint": p.hint} for p in problems]
    return Json({"ok": not said, "problems": said})
