"""What a simulator declares about itself, and the few calls that the loop makes on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from citytwin.city import City
from citytwin.columns import Column
from citytwin.sim.streams import Streams
from citytwin.state import State


class Grade(enum.StrEnum):
    """How far to trust a simulator: sketch (conforms), verified (equals published solutions), validated (a real event)."""

    SKETCH = "sketch"
    VERIFIED = "verified"
    VALIDATED = "validated"


class Parameters(BaseModel):
    """Base of what a scenario may say to a simulator: unknown entries and NaN are refused, quantities carry units."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


def _on_earth(place: tuple[float, float]) -> tuple[float, float]:
    if not (-180 <= place[0] <= 180 and -90 <= place[1] <= 90):
        raise ValueError(f"{list(place)} is not [longitude, latitude] in degrees")
    return place


LonLat = Annotated[tuple[float, float], AfterValidator(_on_earth), Field(json_schema_extra={"format": "lonlat"})]


@dataclass(frozen=True)
class InterventionKind:
    """A measure that people may take during a scenario, with the model of what it needs to know."""

    name: str
    title: str
    params: type[Parameters]


@dataclass(frozen=True)
class Planned:
    """One intervention of a scenario: `at` seconds after the start, its kind's name and its parameters."""

    at: float
    name: str
    params: Parameters


@dataclass(frozen=True)
class Spec:
    """The declaration of a simulator.

    room: "hazard", "lifeline" or "impact": hazards advance first, impact last. reads: column names; writes: the columns
    it declares. needs: tables without which it cannot run (`cell` is the ground). optional: tables that it uses if there.
    source: the publications of its method. limits: what it does not do, in words that a mayor reads.
    """

    name: str
    room: str
    title: str
    params: type[Parameters]
    reads: tuple[str, ...]
    writes: tuple[Column, ...]
    needs: tuple[str, ...]
    grade: Grade
    source: str
    limits: str
    optional: tuple[str, ...] = ()
    interventions: tuple[InterventionKind, ...] = ()
    always: bool = False
    """Runs in every scenario without being named, if what it reads is written (exposure, loss, access)."""
    heeds: tuple[str, ...] = ()
    """Columns that it uses where something writes them. One that reads no other runs on its own when any of them is written."""
    recalls: tuple[str, ...] = ()
    """Columns of simulators that come after it, which it uses as they were at the end of the step before, where written."""

    def describe(self) -> dict[str, Any]:
        """The declaration as plain JSON values, with the JSON Schema of its parameters and interventions."""
        return {
            "name": self.name, "room": self.room, "title": self.title, "grade": str(self.grade), "source": self.source,
            "limits": self.limits, "reads": list(self.reads), "heeds": list(self.heeds),
            "recalls": list(self.recalls),
            "writes": [c.describe() for c in self.writes],
            "needs": list(self.needs), "optional": list(self.optional), "always": self.always,
            "params": self.params.model_json_schema(),
            "interventions": [
                {"name": i.name, "title": i.title, "params": i.params.model_json_schema()} for i in self.interventions
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """All that a simulator is given at its start.

    city, params: what exists and what the scenario says. start: seconds since 1970. duration: seconds. streams: named
    random streams of this member. interventions: those that this simulator declared, in time order.
    """

    city: City
    params: Any
    start: float
    duration: float
    streams: Streams
    interventions: tuple[Planned, ...] = ()


@dataclass(frozen=True)
class Status:
    """How an advance went. Numerics do not raise: they say `ok=False` with `advice`, and the loop stops the run."""

    ok: bool = True
    message: str = ""
    advice: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Simulator(Protocol):
    """What the loop calls. A class with a `spec`, made as `Kind(setup, state)`; it keeps no state but its own method's."""

    spec: ClassVar[Spec]

    def __init__(self, setup: Setup, state: State) -> None: ...

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Bring the columns it writes from `begin` to `end` (seconds after the scenario's start)."""
        ...

    def summary(self, state: State) -> dict[str, Any]:
        """Totals over the run so far, as plain numbers (nested by class where it has classes), for `result.json`."""
        ...
