"""Rules over HTTP: list, make, change, disable, remove, check, try on the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from citytwin.errors import MissingError, TwinError, nearest
from citytwin.incidents.rules import Rule, json_schema, rule_of
from citytwin.server.encoding import Json, iso, moment
from citytwin.server.errors import kind_of
from citytwin.server.served import Here, Served

router = APIRouter(prefix="/api", tags=["rules"])

Name = Annotated[str, Path(max_length=100)]
Who = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Written(BaseModel):
    """A rule as somebody writes it. There is no sign-in yet: `who` is what the caller says."""

    model_config = ConfigDict(extra="forbid")
    who: Who
    rule: dict[str, Any]


class Switched(BaseModel):
    """A rule set to work, or to rest."""

    model_config = ConfigDict(extra="forbid")
    who: Who
    enabled: Annotated[bool, Field(strict=True)]


class Tried(BaseModel):
    """A rule (or, without one, all that are enabled) to be tried on the past."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    rule: dict[str, Any] | None = None
    begin: Annotated[str, StringConstraints(max_length=60)]
    end: Annotated[str, StringConstraints(max_length=60)]
    every: Annotated[float, Field(ge=0, le=86400)] = 0.0


class Checked(BaseModel):
    """A rule to be checked."""

    model_config = ConfigDict(extra="forbid")
    rule: dict[str, Any]


def _described(here: Served, name: str, counts: Mapping[str, int] | None = None) -> dict[str, Any]:
    mine = here.twin.alerts
    waiting = (counts if counts is not None else _open(here)).get(name, 0)
    at_work = mine.engine.watched.get(name)
    problem = mine.rulebook.problems.get(name)
    return {
        "name": name, "rule": mine.rulebook.said[name], "of_every_twin": name in mine.rulebook.own,
        "at_work": at_work is not None, "things": at_work.selection.size if at_work else 0, "open": waiting,
        "problem": _problem(problem) if problem else None,
    }  # fmt: skip


def _open(here: Served) -> Mapping[str, int]:
    """Number of open alerts of each rule."""
    return Counter(alert.rule for alert in list(here.twin.alerts.book.open.values()))


def _problem(error: TwinError) -> dict[str, str]:
    return {"kind": kind_of(error), "message": error.message, "where": error.where, "hint": error.hint}


@router.get("/rules")
def rules(here: Here) -> Response:
    """All rules, as they are declared, and how they do."""
    mine = here.twin.alerts
    whole = mine.rulebook.problems.get("")
    counts = _open(here)
    listed = [_described(here, name, counts) for name in sorted(mine.rulebook.said)]
    return Json({"rules": listed, "problem": _problem(whole) if whole else None, "look_seconds": mine.took})


@router.get("/rules-schema")
async def schema(here: Here) -> Response:
    """JSON Schema of a rules document."""
    return Json(json_schema())


@router.post("/rules/check")
def check(here: Here, asked: Checked) -> Response:
    """What is wrong with a rule, and on how many things it would look."""
    try:
        made = here.twin.alerts.engine.made("rule", rule_of(asked.rule))
    except TwinError as error:
        return Json({"ok": False, "problems": [_problem(error)], "things": 0})
    return Json({"ok": True, "problems": [], "things": made.selection.size})


@router.post("/rules/try")
def try_rules(here: Here, asked: Tried) -> Response:
    """The alerts that a rule would have opened in the past; at most 1,000 are listed, `counts` has all."""
    mine = here.twin.alerts
    chosen: dict[str, Rule] = {"rule": rule_of(asked.rule)} if asked.rule is not None else {
        name: each.rule for name, each in mine.engine.watched.items()
    }  # fmt: skip
    found = here.twin.try_rules(chosen, moment(asked.begin, "begin"), moment(asked.end, "end"), asked.every)
    for alert in found["alerts"]:
        alert.update({name: None if alert[name] is None else iso(alert[name]) for name in ("opened", "changed", "closed")})
    return Json({**found, "begin": iso(found["begin"]), "end": iso(found["end"]), "alerts": found["alerts"][:1000]})


@router.get("/rules/{name}")
def rule(here: Here, name: Name) -> Response:
    """One rule."""
    _known(here, name)
    return Json(_described(here, name))


@router.post("/rules/{name}", status_code=201)
def make(here: Here, name: Name, asked: Written) -> Response:
    """Make a rule: it is in `rules.toml` and at work when this answers."""
    here.twin.alerts.put_rule(name, asked.rule, asked.who, new=True)
    return Json(_described(here, name), 201)


@router.put("/rules/{name}")
def change(here: Here, name: Name, asked: Written) -> Response:
    """Change a rule. Its open alerts go on where its things are the same."""
    here.twin.alerts.put_rule(name, asked.rule, asked.who, new=False)
    return Json(_described(here, name))


@router.patch("/rules/{name}")
def switch(here: Here, name: Name, asked: Switched) -> Response:
    """Set a rule to work or to rest; alerts of one at rest close."""
    said = dict(_known(here, name))
    here.twin.alerts.put_rule(name, {**said, "enabled": asked.enabled}, asked.who, new=False)
    return Json(_described(here, name))


@router.delete("/rules/{name}")
def remove(here: Here, name: Name, who: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
    """Take a rule away; its alerts close."""
    here.twin.alerts.remove_rule(name, who)
    return Json({"removed": name})


def _known(here: Served, name: str) -> dict[str, Any]:
    said = here.twin.alerts.rulebook.said
    if name not in said:
        raise MissingError(f'no rule "{name}"', hint=nearest(name, said))
    return said[name]
