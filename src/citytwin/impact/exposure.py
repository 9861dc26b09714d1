"""Exposure: the deepest water against each building, how dangerous it is, and how many people live there."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from citytwin.city.cells import Touch, around
from citytwin.city.roads import text
from citytwin.columns import Column
from citytwin.impact.classes import CLASSES, MEANING, hazard_class
from citytwin.impact.people import residents, zone_sums, zones_of
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

Values = npt.NDArray[np.float64]

SOURCE = (
    "Hazard classes: Australian Institute for Disaster Resilience (2017), Guideline 7-3 Flood Hazard, after Smith, Davey and "
    "Cox (2014), UNSW WRL Technical Report 2014/07. Age groups and household size where the city says nothing: Eurostat 2023."
)


class ExposureParameters(Parameters):
    """What counts as exposed and as displaced."""

    least_depth: Annotated[float, Quantity("m")] = Field(
        0.1, gt=0, le=2, description="Water shallower than this against a building counts as none, as in 0.1 m"
    )
    displaced_class: int = Field(3, ge=1, le=6, description="Residents leave from this hazard class on (3: H3)")


class Exposure:
    """Running maximum of the flood at each building.

    A building is reached by water under its footprint and by water up to one cell around it (a solver may take buildings as
    obstacles, so that no water stands on their own cells); water beside it counts as deep as it is, but no higher than its
    level above the ground of the building (`city.cells.Footprints`).
    """

    spec: ClassVar[Spec] = Spec(
        name="exposure", room="impact", title="People and buildings in the water", params=ExposureParameters,
        reads=("water_depth", "water_speed", "water_depth_peak", "water_hazard_peak"),
        writes=(
            Column("flood_depth", "building", "m", "deepest flood water against the building so far", 0, 100, 0,
                   ramp="depth", steps=(0.1, 0.3, 0.5, 1.2, 2, 4)),
            Column("flood_hazard", "building", "1", "highest flood hazard class at the building so far: " + MEANING, 0, 6, 0,
                   ramp="hazard", categories=CLASSES, source=SOURCE),
            Column("people_exposed", "building", "1", "residents of the building, if flood water reached it", 0, 100_000, 0,
                   ramp="people", course=False),
            Column("zone_people_exposed", "zone", "1", "residents of the zone whose building flood water reached", 0, 1e8, 0,
                   ramp="people"),
        ),
        needs=("building", "cell"), optional=("zone",), grade=Grade.VERIFIED, source=SOURCE,
        limits="Counts residents at home, not who is at work, at school or on the road at that hour. Water less than 0.1 m "
               "deep does not count. Cellars are not known. Speeds at the walls of a building are those of the ground raster.",
        always=True,
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params = setup.params
        city = setup.city
        building = city.table("building")
        self.city = city
        self.feet = around(city.ground, building.geometry.to_numpy())
        self.residents = residents(building)
        self.zone = zones_of(city, "building")
        self.use = np.where(text(building, "use") == "", "other", text(building, "use"))

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Raise each building's depth and class to what the water reached since `begin`."""
        depth, hazard = self._at_buildings(state)
        state["flood_depth"] = np.fmax(state["flood_depth"], depth)
        state["flood_hazard"] = np.fmax(state["flood_hazard"], hazard)
        exposed = np.where(state["flood_hazard"] > 0, self.residents.people, 0.0)
        state["people_exposed"] = exposed
        if "zone" in self.city:
            state["zone_people_exposed"] = zone_sums(self.city, self.zone, exposed)
        return Status()

    def _at_buildings(self, state: State) -> tuple[Values, Values]:
        touch = self.feet.touch
        depth = np.fmax(state["water_depth"][touch.cell], state["water_depth_peak"][touch.cell])
        wet = np.flatnonzero(depth >= self.params.least_depth)
        own = Touch(touch.row[wet], touch.cell[wet], touch.size)
        against = np.where(self.feet.under[wet], depth[wet], np.minimum(depth[wet], depth[wet] + self.feet.rise[wet]))
        speed = np.nan_to_num(state["water_speed"][own.cell])
        product = np.fmax(np.nan_to_num(state["water_hazard_peak"][own.cell]), state["water_depth"][own.cell] * speed)
        product *= np.maximum(against, 0.0) / depth[wet]
        reached = against >= self.params.least_depth
        level = np.where(reached, hazard_class(against, speed, product), 0.0)
        return own.highest_entry(np.where(reached, against, 0.0)), own.highest_entry(level)

    def summary(self, state: State) -> dict[str, Any]:
        """People by class and age, buildings by use, and what was assumed about residents."""
        hazard = state["flood_hazard"].astype(int)
        exposed = hazard > 0
        by_class = np.bincount(hazard, weights=self.residents.people, minlength=len(CLASSES))[1:]
        by_age = {age: float(np.sum(people[exposed])) for age, people in self.residents.by_age.items()}
        uses, counts = np.unique(self.use[exposed].astype(str), return_counts=True)
        displaced = hazard >= self.params.displaced_class
        impact = {
            "people_exposed": float(np.sum(self.residents.people[exposed])),
            "people_exposed_by_hazard_class": dict(zip(CLASSES[1:], by_class.tolist(), strict=True)),
            "people_exposed_by_age": by_age,
            "people_displaced": float(np.sum(self.residents.people[displaced])),
            "buildings_exposed": int(np.sum(exposed)),
            "buildings_by_use": dict(zip(uses.tolist(), counts.tolist(), strict=True)),
        }
        return {
            "impact": impact,
            "parameters": self.params.model_dump(),
            "people": float(np.sum(self.residents.people)),
            "people_exposed_in_no_zone": float(np.sum(self.residents.people[exposed & (self.zone < 0)])),
            "buildings_by_hazard_class": dict(zip(CLASSES, np.bincount(hazard, minlength=len(CLASSES)).tolist(), strict=True)),
            "buildings_outside_ground": int(len(hazard) - len(np.unique(self.feet.touch.row))),
            "buildings_people_assumed_from_dwellings": self.residents.assumed,
            "buildings_people_unknown": self.residents.unknown,
            "buildings_ages_assumed": self.residents.ages_assumed,
        }
