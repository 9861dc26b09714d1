"""Bridges, tunnels, stations, works and mains under shaking: which curve each takes, how many breaks a main has.

Sources: bridges HWB1 ... 28, tunnels and electric stations as in `fragility`; bridge modifiers, FEMA Hazus Earthquake Model
Technical Manual, chapter 7: K_skew = sqrt(sin(90 - skew)), K_3D = 1 + A / (spans - B), K_shape = 2.5 SA(1.0) / SA(0.3).
Water works, pumping stations and tanks (small, anchored), chapter 8, are from knowledge and were not read again. Mains:
American Lifelines Alliance (2001), Seismic fragility formulations for water systems: repairs per 1000 ft = K1 0.00187 PGV
(in/s) and K2 1.06 PGD^0.319 (in); of those by shaking 20 % are breaks, by ground failure 80 %. The factors K1 and K2 by
material are from knowledge; plastic pipes that the report does not list are taken as PVC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.city.roads import number, text, yes
from citytwin.hazards.earthquake.fragility import Curve, Fragility, Lognormal, Mixture, hazus_buildings, hazus_networks
from citytwin.hazards.earthquake.kernel import Ground, spread
from citytwin.hazards.earthquake.taxonomy import CODES, mixture_of_use

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Broken = tuple[F64, npt.NDArray[np.bool_] | None]

NETWORK_STATES = ("none", "slight", "moderate", "extensive", "complete")
BROKEN_FROM = 2
"""State from which a station or bridge does not work: moderate, where Hazus's restoration curves leave under a tenth working
after a day (substations) or call for closure (bridges)."""

WATER = {
    "works": ((0.25, 0.38, 0.53, 0.83), (0.5, 0.5, 0.6, 0.6)),
    "pump": ((0.15, 0.36, 0.77, 1.52), (0.7, 0.65, 0.65, 0.8)),
    "tank": ((0.25, 0.52, 0.95, 1.64), (0.55, 0.7, 0.6, 0.7)),
}
"""Medians (g) and dispersions of works, pumps and tanks."""

EQUATION = {"EQ1": (0.25, 1.0), "EQ2": (0.33, 0.0), "EQ3": (0.33, 1.0), "EQ4": (0.09, 1.0), "EQ5": (0.05, 0.0),
            "EQ6": (0.20, 1.0), "EQ7": (0.10, 0.0)}  # fmt: skip
"""A and B of K_3D."""

LONG = 30.0
"""Length (m) from which a bridge of which nothing else is known counts as one of several spans: an estimate."""

K1 = {"cast_iron": 1.0, "asbestos_cement": 0.5, "concrete": 0.8, "pvc": 0.5, "polyethylene": 0.5, "hdpe": 0.5, "steel": 0.6,
      "ductile_iron": 0.5}  # fmt: skip
K2 = {"cast_iron": 1.0, "asbestos_cement": 0.8, "concrete": 0.7, "pvc": 0.8, "polyethylene": 0.8, "hdpe": 0.8, "steel": 0.7,
      "ductile_iron": 0.5}  # fmt: skip
UNKNOWN = 1.0
"""K1 and K2 where the material is not known: as cast iron, the report's own reference."""


def bridge(kind: int, skew: float = 0.0, spans: int = 1, equation: str = "", shape: float = 1.0) -> Lognormal:
    """The curve (SA(1.0)) of a bridge of class HWB`kind`.

    skew: degrees between the pier line and the normal of the axis. spans: with `equation` (EQ1 ... EQ7) K_3D, where it is
    defined. shape: K_shape, at most 1, which the manual applies to slight damage of the classes that it marks.
    """
    base = hazus_networks()[f"HWB.GS.{kind}"]
    assert isinstance(base, Lognormal)
    whole = float(np.sqrt(np.sin(np.radians(90.0 - skew))))
    if equation:
        a, b = EQUATION[equation]
        whole *= 1.0 + a / (spans - b) if spans > b else 1.0
    first = base.medians[0] * min(1.0, shape)
    return Lognormal(base.measure, (first, *(m * whole for m in base.medians[1:])), base.dispersions)


