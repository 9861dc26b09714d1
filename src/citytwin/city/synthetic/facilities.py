"""Facilities of a made city: which there are, where, and in which building. Numbers per inhabitant are rules of ours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from citytwin.city.synthetic.buildings import Blocks, Buildings, row_of_buildings
from citytwin.city.synthetic.districts import KINDS
from citytwin.city.synthetic.plan import Floats, Plan, Whole
from citytwin.city.synthetic.terrain import Terrain, distance_to_coast


@dataclass(frozen=True)
class Service:
    """One kind of facility: one for so many people, at least so many; on a block of its own (`area`, m2) or in a building.

    uses: of buildings it may be in, nearest first; use: of the building afterwards. plot, depth, levels: of what is built
    on its block. near: "people", "river" (upstream), "low" (the low part) or "sea".
    """

    kind: str
    people: float
    least: int
    use: str = ""
    area: tuple[float, float] = (0.0, 0.0)
    plot: tuple[float, float, int, int] = (0.0, 0.0, 0, 0)  # width, depth, storeys, most buildings
    near: str = "people"
    uses: tuple[str, ...] = ("commercial", "public", "apartments", "house")
    title: str = ""
    emergency: bool = False


SERVICES = (
    Service("hospital", 90_000, 1, "health", (11_000, 60_000), (62, 19, 6, 5), title="Hospital", emergency=True),
    Service("university", 160_000, 1, "education", (9_000, 60_000), (55, 18, 4, 6), title="University"),
    Service("school", 4_200, 1, "education", (4_500, 20_000), (44, 15, 3, 3), title="School"),
    Service("fire_station", 22_000, 1, "public", (1_500, 7_000), (34, 17, 2, 1), title="Fire Station", emergency=True),
    Service("power_plant", 900_000, 1, "industrial", (6_000, 60_000), (70, 36, 3, 3), "sea", title="Power Station"),
    Service("wastewater_plant", 400_000, 1, "industrial", (6_000, 60_000), (40, 24, 1, 3), "sea", title="Wastewater Works"),
    Service("water_works", 250_000, 1, "industrial", (4_000, 60_000), (46, 24, 2, 2), "river", title="Water Works"),
    Service("power_substation", 12_000, 1, "industrial", (900, 5_000), (22, 14, 1, 1), title="Substation"),
    Service("bus_station", 120_000, 1, "public", (2_500, 15_000), (48, 16, 1, 1), title="Bus Station"),
    Service("railway_station", 120_000, 1, "public", (3_000, 20_000), (75, 18, 2, 1), title="Station"),
    Service("care_home", 9_000, 1, "health", (2_000, 9_000), (38, 15, 4, 2), title="Care Home"),
    Service("police", 28_000, 1, "public", title="Police", emergency=True),
    Service("ambulance_station", 30_000, 1, "public", title="Ambulance Station", emergency=True),
    Service("townhall", 250_000, 1, "public", uses=("public", "commercial", "apartments", "house"), title="Town Hall"),
    Service("clinic", 18_000, 1, "health", title="Clinic"),
    Service("doctors", 2_600, 1, title="Surgery"),
    Service("pharmacy", 4_500, 1, title="Pharmacy"),
    Service("kindergarten", 2_000, 1, "education", uses=("other", "commercial", "apartments", "house"), title="Kindergarten"),
    Service("shelter", 6_000, 1, "public", uses=("public", "other", "commercial", "house"), title="Shelter"),
    Service("community_centre", 11_000, 1, "public", uses=("public", "commercial", "house"), title="Community Centre"),
    Service("pumping_station", 30_000, 1, near="low", uses=("other", "industrial", "commercial", "house"), title="Pumps"),
    Service("fuel", 7_500, 1, uses=("commercial", "other", "house"), title="Fuel"),
    Service("telecom", 4_000, 1, uses=("commercial", "apartments", "public", "house"), title="Mast"),
)  # fmt: skip


@dataclass
class Facilities:
    """Facilities: row of SERVICES (`service`), `place` (k, 2), row of the building or -1, name and capacity."""

    service: Whole
    place: Floats
    building: Whole
    names: list[str]
    capacity: Floats = field(default_factory=lambda: np.zeros(0))

    def of(self, kind: str) -> Whole:
        """Rows of the facilities of one kind."""
        return np.flatnonzero(np.array([SERVICES[s].kind == kind for s in self.service], dtype=bool))


def wanted(plan: Plan, service: Service) -> int:
    """How many facilities of this kind a city of the plan's size has."""
    return max(service.least, round(plan.people / service.people))


def claim_blocks(plan: Plan, terrain: Terrain, blocks: Blocks) -> tuple[Whole, Whole]:
    """Blocks taken by facilities that need land of their own: their services and block rows."""
    weight = blocks.area * np.array([_DENSITY[str(k)] for k in blocks.kind])
    place = shapely.get_coordinates(shapely.centroid(blocks.room))
    area, free = blocks.area, ~np.isin(blocks.kind, ["park"])
    services: list[int] = []
    rows: list[int] = []
    most = max(1, int(0.12 * len(area)))
    for number, service in enumerate(SERVICES):
        if not service.area[1]:
            continue
        for centre in _centres(plan, terrain, service, place, weight):
            if len(rows) >= most:
                break
            distance = np.hypot(*(place - centre).T)
            fits = free & (area >= service.area[0]) & (area <= service.area[1])
            if service.near == "sea":
                fits &= np.isin(blocks.kind, ["port", "industry"])
            usable = fits if fits.any() else free & (area <= service.area[1])
            if not usable.any():
                continue
            row = int(np.argmin(np.where(usable, distance, np.inf)))
            free[row] = False
            services.append(number)
            rows.append(row)
    return np.array(services, dtype=np.int64), np.array(rows, dtype=np.int64)


