"""The scenario document: one YAML file that says what happens, for how long, and what people do about it.

`read_scenario` checks all of it before anything runs: unknown entries are refused with the nearest valid name, quantities
carry units. `json_schema` publishes the form, put together from what the installed simulators declare.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from citytwin import units
from citytwin.errors import InputError, nearest
from citytwin.scenario import vary
from citytwin.scenario.yaml_text import at_path, parse_yaml, read_yaml
from citytwin.sim import Parameters, Planned, all_simulators, intervention, simulator
from citytwin.units import Quantity

ROOMS = {"hazards": "hazard", "lifelines": "lifeline", "impact": "impact"}
"""Which entry of a scenario names simulators of which room."""

Seconds = Annotated[float, Quantity("s"), Field(gt=0)]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Frame(BaseModel):
    """The outer entries of a scenario; what stands inside hazards, lifelines and interventions is checked by its owner."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, description="What people call this scenario")
    description: str = ""
    start: Literal["now"] | dt.datetime = Field("now", description="When it begins: now, or a time in UTC")
    duration: Seconds = Field(description="How long it lasts, as in 6h")
    every: Seconds = Field(300.0, description="Step at which simulators meet and results are kept, as in 5min")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Same seed, same result")
    hazards: list[dict[str, Any]] = Field(min_length=1, description="What happens")
    lifelines: list[str | dict[str, Any]] = Field([], description="Networks whose failure is simulated too")
    impact: list[dict[str, Any]] = Field([], description="Entries for what is reckoned anyhow, as loss or exposure")
    interventions: list[dict[str, Any]] = Field([], description="What people do, each with the time it is done (at)")
    members: int = Field(1, ge=1, le=10_000, description="Number of ensemble members")
    vary: dict[str, Any] = Field({}, description="What differs between members: path -> distribution")


@dataclass(frozen=True)
class Scenario:
    """A checked scenario. `said` is the document as given; times are seconds, `start` is a UTC datetime or "now"."""

    name: str
    start: dt.datetime | Literal["now"]
    duration: float
    every: float
    seed: int
    members: int
    params: dict[str, Parameters]
    interventions: tuple[Planned, ...]
    said: dict[str, Any]
    folder: Path | None = None
    description: str = ""
    vary: dict[str, Any] = field(default_factory=dict)

    def member(self, number: int) -> Scenario:
        """The scenario of one ensemble member, with its own draw of what varies; member 0 of 1 varies nothing."""
        if not self.vary or self.members == 1:
            return self
        said = vary.drawn(self.said, self.vary, self.seed, number)
        return parse({**said, "vary": {}, "members": 1}, self.folder)

    def text(self) -> str:
        """The document as YAML."""
        return yaml.safe_dump(self.said, sort_keys=False, allow_unicode=True)


def read_scenario(path: Path | str) -> Scenario:
    """The checked scenario in the YAML file at `path`; files it names are relative to it. Raises InputError."""
    path = Path(path)
    said = read_yaml(path, "the scenario")
    try:
        return parse(said, path.parent)
    except InputError as error:
        raise at_path(error, path) from error


def parse_text(text: str, folder: Path | None = None) -> Scenario:
    """The checked scenario in YAML `text`. Without a `folder` no file may be named. Raises InputError."""
    return parse(parse_yaml(text), folder)


def parse(said: Any, folder: Path | None = None) -> Scenario:
    """The checked scenario of a document already read (YAML or JSON values). Raises InputError, at the first problem."""
    found, problems = _look(said, folder)
    if found is None or problems:
        first = problems[0]
        more = f"; {len(problems) - 1} more" if len(problems) > 1 else ""
        raise InputError(first.message, first.where, first.hint + more)
    return found


def check(said: Any, folder: Path | None = None) -> list[InputError]:
    """All problems of a document, in its order; an empty list when it is good."""
    return _look(said, folder)[1]


def _look(said: Any, folder: Path | None) -> tuple[Scenario | None, list[InputError]]:
    if not isinstance(said, dict):
        return None, [InputError("a scenario is a mapping of entries", hint="it begins with name: ...")]
    said = {str(key): value for key, value in said.items()}
    problems: list[InputError] = []
    frame = validated(Frame, said, "", folder, problems)
    if not isinstance(frame, Frame):
        return None, problems
    params: dict[str, Parameters] = {}
    for name, room in ROOMS.items():
        for number, entry in enumerate(getattr(frame, name)):
            _simulator_entry(room, f"{name}[{number}]", entry, folder, params, problems)
    planned = [
        _intervention_entry(f"interventions[{n}]", e, _dated(frame.start), folder, problems)
        for n, e in enumerate(frame.interventions)
    ]
    for path, distribution in frame.vary.items():
        try:
            vary.check(said, path, distribution)
        except InputError as error:
            problems.append(error)
    if problems:
        return None, problems
    start = _dated(frame.start) or frame.start
    done = tuple(sorted((p for p in planned if p), key=lambda p: p.at))
    scenario = Scenario(frame.name, start, frame.duration, frame.every, frame.seed, frame.members, params, done,
                        said, folder, frame.description, frame.vary)  # fmt: skip
    return scenario, []


def validated(model: type[BaseModel], said: Any, where: str, folder: Path | None, problems: list[InputError]) -> Any:
    """`said` as a `model`, or None; then each thing that is wrong with it is added to `problems`, placed under `where`."""
    try:
        return model.model_validate(said, context={"folder": folder})
    except ValidationError as error:
        problems += [_problem(model, said, e, where) for e in error.errors()]
        return None