def repairs(velocity: F64, length: F64, k1: F64) -> F64:
    """Expected repairs of mains of `length` (m) at peak ground velocity (cm/s): 0.00187 K1 (in/s) per 1000 ft."""
    return np.asarray(k1 * 0.00187 * (velocity / 2.54) * (length / 304.8), dtype=np.float64)


def repairs_by_ground_failure(deformation: F64, length: F64, k2: F64, probability: F64) -> F64:
    """Expected repairs at permanent ground deformation (m) with its probability: K2 1.06 (in)^0.319 per 1000 ft."""
    return np.asarray(probability * k2 * 1.06 * (deformation / 0.0254) ** 0.319 * (length / 304.8), dtype=np.float64)


def factor(materials: npt.NDArray[np.object_], table: dict[str, float]) -> F64:
    """K1 or K2 of each main."""
    spelled = [str(m).strip().lower().replace(" ", "_").replace("-", "_") for m in materials]
    return np.array([table.get(m, UNKNOWN) for m in spelled])


def station(kind: str, voltage: float, anchored: bool = True) -> str:
    """Name of the Hazus curve of a node of the power network: substations by voltage (150 and 350 kV), circuits, plants."""
    a = "A" if anchored else "U"
    if kind in ("plant", "power_plant"):
        return f"EP.G.S.{a}"
    if kind in ("transformer", "bus"):
        return f"EP.C.{a}"
    return f"EP.S.{'H' if voltage > 350e3 else 'M' if voltage > 150e3 else 'L'}.{a}"


@dataclass(frozen=True)
class Things:
    """Things of one table that may fail by a curve: rows, places (m), name of the curve of each."""

    table: str
    row: I64
    x: F64
    y: F64
    curve: tuple[Mixture, ...]


def _places(table: pd.DataFrame, rows: I64) -> tuple[F64, F64]:
    point = shapely.get_coordinates(shapely.centroid(np.asarray(table.geometry.to_numpy(), dtype=object)[rows]))
    return point[:, 0], point[:, 1]


def _curve_of_road(table: pd.DataFrame, row: int, length: float) -> str:
    if yes(table, "tunnel")[row]:
        return "HTU.GS.1"
    said = str(table["hazus"].iloc[row]) if "hazus" in table else ""
    return said if said.startswith("HWB") else "HWB.GS.10" if length >= LONG else "HWB.GS.3"


FACILITY_USE = {"hospital": "health", "clinic": "health", "doctors": "health", "school": "education",
                "kindergarten": "education", "university": "education"}  # fmt: skip


def _curve_of_facility(kind: str) -> Mixture:
    if kind in ("power_plant", "power_substation"):
        return ((station(kind, 110e3), 1.0),)
    if kind in ("water_works", "wastewater_plant"):
        return (("works", 1.0),)
    if kind == "pumping_station":
        return (("pump", 1.0),)
    return mixture_of_use(FACILITY_USE.get(kind, "public"), 2.0, CODES)


def curves() -> Fragility:
    """All curves that networks and facilities may take: those of networks, of water works, of buildings."""
    water: dict[str, Curve] = {name: Lognormal("PGA", m, b) for name, (m, b) in WATER.items()}
    known = {**hazus_networks().curves, **water, **hazus_buildings().curves}
    return Fragility(hazus_networks().states, known, {}, "Hazus")


