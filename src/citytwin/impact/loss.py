"""Loss: what the water costs, building by building, from depth-damage functions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import shapely
from pydantic import Field

from citytwin.city.roads import text
from citytwin.columns import Column
from citytwin.impact import curves
from citytwin.impact.people import zone_sums, zones_of
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

Values = npt.NDArray[np.float64]

STATES = ("none", "slight", "moderate", "extensive", "complete")
# Upper limits of slight, moderate and extensive: repair cost of the structure as a share of its depreciated value. 0.5 is where
# FEMA's Hazus flood model calls a building substantially damaged; 0.1 and 0.3 are our division of what lies below.
STATE_LIMITS = np.array([0.1, 0.3, 0.5])

SOURCE = (
    "Huizinga, de Moel and Szewczyk (2017), Global flood depth-damage functions, EUR 28552 EN, doi:10.2760/16510. Damage "
    "states: a convention of this project, complete above half of the structure's value (in FEMA's Hazus: substantial)."
)

Money = Annotated[float, Quantity("EUR/m**2"), Field(ge=0)]
Use = Literal["house", "apartments", "commercial", "industrial", "public", "education", "health", "farm", "other"]


def sector_of(use: str) -> str:
    """The sector whose curve a building's `use` takes; that of homes where the use is not a known one."""
    return curves.SECTOR_OF_USE.get(use, "residential")


class LossParameters(Parameters):
    """How much is there to lose."""

    gdp_per_capita: float = Field(
        curves.GDP_EUROPEAN_UNION, gt=0, le=1_000_000, description="GDP per person in US$ of 2010; construction costs follow it"
    )
    price_factor: float = Field(1.0, gt=0, le=100, description="Prices of the wanted year over those of 2010")
    residential: Money | None = Field(None, description="Maximum damage of homes, as in 720 EUR/m2 of footprint")
    commercial: Money | None = Field(None, description="Maximum damage of offices, shops, schools, hospitals")
    industrial: Money | None = Field(None, description="Maximum damage of factories, warehouses, farms")

    use: dict[Use, Money] = Field({}, description="Maximum damage of single uses, as in {farm: 100 EUR/m2}")

    def maximum_damage(self, use: str) -> float:
        """EUR per m2 of footprint: what was said for the use or its sector, or what follows from the GDP."""
        sector = sector_of(use)
        said: float | None = self.use.get(use, getattr(self, sector))  # type: ignore[call-overload]
        return said if said is not None else curves.maximum_damage(sector, self.gdp_per_capita) * self.price_factor


def damage_state(share: Values) -> Values:
    """The damage state 0 ... 4 of a `share` of the maximum damage, of which the structure's is the damageable part."""
    repair = share * (1.0 - curves.UNDAMAGEABLE)
    return np.where(share > 0, 1.0 + np.searchsorted(STATE_LIMITS, repair, side="left"), 0.0)


class Loss:
    """Damage share by the depth-damage curve of the building's sector; loss = share x maximum damage x footprint."""

    spec: ClassVar[Spec] = Spec(
        name="loss", room="impact", title="Damage and loss of buildings", params=LossParameters,
        reads=("flood_depth", "flood_hazard"),
        writes=(
            Column("damage_share", "building", "1", "share of the building's maximum flood damage reached so far", 0, 1, 0,
                   ramp="damage", steps=(0.1, 0.3, 0.5), source=SOURCE, course=False),
            Column("damage_state", "building", "1", "repair cost of the structure over its value: none; slight up to 10 %, "
                   "moderate up to 30 %, extensive up to 50 %, complete above", 0, 4, 0, ramp="damage", categories=STATES,
                   source=SOURCE, course=False),
            Column("loss", "building", "EUR", "damage of structure and contents so far", 0, 1e12, 0, ramp="money",
                   source=SOURCE, course=False),
            Column("zone_loss", "zone", "EUR", "damage of buildings and contents in the zone so far", 0, 1e15, 0, ramp="money"),
        ),
        needs=("building",), optional=("zone",), grade=Grade.VERIFIED, source=SOURCE,
        limits="Direct damage of buildings and contents only: no roads, vehicles, crops, lost business or lost lives. European "
               "mean curves by depth alone, in euro of 2010 unless the city says otherwise; a single building can differ by "
               "far, a greenhouse most of all. Fast water that breaks walls is not in the curves.",
        always=True,
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params = params = setup.params
        building = setup.city.table("building")
        self.city = setup.city
        self.use = np.where(text(building, "use") == "", "other", text(building, "use"))
        self.sector = np.array([sector_of(str(use)) for use in self.use], dtype=object)
        self.maximum = {use: params.maximum_damage(use) for use in sorted(set(self.use.tolist()))}
        area = np.nan_to_num(shapely.area(np.asarray(building.geometry.to_numpy(), dtype=object)))
        self.value = area * np.array([self.maximum[use] for use in self.use], dtype=np.float64)
        self.rows = {sector: np.flatnonzero(self.sector == sector) for sector in curves.SECTORS}
        self.zone = zones_of(setup.city, "building")

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Damage and loss of the deepest water so far."""
        depth = np.where(state["flood_hazard"] > 0, np.nan_to_num(state["flood_depth"]), 0.0)
        share = np.zeros(len(depth))
        for sector, rows in self.rows.items():
            share[rows] = curves.damage_share(sector, depth[rows])
        loss = share * self.value
        state["damage_share"] = share
        state["damage_state"] = damage_state(share)
        state["loss"] = loss
        if "zone" in self.city:
            state["zone_loss"] = zone_sums(self.city, self.zone, loss)
        return Status()

    def summary(self, state: State) -> dict[str, Any]:
        """Loss in all and by use, buildings by damage state."""
        loss = state["loss"]
        uses, index = np.unique(self.use.astype(str), return_inverse=True)
        by_use = np.bincount(index, weights=loss, minlength=len(uses))
        states = np.bincount(state["damage_state"].astype(int), minlength=len(STATES))
        impact = {
            "buildings_by_damage_state": dict(zip(STATES, states.tolist(), strict=True)),
            "loss": float(np.sum(loss)),
            "loss_by_use": {use: float(value) for use, value in zip(uses.tolist(), by_use, strict=True) if value > 0},
        }
        return {
            "impact": impact,
            "parameters": self.params.model_dump(),
            "maximum_damage_eur_per_m2": self.maximum,
            "value_at_risk": float(np.sum(self.value)),
            "loss_in_no_zone": float(np.sum(loss[self.zone < 0])),
        }
