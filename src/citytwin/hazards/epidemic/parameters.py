"""What a scenario may say to the epidemic, and the measures that people may take against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic_core import core_schema

from citytwin import units
from citytwin.errors import TwinError
from citytwin.hazards.epidemic.disease import Disease, Vaccine, by_age, read_disease, shipped_diseases
from citytwin.sim import Parameters
from citytwin.units import Quantity

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Quantity("s"), Field(ge=0)]
Metres = Annotated[float, Quantity("m"), Field(gt=0)]
Money = Annotated[float, Quantity("EUR"), Field(ge=0)]
DAY = 86400.0
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Place = Literal["household", "class", "team", "care_home", "community", "transit"]


def _folder(info: ValidationInfo) -> Path | None:
    return (info.context or {}).get("folder") if isinstance(info.context, dict) else None


@dataclass(frozen=True)
class DiseaseNamed:
    """Annotation of a field that holds a `Disease`, written as a shipped name or a TOML file beside the scenario."""

    def read(self, said: Any, info: ValidationInfo) -> Disease:
        """The declared disease. Raises ValueError, as pydantic wants."""
        if isinstance(said, Disease):
            return said
        if not isinstance(said, str):
            raise ValueError(f"{said!r} is not the name of a disease")
        try:
            return read_disease(said, _folder(info))
        except TwinError as error:
            raise ValueError(str(error)) from error

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(lambda d: d.model_dump(mode="json"))
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "description": "covid, influenza, ... or a TOML file", "examples": list(shipped_diseases())}


@dataclass(frozen=True)
class FileNamed:
    """Annotation of a field that names a file beside the scenario."""

    def read(self, said: Any, info: ValidationInfo) -> Path:
        """The path. Raises ValueError where the scenario may not name files."""
        if isinstance(said, Path):
            return said
        folder = _folder(info)
        if not isinstance(said, str) or folder is None:
            raise ValueError(f"cannot read {said!r}: this scenario may not name files")
        return Path(folder) / said

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(lambda p: str(p.name))
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "path"}


@dataclass(frozen=True)
class CourseOf:
    """Annotation of a field with a quantity over time, {0d: 31 degC, 1d: 36 degC}, each holding until the next."""

    unit: str

    def read(self, said: Any) -> tuple[tuple[float, float], ...]:
        """Pairs of time (s) and value. Raises ValueError."""
        if isinstance(said, tuple):
            return said
        try:
            pairs = said.items() if isinstance(said, dict) else [("0 s", said)]
            return tuple(sorted((units.to(time, "s"), units.to(value, self.unit)) for time, value in pairs))
        except TwinError as error:
            raise ValueError(str(error)) from error

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        one = {"type": ["string", "number"], "format": "quantity", "unit": self.unit}
        return {"anyOf": [one, {"type": "object", "additionalProperties": one}], "format": "series", "unit": self.unit}


class Seeds(Parameters):
    """Who is infected at the start."""

    people: int = Field(10, ge=0, le=10_000_000, description="How many")
    zone: str | None = Field(None, description="Key of the zone they live in; anywhere if not given")
    variant: str | None = Field(None, description="Variant of the disease; the first strain if not given")


class Spill(Parameters):
    """Water that is contaminated from a time on, as after a broken main or an overflowing sewer."""

    zone: str | None = Field(None, description="Key of the zone whose water it is; everywhere if not given")
    begin: Seconds = Field(0.0, description="When it begins")
    duration: Seconds = Field(5 * DAY, description="How long it goes on, as in 5 d")
    level: float = Field(1.0, gt=0, le=1000, description="Contamination, in doses that infect at half of the highest rate")


class Beds(Parameters):
    """What of the hospitals' beds is there for this disease."""

    usual_occupancy: Share = Field(0.75, description="Share of beds in use for other illness (OECD mean about three quarters)")
    intensive: Share = Field(0.03, description="Share of beds in intensive care, where the city's table has no intensive_beds")


class Costs(Parameters):
    """What measures cost, for the sum in the result."""

    school_day: Money = Field(40.0, description="A pupil's day of school lost, as in 40 EUR (assumed)")
    work_day: Money = Field(200.0, description="A working day lost (assumed)")
    dose: Money = Field(30.0, description="A dose of vaccine given (assumed)")
    test: Money = Field(30.0, description="A test (assumed)")


