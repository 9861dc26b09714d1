"""What a scenario may say to the earthquake, and the measures that people may take against it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from citytwin.errors import TwinError
from citytwin.hazards.earthquake.correlation import correlation
from citytwin.hazards.earthquake.models import model
from citytwin.sim.spec import LonLat, Parameters
from citytwin.units import Quantity

Kilometres = Annotated[float, Quantity("m"), Field(ge=0, le=700_000)]
Seconds = Annotated[float, Quantity("s"), Field(ge=0)]
Acceleration = Annotated[float, Quantity("m/s**2"), Field(gt=0, le=100)]
Velocity = Annotated[float, Quantity("m/s"), Field(gt=0, le=10)]
Polygon = Annotated[list[LonLat], Field(min_length=3, json_schema_extra={"format": "polygon"})]
Mechanism = Literal["strike-slip", "normal", "reverse", "unknown"]
Code = Literal["PC", "LC", "MC", "HC"]
Susceptibility = Literal["none", "very_low", "low", "moderate", "high", "very_high"]
Level = Literal["none", "slight", "moderate", "extensive", "complete", "collapsed"]


def _found(said: Any, info: ValidationInfo) -> Any:
    """The file that is named, relative to the scenario's folder. A scenario without a folder may name none."""
    if not isinstance(said, (str, Path)):
        raise ValueError("a file is named by its path")
    folder = (info.context or {}).get("folder")
    path = Path(said)
    if folder is None:
        raise ValueError(f'this scenario may name no file ("{path}")')
    path = path if path.is_absolute() else Path(folder) / path
    if not path.is_file():
        raise ValueError(f'there is no file "{path}"')
    return path


File = Annotated[Path, BeforeValidator(_found), Field(json_schema_extra={"format": "file"})]


class Reading(Parameters):
    """What an accelerometer read, or people felt, at one place."""

    place: LonLat = Field(description="Longitude, latitude")
    pga: Acceleration | None = Field(None, description="Peak ground acceleration, as in 1.8 m/s2")
    pgv: Velocity | None = Field(None, description="Peak ground velocity, as in 0.2 m/s")
    noise: float = Field(0.0, ge=0, le=3, description="Standard deviation of ln of the reading itself; 0 for an instrument")
    intensity: float | None = Field(None, ge=1, le=10, description="What people felt, modified Mercalli intensity, as in 6.5")
    responses: int | None = Field(None, ge=1, le=1_000_000, description="Reports that the intensity is the mean of")
    spread: float | None = Field(
        None, gt=0, le=3, description="Standard deviation of the intensity; told from the number of responses if not given"
    )
    vs30: float | None = Field(None, gt=50, le=3000, description="Vs30 below the instrument, m/s")
    name: str = Field("", description="Name of the station")

    @model_validator(mode="after")
    def _something(self) -> Reading:
        if (self.pga is None and self.pgv is None) == (self.intensity is None):
            raise ValueError("a reading has pga or pgv, or else an intensity")
        if self.intensity is None and (self.responses is not None or self.spread is not None):
            raise ValueError("responses and spread are those of an intensity; pga and pgv have a noise")
        return self


class Report(Parameters):
    """What a crew or a drone saw of one building."""

    building: str = Field(description="Key of the building")
    state: Level = Field(description="Damage seen")
    reliability: float = Field(0.9, gt=0.3, le=1, description="How likely it is right; else a neighbouring state is")


class Shock(Parameters):
    """An aftershock."""

    magnitude: float = Field(ge=3, le=9.5, description="Moment magnitude")
    place: LonLat = Field(description="Epicentre")
    depth: Kilometres = Field(10_000.0, description="Depth of the hypocentre, as in 8 km")
    mechanism: Mechanism = Field("unknown", description="Style of faulting")
    delay: Seconds = Field(description="When it strikes, after the scenario's start")


def _known(params: EarthquakeParameters) -> None:
    """Refuse names of ground-motion models and correlations that there are not."""
    try:
        for name in params.models:
            model(name)
        correlation(params.correlation, ("PGA",))
    except TwinError as error:
        raise ValueError(str(error)) from error