def things_of(city: City, available: tuple[str, ...] | None = None) -> list[Things]:
    """Bridges and tunnels, power nodes, water nodes with equipment, facilities that are in no building.

    available: measures that there are, if not any; what needs another is left out.
    """
    found = []
    if "road" in city:
        road = city.table("road")
        rows = np.flatnonzero(yes(road, "bridge") | yes(road, "tunnel")).astype(np.int64)
        length = np.asarray(shapely.length(np.asarray(road.geometry.to_numpy(), dtype=object)))
        names: tuple[Mixture, ...] = tuple(((_curve_of_road(road, int(r), float(length[r])), 1.0),) for r in rows)
        found.append(Things("road", rows, *_places(road, rows), names))
    if "power_bus" in city:
        bus = city.table("power_bus")
        kind, voltage = text(bus, "kind"), number(bus, "voltage", 0.0)
        rows = np.arange(len(bus), dtype=np.int64)
        names = tuple(((station(str(k), float(v)), 1.0),) for k, v in zip(kind, voltage, strict=True))
        found.append(Things("power_bus", rows, *_places(bus, rows), names))
    if "water_node" in city:
        node = city.table("water_node")
        kind = text(node, "kind")
        rows = np.flatnonzero(np.isin(kind, ("works", "pump", "tank", "reservoir"))).astype(np.int64)
        names = tuple(((str(kind[r]).replace("reservoir", "tank"), 1.0),) for r in rows)
        found.append(Things("water_node", rows, *_places(node, rows), names))
    if "facility" in city:
        facility = city.table("facility")
        inside = city.rows("building", text(facility, "building")) if "building" in city else np.full(len(facility), -1)
        rows = np.flatnonzero(inside < 0).astype(np.int64)
        kind = text(facility, "kind")
        names = tuple(_curve_of_facility(str(kind[r])) for r in rows)
        found.append(Things("facility", rows, *_places(facility, rows), names))
    return [f for f in (_shakeable(each, available) for each in found) if len(f.row)]


def _shakeable(things: Things, available: tuple[str, ...] | None) -> Things:
    if available is None:
        return things
    known = curves()
    keep = np.array([known[m[0][0]].measure in available for m in things.curve], dtype=np.bool_)
    chosen = tuple(m for m, k in zip(things.curve, keep, strict=True) if k)
    return Things(things.table, things.row[keep], things.x[keep], things.y[keep], chosen)


class Mains:
    """Breaks of water mains: expected repairs over the fields, and whether each breaks in one of them (Poisson)."""

    def __init__(
        self, city: City, site: npt.NDArray[np.int32], measures: tuple[str, ...], draw: F64, chosen: int,
        failing: Callable[[F64, F64], tuple[F64, F64]] | None = None,
    ) -> None:  # fmt: skip
        """`failing`: from PGA (g) and ln PGV (cm/s), (b, mains), how likely the ground fails there and how far it moves (m)."""
        pipe = city.table("pipe")
        self.length = np.asarray(shapely.length(np.asarray(pipe.geometry.to_numpy(), dtype=object)), dtype=np.float64)
        material = text(pipe, "material")
        self.k1, self.k2 = factor(material, K1), factor(material, K2)
        self.site, self.draw, self.chosen = site, draw, chosen
        self.velocity = measures.index("PGV")
        self.acceleration = measures.index("PGA") if "PGA" in measures else -1
        self.failing = failing if self.acceleration >= 0 else None
        self.expected = np.zeros(len(pipe))
        self.broken = np.zeros(len(pipe), dtype=np.bool_)
        self.done = 0

    def part(self, first: int, ground: Ground) -> Broken:
        """Of the block of realisations from `first`: summed repairs, and what breaks if the chosen field is in it."""
        ln_velocity = self._read(ground, self.velocity)
        rate = repairs(np.exp(ln_velocity), self.length, self.k1)
        failure = np.zeros_like(rate)
        if self.failing is not None:
            probability, moved = self.failing(np.exp(self._read(ground, self.acceleration)), ln_velocity)
            failure = repairs_by_ground_failure(moved, self.length, self.k2, probability)
        here = self.chosen - first
        broken = None
        if 0 <= here < len(rate):
            broken = self.draw < 1.0 - np.exp(-(0.2 * rate[here] + 0.8 * failure[here]))
        return (rate + failure).sum(axis=0), broken

    def _read(self, ground: Ground, measure: int) -> F64:
        """Ln of a measure at the mains, (b, mains)."""
        log = np.empty((len(self.site), ground.size), dtype=np.float32)
        spread(ground, measure, self.site.astype(np.int64), log)
        return log.T.astype(np.float64)

    def add(self, part: Broken, count: int) -> None:
        """Add the next block's part, of `count` realisations."""
        self.expected += part[0]
        if part[1] is not None:
            self.broken = part[1]
        self.done += count

    @property
    def repairs(self) -> F64:
        """Expected repairs of each main."""
        return self.expected / max(self.done, 1)


def is_building(mixture: Mixture) -> bool:
    """Whether the curves of a thing are those of a building."""
    return mixture[0][0] in hazus_buildings().curves
