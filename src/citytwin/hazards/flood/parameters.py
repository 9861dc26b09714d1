"""What a scenario may say to the flood, and the measures that people may take against it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from citytwin.hazards.flood.series import Discharge, Level, RainSteps
from citytwin.sim.spec import LonLat, Parameters
from citytwin.units import Quantity

Metres = Annotated[float, Quantity("m"), Field(gt=0, le=1000)]
Seconds = Annotated[float, Quantity("s"), Field(ge=0)]
Rate = Annotated[float, Quantity("m/s"), Field(ge=0, le=1e-2)]
Line = Annotated[list[LonLat], Field(min_length=2, json_schema_extra={"format": "line"})]
Polygon = Annotated[list[LonLat], Field(min_length=3, json_schema_extra={"format": "polygon"})]
Box = Annotated[
    tuple[float, float, float, float],
    Field(description="west, south, east, north in degrees", json_schema_extra={"format": "bbox"}),
]
Side = Literal["north", "east", "south", "west"]


class Rain(Parameters):
    """Rain: an intensity for a duration, or a series of intensities that each hold until the next."""

    intensity: Rate | None = Field(
        None, description="Intensity, as in 60 mm/h", json_schema_extra={"format": "quantity", "unit": "m/s"}
    )
    duration: Seconds = Field(3600.0, description="How long it lasts, as in 1h")
    begin: Seconds = Field(0.0, description="When it begins, after the scenario's start")
    series: RainSteps | None = Field(None, description="Intensities over time, as in {0h: 10 mm/h, 1h: 60 mm/h, 2h: 0 mm/h}")
    where: Polygon | None = Field(None, description="Polygon that it falls on; everywhere if not given")

    @model_validator(mode="after")
    def _one_of_two(self) -> Rain:
        if (self.intensity is None) == (self.series is None):
            raise ValueError("rain has either an intensity or a series")
        return self


class Inflow(Parameters):
    """A river that brings water into the city."""

    discharge: Discharge = Field(description="Discharge, as in 50 m3/s, or over time, as in {0h: 10 m3/s, 2h: 80 m3/s}")
    place: LonLat | None = Field(None, description="Place where it comes in")
    waterway: str | None = Field(None, description="Key of a waterway: comes in at its upper end")
    across: Line | None = Field(None, description="Line across the channel that it comes in over")

    @model_validator(mode="after")
    def _one_place(self) -> Inflow:
        if sum(v is not None for v in (self.place, self.waterway, self.across)) != 1:
            raise ValueError("an inflow has exactly one of place, waterway, across")
        return self


class Sea(Parameters):
    """A sea, lake or river whose level is given over time."""

    level: Level = Field(description="Level above the elevation datum, as in 2 m, or over time, as in {0h: 0 m, 3h: 2.5 m}")
    edge: Side | None = Field(None, description="Edge of the ground that it stands at")
    water: str | None = Field(None, description="Key of a water surface")
    where: Polygon | None = Field(None, description="Polygon that holds it")

    @model_validator(mode="after")
    def _one_place(self) -> Sea:
        if sum(v is not None for v in (self.edge, self.water, self.where)) != 1:
            raise ValueError("a sea has exactly one of edge, water, where")
        return self


class Horton(Parameters):
    """Infiltration that falls from a first to a last rate (Horton 1941, Soil Sci. Soc. Am. Proc. 5, 399-417)."""

    first: Rate = Field(description="Rate at the start, as in 50 mm/h")
    last: Rate = Field(description="Rate after a long time, as in 5 mm/h")
    decay: Annotated[float, Quantity("1/s"), Field(gt=0)] = Field(description="How fast it falls, as in 2 1/h")


class GreenAmpt(Parameters):
    """Infiltration behind a wetting front (Green and Ampt 1911, J. Agr. Sci. 4, 1-24)."""

    conductivity: Rate = Field(description="Saturated hydraulic conductivity, as in 10 mm/h")
    suction: Annotated[float, Quantity("m"), Field(ge=0, le=10)] = Field(description="Suction head at the front, as in 100 mm")
    deficit: float = Field(ge=0, le=1, description="Pore space that the front fills, share of volume")


class Soil(Parameters):
    """How fast the pervious share of the ground takes water: exactly one of three laws."""

    rate: Rate | None = Field(
        None, description="Constant rate, as in 10 mm/h", json_schema_extra={"format": "quantity", "unit": "m/s"}
    )
    horton: Horton | None = None
    green_ampt: GreenAmpt | None = None

    @model_validator(mode="after")
    def _one_law(self) -> Soil:
        if sum(v is not None for v in (self.rate, self.horton, self.green_ampt)) != 1:
            raise ValueError("infiltration has exactly one of rate, horton, green_ampt")
        return self


class Edges(Parameters):
    """What happens at the outer edges of the ground: open (free fall), closed, or normal flow on a slope, as in 0.01."""

    north: Literal["open", "closed"] | Annotated[float, Field(ge=0, le=1)] = "open"
    east: Literal["open", "closed"] | Annotated[float, Field(ge=0, le=1)] = "open"
    south: Literal["open", "closed"] | Annotated[float, Field(ge=0, le=1)] = "open"
    west: Literal["open", "closed"] | Annotated[float, Field(ge=0, le=1)] = "open"


class FloodParameters(Parameters):
    """Where water comes from, what it runs over, and where it goes."""

    rain: Rain | None = Field(None, description="Rain on the ground")
    inflow: list[Inflow] = Field([], description="Rivers that bring water in")
    sea: list[Sea] = Field([], description="Waters whose level is given")
    infiltration: Soil | None = Field(None, description="What the soil takes; nothing if not given")
    drains: Rate = Field(0.0, description="What street drains take from impervious ground, as in 20 mm/h")
    edges: Edges = Field(Edges(), description="What happens at the outer edges of the ground")
    roughness: float | None = Field(
        None, gt=0, le=1, description="Manning roughness everywhere (s/m^(1/3)), instead of the ground's"
    )
    buildings: Literal["rough", "obstacles", "ignored"] = Field(
        "rough", description="rough: they slow water down; obstacles: water runs around them; ignored"
    )
    area: Box | None = Field(None, description="Part of the ground to simulate; all of it if not given")


class Wall(Parameters):
    """A wall or row of sandbags that stands on the ground along a line."""

    along: Line = Field(description="Where it stands")
    height: Metres = Field(description="Height above the ground, as in 1 m")


class Gate(Parameters):
    """A gate across an opening: closed it holds all water back, opened it leaves the bare ground."""

    along: Line = Field(description="Line across the opening")
    state: Literal["closed", "open"] = Field("closed", description="What is done with it")


class Breach(Parameters):
    """A hole in walls that were raised: from its time on, water runs over the bare ground along the line."""

    along: Line = Field(description="Line along the part of the wall that fails")


class Pump(Parameters):
    """A pump that takes water from a place, never more than there is."""

    place: LonLat = Field(description="Where it stands")
    rate: Annotated[float, Quantity("m3/s"), Field(gt=0, le=1000)] = Field(description="Capacity, as in 500 l/s")
    outlet: LonLat | None = Field(None, description="Where the water goes; out of the city if not given")
    duration: Seconds | None = Field(None, description="How long it runs; to the end if not given")