class Trigger(Parameters):
    """A number that starts or ends a measure."""

    of: Literal["incidence", "hospital", "intensive", "infected"] = Field(
        description="incidence: people with first symptoms in 7 days per 100,000; hospital, intensive: share of beds in use; "
        "infected: people infected now per 100,000"
    )
    above: float | None = Field(None, ge=0)
    below: float | None = Field(None, ge=0)
    each_zone: bool = Field(False, description="Each zone by its own number (incidence, infected), instead of the city's")

    @model_validator(mode="after")
    def _one_side(self) -> Trigger:
        if (self.above is None) == (self.below is None):
            raise ValueError("a trigger has either above or below")
        return self


class EpidemicParameters(Parameters):
    """Which disease, whom it begins with, and how people move."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"disease": "cholera", "seeds": [{"people": 5}]}]})

    disease: Annotated[Disease, DiseaseNamed()] = Field(description="covid, influenza, measles, cholera, heat, or a TOML file")
    seeds: list[Seeds] = Field([Seeds.model_validate({})], description="Who is infected at the start")
    r0: float | None = Field(None, ge=0, le=50, description="Basic reproduction number, instead of the disease's")
    immune: float | dict[str, float] = Field(
        0.0, description='Immune at the start: share, or by age, as in {"0-4": 0.2, "5+": 0.9}'
    )
    trips: Annotated[Path, FileNamed()] | None = Field(
        None, description="Trips between zones: origin, destination, count (CSV)"
    )
    census: Annotated[Path, FileNamed()] | None = Field(None, description="Margins: zone, margin, class, people (CSV)")
    leisure: Literal["gravity", "radiation"] = Field("gravity", description="Model of trips for shopping and leisure")
    reach: Metres = Field(2000.0, description="How fast the pull of shops and friends falls with distance, as in 2 km")
    way_to_work: Metres | None = Field(None, description="Mean way to work that commuting is fitted to, where it is made up")
    contacts: dict[Place, Annotated[float, Field(ge=0, le=1000)]] = Field({}, description="Contacts a day by place")
    beds: Beds = Field(Beds.model_validate({}), description="What of the hospitals' beds is there for this disease")
    vaccine: Vaccine | None = Field(None, description="Efficacy of the vaccine by dose, instead of the disease's")
    costs: Costs = Field(Costs.model_validate({}), description="What measures cost")
    temperature: Annotated[tuple[tuple[float, float], ...], CourseOf("degC")] | None = Field(
        None, description="Highest temperature of each day, for illness from heat, as in {0d: 31 degC, 1d: 36 degC}"
    )
    contamination: list[Spill] = Field([], description="Contaminated water, for diseases that spread through water")

    @model_validator(mode="after")
    def _fits(self) -> EpidemicParameters:
        if not np.all((by_age(self.immune) >= 0) & (by_age(self.immune) <= 1)):
            raise ValueError("immune is a share of 0 to 1")
        for seeds in self.seeds:
            if seeds.variant is not None and seeds.variant not in self.disease.variants:
                known = ", ".join(self.disease.variants) or "none"
                raise ValueError(f'{self.disease.name} has no variant "{seeds.variant}" (variants: {known})')
        return self


class Measure(Parameters):
    """What all measures have: where, from when to when, who keeps to it. They begin at `at`, or later when `start` says so."""

    zones: list[str] = Field([], description="Keys of the zones it holds in; everywhere if not given")
    duration: Seconds | None = Field(None, description="How long it lasts; to the end if not given")
    start: Trigger | None = Field(None, description="Begins only when this is so, as in {of: incidence, above: 100}")
    stop: Trigger | None = Field(None, description="Ends when this is so; begins again if start is so again")
    compliance: Share = Field(1.0, description="Share of people who keep to it")
    cost_a_day: Money = Field(0.0, description="What running it costs on each day that it holds somewhere, as in 20000 EUR")


class Lockdown(Measure):
    """People stay at home."""

    share: Share = Field(0.7, description="Share of contacts outside the home that are given up")
    essential: Share = Field(0.3, description="Share of teams that go on working")
    at_home: float = Field(1.25, ge=0, le=3, description="Contacts at home, times (Imperial report 9: 1.25)")


class SchoolClosure(Measure):
    """Classes do not meet."""

    share: Share = Field(1.0, description="Share of classes that are closed")
    at_home: float = Field(1.0, ge=0, le=3, description="Contacts at home, times (report 9: 1.5)")
    community: float = Field(1.0, ge=0, le=3, description="Contacts in the community, times (report 9: 1.25)")


class WorkClosure(Measure):
    """Teams work from home or not at all."""

    share: Share = Field(0.5, description="Share of teams that do not meet")


class GatheringLimit(Measure):
    """No gatherings of more than so many people."""

    people: int = Field(10, ge=1, le=100_000, description="Most people")
    share: Share | None = Field(None, description="Share of contacts in the community that this ends; by a rule if not given")


class Masks(Measure):
    """Masks in some places."""

    places: list[Place] = Field(["community", "transit"], description="Where they are worn")
    keeps_in: Share = Field(0.5, description="Share of infection that the mask of who spreads keeps in (assumed)")
    keeps_out: Share = Field(0.3, description="Share that the mask of who is met keeps out (assumed)")


class Curfew(Measure):
    """Nobody out at night."""

    begin_hour: float = Field(21.0, ge=0, le=24, description="From this hour")
    end_hour: float = Field(5.0, ge=0, le=24, description="To this hour")


class TravelLimit(Measure):
    """Fewer trips beyond one's own zone."""

    share: Share = Field(0.8, description="Share of contacts beyond the zone that are given up")


