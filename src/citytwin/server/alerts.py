"""Alerts over HTTP: list, acknowledge, silence; channels and the messages they carry."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from citytwin.errors import InputError, MissingError, nearest
from citytwin.incidents import Asked
from citytwin.incidents.alerts import Silence
from citytwin.incidents.journal import Entry
from citytwin.incidents.message import STATES, Message
from citytwin.incidents.rules import SEVERITIES
from citytwin.io.stores.records.alerts import Wanted
from citytwin.server.alertnews import described
from citytwin.server.encoding import Json, iso, moment
from citytwin.server.journal import entry_of
from citytwin.server.served import Here

router = APIRouter(prefix="/api", tags=["alerts"])

Who = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Words = Annotated[str, StringConstraints(max_length=2000)]
Word = Annotated[str, Query(max_length=300)]
Number = Annotated[int, Path(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, le=2**53)]


class Acknowledgement(BaseModel):
    """Somebody sees to alerts. There is no sign-in yet: `who` is what the caller says."""

    model_config = ConfigDict(extra="forbid")
    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**53, strict=True)]], Field(min_length=1, max_length=10_000)]
    who: Who
    note: Words = ""


class Quiet(BaseModel):
    """Tell nobody of the alerts of a rule, of a thing, or of a rule about a thing, for some minutes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    rule: Annotated[str, StringConstraints(max_length=100)] = ""
    table: Annotated[str, StringConstraints(max_length=100)] = ""
    key: Annotated[str, StringConstraints(max_length=300)] = ""
    minutes: Annotated[float, Field(gt=0, le=366 * 1440, strict=True)]
    who: Who
    note: Words = ""


@router.get("/alerts")
async def alerts(
    here: Here, state: Literal["open", "unacknowledged", "closed", "all"] = "open", rule: Word = "", table: Word = "",
    key: Word = "", severity: Word = "", begin: Word = "", end: Word = "", before: Before = None, limit: Limit = 100,
) -> Response:  # fmt: skip
    """Alerts, newest first."""
    wanted = Wanted(
        "" if state == "all" else state, rule, table, key, _severities(severity), moment(begin, "begin") if begin else None,
        moment(end, "end") if end else None, before, limit,
    )  # fmt: skip

    def found() -> dict[str, Any]:
        page, following = here.twin.alerts.store.find(wanted)
        return {"alerts": described(page, here.places), "next": following}

    return Json(await run_in_threadpool(found))


def _severities(said: str) -> tuple[str, ...]:
    given = tuple(word for word in said.split(",") if word)
    for word in given:
        if word not in SEVERITIES:
            raise InputError(f'no severity "{word}"', "severity", nearest(word, SEVERITIES))
    return given


@router.get("/alerts/{id}")
async def alert(here: Here, id: Number) -> Response:
    """One alert, and what the journal says of it (of a storm the journal has one entry for all, which is not listed here)."""

    def found() -> dict[str, Any]:
        one = here.twin.alerts.store.get(id)
        entries = here.twin.journal.read(Asked(subject=f"alert/{id}", limit=1000, oldest_first=True)).entries
        return {**described([one], here.places)[0], "journal": [entry_of(entry) for entry in entries]}

    return Json(await run_in_threadpool(found))


@router.post("/alerts/acknowledge")
async def acknowledge(here: Here, asked: Acknowledgement) -> Response:
    """Say that somebody sees to alerts: all of them or none."""
    done = await run_in_threadpool(here.twin.alerts.acknowledge, asked.ids, asked.who, asked.note)
    here.news.tell(done)
    return Json({"alerts": described(done, here.places)})


@router.get("/silences")
async def silences(here: Here) -> Response:
    """Silences that hold now."""
    found = await run_in_threadpool(here.twin.alerts.store.silences, time.time())
    return Json({"silences": [_said(silence) for silence in found]})


def _said(silence: Silence) -> dict[str, Any]:
    return {**silence.describe(), "begin": iso(silence.begin), "until": iso(silence.until)}


@router.post("/silences", status_code=201)
async def silence(here: Here, asked: Quiet) -> Response:
    """Tell nobody for a time; alerts still open, and close."""
    now = time.time()
    wanted = Silence(asked.rule, asked.table, asked.key, now, now + asked.minutes * 60, asked.who, asked.note)
    return Json(_said(await run_in_threadpool(here.twin.alerts.silence, wanted)), 201)


@router.delete("/silences/{id}")
async def unsilence(here: Here, id: Number, who: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
    """Tell people again."""
    await run_in_threadpool(here.twin.alerts.end_silence, id, who)
    return Json({"ended": id})


@router.get("/channels")
async def channels(here: Here) -> Response:
    """The channels of the city, without their secrets; how many messages wait, were sent, are dead."""
    mine = here.twin.alerts

    def found() -> dict[str, Any]:
        listed = [
            {**channel.describe(), "least": channel.policy.least, "standard": channel.policy.standard,
             "problem": mine.postman.problems.get(name, "")}
            for name, channel in mine.channels.items()
        ]  # fmt: skip
        return {"channels": listed, "problem": mine.channel_problem, "messages": mine.outbox.counts()}

    return Json(await run_in_threadpool(found))


@router.post("/channels/{name}/test", status_code=202)
async def send_test_message(here: Here, name: Annotated[str, Path(max_length=100)], who: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:  # noqa: E501  # fmt: skip
    """Put a test message into the outbox; the journal says how it went."""
    mine = here.twin.alerts
    if name not in mine.channels:
        raise MissingError(f'no channel "{name}"', hint=nearest(name, mine.channels))
    message = Message(name, f"Test of channel {name}", f"{who} tests this channel of {mine.city.name}. Nothing has happened.\n",
                      {"kind": "test"})  # fmt: skip
    entry = Entry("channel.tested", f"{who} tests channel {name}", who, f"channel/{name}", {"key": message.key})
    await run_in_threadpool(here.twin.journal.append, [entry], [message])
    mine.postman.wake()
    return Json({"key": message.key}, 202)


@router.get("/messages")
async def messages(here: Here, state: Word = "", channel: Word = "", before: Before = None, limit: Limit = 100) -> Response:
    """Messages of the outbox, newest first: waiting, sending, sent or dead."""
    if state and state not in STATES:
        raise InputError(f'no state "{state}"', "state", nearest(state, STATES))
    found = await run_in_threadpool(here.twin.alerts.outbox.messages, state, channel, limit, before)
    listed = [{**m.describe(), "made": iso(m.made), "due": iso(m.due) if m.due else None} for m in found]
    return Json({"messages": listed, "next": found[-1].id if len(found) == limit else None})


@router.post("/messages/{id}/again", status_code=202)
async def again(here: Here, id: Number) -> Response:
    """Try a dead message anew."""
    if not await run_in_threadpool(here.twin.alerts.outbox.again, id, time.time()):
        raise MissingError(f"no dead message {id}")
    here.twin.alerts.postman.wake()
    return Json({"id": id}, 202)