class EarthquakeParameters(Parameters):
    """Where the earth shakes from, what is known of the shaking, and how buildings stand it.

    The source is a magnitude with a place, a rupture file, or a ShakeMap grid; exactly one of them.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"magnitude": 6.3, "place": [1.79, 42.44], "depth": "8 km", "realisations": 32}]}
    )

    magnitude: float | None = Field(None, ge=3, le=9.5, description="Moment magnitude")
    place: LonLat | None = Field(None, description="Epicentre")
    depth: Kilometres = Field(10_000.0, description="Depth of the hypocentre, as in 8 km")
    mechanism: Mechanism = Field("unknown", description="Style of faulting")
    strike: float | None = Field(None, ge=0, le=360, description="Strike of the fault, degrees from north")
    dip: float | None = Field(None, gt=0, le=90, description="Dip of the fault, degrees")
    rake: float | None = Field(None, ge=-180, le=180, description="Rake, degrees")
    rupture: File | None = Field(None, description="Rupture: NRML XML, OpenQuake CSV, or ShakeMap rupture.json")
    shakemap: File | None = Field(None, description="ShakeMap grid.xml; its uncertainty.xml beside it is read too")
    uncertainty: File | None = Field(None, description="ShakeMap uncertainty.xml")
    delay: Seconds = Field(0.0, description="When it strikes, after the scenario's start")
    models: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {"BSSA14": 0.25, "CB14": 0.25, "CY14": 0.25, "ASB14": 0.25}, min_length=1,
        description="Ground-motion models and their weights",
    )  # fmt: skip
    correlation: str = Field("JB2009", description="Model of the spatial correlation of the shaking")
    vs30: Annotated[float, Field(gt=50, le=3000)] | File | None = Field(
        None, description="Vs30: one number for everywhere, m/s, or a raster of it, instead of what the city or its slopes say"
    )
    stations: File | None = Field(None, description="Stations: ShakeMap stationlist (json, xml) or CSV")
    readings: list[Reading] = Field([], description="What instruments read and people felt, place by place")
    realisations: int = Field(1000, ge=1, le=100_000, description="Fields of shaking that damage is worked out for")
    fragility: File | None = Field(None, description="Fragility model, NRML; Hazus curves by building type if not given")
    mapping: File | None = Field(None, description="Mapping of taxonomies, CSV: taxonomy,conversion,weight")
    consequences: File | None = Field(None, description="Consequence model, NRML: share of the value lost in each state")
    vulnerability: File | None = Field(None, description="Vulnerability model, NRML: loss ratios straight from the shaking")
    states: dict[str, Level] = Field({}, description="Which damage level each state of the fragility file is")
    codes: dict[Code, Annotated[float, Field(ge=0)]] = Field({}, description="Shares of code levels where no year is known")
    hour: float | None = Field(
        None, ge=0, lt=24, description="Local hour that people are placed by; that of the event if not given"
    )
    weekend: bool | None = Field(None, description="Whether it is a weekend; that of the event if not given")
    reports: list[Report] = Field([], description="Damage seen of single buildings")
    aftershocks: list[Shock] = Field([], max_length=5, description="Aftershocks on the damaged city")
    networks: bool = Field(True, description="Whether bridges, stations and mains are shaken too")
    precipitation: float = Field(800.0, ge=0, le=10_000, description="Mean precipitation, mm a year (liquefaction)")
    water_table: Annotated[float, Quantity("m"), Field(ge=0, le=500)] = Field(
        5.0, description="Depth to ground water, as in 5 m"
    )
    ground_failure: bool | None = Field(
        None,
        description="Whether failing ground damages buildings and mains: false nowhere, true everywhere, told from Vs30, water "
        "and slopes where no class of susceptibility is said (rough); else where a class is said",
    )
    susceptibility: Susceptibility | None = Field(
        None,
        description="Susceptibility to liquefaction everywhere; else that of buildings and zones, else by Vs30 and water",
    )
    debris_reach: float = Field(0.5, ge=0, le=2, description="How far a collapsed building falls, as a share of its height")

    @model_validator(mode="after")
    def _one_source(self) -> EarthquakeParameters:
        point = self.magnitude is not None or self.place is not None
        if sum((point, self.rupture is not None, self.shakemap is not None)) != 1:
            raise ValueError("an earthquake has exactly one of magnitude with place, rupture, shakemap")
        if point and (self.magnitude is None or self.place is None):
            raise ValueError("an earthquake with a magnitude has a place, and one with a place a magnitude")
        _known(self)
        if self.codes and not sum(self.codes.values()) > 0:
            raise ValueError("shares of code levels are all zero")
        times = [self.delay, *(s.delay for s in self.aftershocks)]
        if any(b <= a for a, b in pairwise(times)):
            raise ValueError("aftershocks come after the main shock, in their order")
        return self


class Retrofit(Parameters):
    """Buildings made stronger before the earthquake, by a factor on the shaking that they withstand."""

    use: list[str] = Field([], description="Only buildings of these uses, as in [education, health]")
    where: Polygon | None = Field(None, description="Only buildings in this polygon")
    buildings: list[str] = Field([], description="Only these buildings, by key")
    factor: Annotated[float, Field(gt=1, le=5)] = Field(1.5, description="Withstands this many times the shaking")
    cost: float | None = Field(
        None, ge=0, le=100_000, description="What it costs, EUR for each m2 of floor; the result adds it up as measures_cost"
    )