_DENSITY = {
    "old_town": 120,
    "centre": 60,
    "inner": 150,
    "terraces": 80,
    "estate": 120,
    "suburb": 40,
    "villas": 20,
    "industry": 1,
    "port": 0.5,
    "park": 0.1,
}  # fmt: skip  residents per hectare, only to spread facilities


def _centres(plan: Plan, terrain: Terrain, service: Service, place: Floats, weight: Floats) -> Floats:
    """Where facilities of one kind would best be."""
    count = wanted(plan, service)
    if service.near == "people":
        return spread(place, weight, count, plan.stream(f"centres {service.kind}"))
    if service.near == "low":
        return np.asarray(terrain.low + plan.stream("pumps").normal(0, 1, (count, 2)) * np.array(terrain.low_size))
    if service.near == "river":
        reach = terrain.river[np.argsort(np.abs(terrain.upstream - 1.3 * plan.radius))[:1]]
        return np.asarray(np.repeat(reach, count, axis=0))
    coastal = distance_to_coast(terrain, *place.T)
    return np.asarray(place[np.argsort(coastal, kind="stable")[:count]])


def spread(place: Floats, weight: Floats, count: int, rng: np.random.Generator) -> Floats:
    """`count` centres among weighted places, each in the middle of those nearest to it (Lloyd's k-means, twelve rounds)."""
    share = np.maximum(weight, 0) + 1e-12
    pick = rng.choice(len(place), size=min(count, len(place)), replace=False, p=share / share.sum())
    centre: Floats = place[np.sort(pick)]
    for _ in range(12):
        near = cKDTree(centre).query(place, workers=1)[1]
        total = np.bincount(near, weights=share, minlength=len(centre))
        for axis in (0, 1):
            mean = np.bincount(near, weights=share * place[:, axis], minlength=len(centre)) / np.maximum(total, 1e-300)
            centre[:, axis] = np.where(total > 0, mean, centre[:, axis])
    return centre


def build_sites(plan: Plan, blocks: Blocks, services: Whole, rows: Whole, buildings: Buildings) -> Buildings:
    """The city's buildings with those on the facilities' own blocks added; `site` says whose they are."""
    rng = plan.stream("sites")
    shapes, site, levels = [], [], []
    for number, (s, row) in enumerate(zip(services, rows, strict=True)):
        service = SERVICES[s]
        width, depth, storeys, most = service.plot
        made = row_of_buildings(blocks.room[row], width, depth, rng)[:most]
        shapes += list(made)
        site += [number] * len(made)
        levels += [max(1.0, storeys - k // 2) for k in range(len(made))]
    index = np.array(site, dtype=np.int64)
    use = np.array([SERVICES[s].use for s in services], dtype="U12")[index]
    floors = np.array(levels, dtype=float)
    return Buildings(
        np.concatenate([buildings.shape, np.array(shapes, dtype=object)]), np.concatenate([buildings.use, use]),
        np.concatenate([buildings.levels, floors]), np.concatenate([buildings.height, np.round(floors * 4.0, 1)]),
        np.concatenate([buildings.block, rows[index]]), np.concatenate([buildings.face, blocks.face[rows[index]]]),
        np.concatenate([buildings.site, index]),
    )  # fmt: skip


def settle_facilities(
    plan: Plan, terrain: Terrain, blocks: Blocks, services: Whole, rows: Whole, buildings: Buildings, names: list[str]
) -> Facilities:
    """All facilities: those on their own blocks, and the others in the nearest fitting buildings."""
    middle = buildings.middle
    homes = np.where(np.isin(buildings.use, ["house", "apartments"]), buildings.floor_area, 0.0)
    taken = buildings.site >= 0
    service_rows, places, inside = services.tolist(), [], []
    first = {int(s): int(b) for b, s in reversed(list(enumerate(buildings.site))) if s >= 0}
    for number, row in enumerate(rows):
        building = first.get(number, -1)
        inside.append(building)
        places.append(middle[building] if building >= 0 else shapely.get_coordinates(blocks.room[row].centroid)[0])
    for number, service in enumerate(SERVICES):
        left = wanted(plan, service) - int((services == number).sum())
        for centre in _centres(plan, terrain, service, middle, homes)[: max(left, 0)]:
            at = _nearest(centre, middle, buildings.use, service.uses, taken)
            taken[at] |= bool(service.use)
            if service.use:
                buildings.use[at] = service.use
            service_rows.append(number)
            inside.append(at)
            places.append(middle[at])
    within = np.array(inside, dtype=np.int64)
    where = [names[f] for f in np.where(within >= 0, buildings.face[within], 0)]
    return Facilities(np.array(service_rows), np.array(places).reshape(-1, 2), within, _named(service_rows, where))


def _nearest(
    centre: Floats, middle: Floats, use: npt.NDArray[np.str_], uses: tuple[str, ...], taken: npt.NDArray[np.bool_]
) -> int:
    """The nearest free building; each less wanted use counts as 120 m further away."""
    penalty = np.full(len(use), 5e4)
    for rank, name in enumerate(uses):
        penalty[use == name] = 120.0 * rank
    distance = np.hypot(*(middle - centre).T) + penalty + 1e7 * taken
    return int(np.argmin(distance))


def _named(services: list[int], where: list[str]) -> list[str]:
    names: list[str] = []
    seen: dict[str, int] = {}
    for s, place in zip(services, where, strict=True):
        stem = " ".join(w for w in place.split() if w not in {d.title for d in KINDS.values()}) or place
        name = f"{stem} {SERVICES[s].title}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return names