def _problem(model: type[BaseModel], said: Any, error: Any, where: str) -> InputError:
    place = where
    for part in error["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    if error["type"] == "extra_forbidden":
        allowed = _allowed(model, error["loc"][:-1])
        return InputError(f'"{error["loc"][-1]}" is not an entry here', place, nearest(str(error["loc"][-1]), allowed))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return InputError("is missing", place)
    given = error.get("input")
    shown = f" (given: {given!r})" if isinstance(given, (str, int, float, bool)) and repr(given) not in message else ""
    return InputError(message[0].lower() + message[1:] + shown[:80], place)


def _allowed(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Entry names that `model` allows at `path`, found in its JSON Schema."""
    schema = model.model_json_schema()
    here: list[dict[str, Any]] = [schema]
    for part in (None, *path):
        found = []
        for node in _opened(here, schema):
            if part is None:
                found.append(node)
            elif isinstance(part, int):
                found += [node["items"]] if "items" in node else []
            elif part in node.get("properties", {}):
                found.append(node["properties"][part])
            else:  # a union's own name for its branch, or a free mapping
                free = node.get("additionalProperties")
                found.append(free if isinstance(free, dict) else node)
        here = found
    return [name for node in _opened(here, schema) for name in node.get("properties", {})]


def _opened(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            out += _opened([schema["$defs"][node["$ref"].rsplit("/", 1)[1]]], schema)
        elif "anyOf" in node or "oneOf" in node:
            out += _opened(node.get("anyOf", []) + node.get("oneOf", []), schema)
        else:
            out.append(node)
    return out


def _named(entry: Any, where: str, skip: tuple[str, ...] = ()) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, {}
    names = [k for k in entry if k not in skip]
    if len(names) != 1:
        raise InputError("one name with its entries belongs here", where, f"given: {', '.join(map(str, names)) or 'nothing'}")
    return str(names[0]), entry[names[0]] if entry[names[0]] is not None else {}


def _simulator_entry(
    room: str, where: str, entry: Any, folder: Path | None, params: dict[str, Parameters], problems: list[InputError]
) -> None:
    try:
        name, said = _named(entry, where)
        allowed = [s.spec.name for s in all_simulators() if s.spec.room == room]
        if name not in allowed:
            raise InputError(f'no {room} "{name}"', where, nearest(name, allowed))
        if name in params:
            raise InputError(f'"{name}" is named twice', where)
        found = validated(simulator(name).spec.params, said, f"{where}.{name}", folder, problems)
        if found is not None:
            params[name] = found
    except InputError as error:
        problems.append(InputError(error.message, error.where or where, error.hint))


def _intervention_entry(
    where: str, entry: dict[str, Any], start: dt.datetime | None, folder: Path | None, problems: list[InputError]
) -> Planned | None:
    try:
        name, said = _named(entry, where, skip=("at",))
        kind = intervention(name)
        at = _after_start(entry.get("at", "0 s"), start, f"{where}.at")
    except InputError as error:
        problems.append(InputError(error.message, error.where or where, error.hint))
        return None
    found = validated(kind.params, said, f"{where}.{name}", folder, problems)
    return Planned(at, name, found) if found is not None else None


def _dated(start: Any) -> dt.datetime | None:
    """A start that is a moment, in UTC (taken as UTC where it names no zone); None for "now"."""
    if not isinstance(start, dt.datetime):
        return None
    return start.astimezone(dt.UTC) if start.tzinfo else start.replace(tzinfo=dt.UTC)


def _after_start(said: Any, start: dt.datetime | None, where: str) -> float:
    """Seconds after the start: a time after it (10d), or a date (2027-01-20) or moment. Raises InputError."""
    if isinstance(said, str) and DATE.match(said.strip()):
        try:
            said = dt.datetime.fromisoformat(said.strip())
        except ValueError as error:
            raise InputError(f'"{said}" is not a date', where, "as in 2027-01-20 or 2027-01-20T06:00:00Z") from error
    if not isinstance(said, dt.date):
        return units.seconds(said)
    moment = _dated(said if isinstance(said, dt.datetime) else dt.datetime(said.year, said.month, said.day, tzinfo=dt.UTC))
    if start is None or moment is None:
        raise InputError(
            f"a date ({said}) needs a scenario that starts on a date", where, "give start: 2027-01-04T00:00:00Z, or at: 10d"
        )
    if moment < start:
        raise InputError(f"{said} is before the start, {start:%Y-%m-%d %H:%M}", where, "give a date after it")
    return (moment - start).total_seconds()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a scenario document with all installed simulators, for editors to complete from."""
    schema = Frame.model_json_schema()
    defs: dict[str, Any] = schema.setdefault("$defs", {})

    def entry(name: str, model: type[BaseModel], extra: dict[str, Any]) -> dict[str, Any]:
        form = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        defs.update({f"{name}.{key}": value for key, value in form.pop("$defs", {}).items()})
        return {"type": "object", "properties": {name: form, **extra}, "required": [name], "additionalProperties": False}

    for place, room in ROOMS.items():
        found = [s.spec for s in all_simulators() if s.spec.room == room]
        forms: list[dict[str, Any]] = [entry(s.name, s.params, {}) for s in found]
        if room == "lifeline" and found:
            forms.append({"enum": [s.name for s in found]})
        schema["properties"][place]["items"] = {"anyOf": forms} if forms else False
    kinds = [kind for s in all_simulators() for kind in s.spec.interventions]
    words = "After the start (10d), or a date or moment (2027-01-20)"
    at = {"at": {"type": ["string", "number"], "format": "quantity", "unit": "s", "description": words}}
    schema["properties"]["interventions"]["items"] = {"anyOf": [entry(k.name, k.params, at) for k in kinds]} if kinds else False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "citytwin scenario", **schema}
