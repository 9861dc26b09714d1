"""Commands to devices over HTTP: what may be asked, a try on the twin, the command itself, how it stands."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from citytwin.errors import MissingError
from citytwin.server.encoding import Json
from citytwin.server.served import Here
from citytwin.twin.control import Wanted

router = APIRouter(prefix="/api", tags=["control"])

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(max_length=2000)]


class Asked(BaseModel):
    """A command that somebody wants a device to obey. There is no sign-in yet: actor and role are what the caller says."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    device: Name
    command: Name
    value: Annotated[float, Field(strict=True)] | Words
    actor: Name
    role: Annotated[str, StringConstraints(max_length=200)] = ""
    reason: Words = ""
    ticket: Annotated[str, StringConstraints(max_length=100)] = ""

    def wanted(self) -> Wanted:
        """The same for the twin."""
        return Wanted(self.device, self.command, self.value, self.actor, self.role, self.reason, self.ticket)


@router.get("/things/device/{key:path}/commands")
async def commands_of(here: Here, key: str) -> Response:
    """The commands that a device takes, with their limits and choices, and the newest that were sent to it."""
    control = here.twin.control
    kinds = control.commands_of(key)
    return Json({"kinds": kinds, "recent": [c.describe() for c in control.commands(key, 20)]})


@router.post("/commands/check")
async def check(here: Here, asked: Asked) -> Response:
    """Try a command on a fork of the state: problems that forbid it, warnings, effects, and a ticket to send it with."""
    return Json(here.twin.control.attempt(asked.wanted()).describe())


@router.post("/commands", status_code=202)
async def send(here: Here, asked: Asked) -> Response:
    """Send a command. It is in the journal when this answers; whether the device obeyed, it says later."""
    command = await here.twin.control.send(asked.wanted())
    return Json(command.describe(), 202)


@router.get("/commands")
async def commands(
    here: Here, device: Annotated[str, Query(max_length=200)] = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Response:
    """The newest commands and how they stand."""
    found: list[dict[str, Any]] = [c.describe() for c in here.twin.control.commands(device, limit)]
    return Json({"commands": found})


@router.get("/commands/{id}")
async def command(here: Here, id: Annotated[str, Path(max_length=100)]) -> Response:
    """One command and how it stands."""
    found = here.twin.control.command(id)
    if found is None:
        raise MissingError(f'no command "{id}"')
    return Json(found.describe())


@router.get("/interlocks")
async def interlocks(here: Here) -> Response:
    """What devices may never be at the same time."""
    rules = [r.model_dump(by_alias=True, exclude_none=True) for r in here.twin.control.interlocks.rules]
    return Json({"interlocks": rules})