class Tracing(Measure):
    """People with symptoms are tested, isolated when found, and their household, class and team are called."""

    tested: Share = Field(0.5, description="Share of people with symptoms who are tested")
    delay: Seconds = Field(2 * DAY, description="From first symptoms to the result, as in 2 d")
    sensitivity: Share = Field(0.85, description="Share of tests of the infected that find it")
    capacity: int | None = Field(None, ge=0, description="Most tests a day")
    isolation: Seconds = Field(10 * DAY, description="How long found cases stay at home")
    household: Share = Field(0.9, description="Share of household members that are reached and stay at home")
    group: Share = Field(0.3, description="Share of class, team or care home that are reached and stay at home")
    trace_delay: Seconds = Field(1 * DAY, description="From the result to the call")
    trace_capacity: int | None = Field(None, ge=0, description="Most calls a day")
    quarantine: Seconds = Field(14 * DAY, description="How long those called stay at home")


class Quarantine(Measure):
    """People with symptoms stay at home, and their households with them, without tests."""

    ill: Share = Field(0.7, description="Share of people with symptoms who stay at home")
    ill_for: Seconds = Field(7 * DAY, description="How long they stay")
    household: Share = Field(0.5, description="Share of household members who stay at home too")
    household_for: Seconds = Field(14 * DAY, description="How long they stay")


class Site(Parameters):
    """A place where people are vaccinated; it serves the zones that it is nearest to."""

    facility: str = Field(description="Key of a facility")
    an_hour: float = Field(gt=0, le=10_000, description="Doses an hour")
    hours: float = Field(8.0, gt=0, le=24, description="Hours a day")
    days: list[Weekday] = Field(["mon", "tue", "wed", "thu", "fri", "sat", "sun"], description="Days on which it is open")


class Vaccination(Measure):
    """Doses are given, to some before others."""

    doses_a_day: int | None = Field(None, ge=0, description="Doses a day in the city, where no sites are named")
    sites: list[Site] = Field([], description="Where doses are given")
    order: list[str] = Field(
        ["80+", "care_home", "70-79", "60-69", "18+"],
        description="Who comes first: ages (60-69, 80+), care_home, class (pupils, teachers), team (workers), or a zone's key",
    )
    doses: int = Field(1, ge=1, le=5, description="Doses for each person, at the vaccine's interval")
    hesitancy: Share = Field(0.2, description="Share of people who do not want it")

    @model_validator(mode="after")
    def _someone_gives_them(self) -> Vaccination:
        if (self.doses_a_day is None) == (not self.sites):
            raise ValueError("a vaccination has either doses_a_day or sites")
        return self


class BorderSeeding(Measure):
    """Infected people come in."""

    people_a_day: float = Field(1.0, ge=0, le=100_000, description="Infected a day, on average")
    variant: str | None = Field(None, description="Variant that they bring")
