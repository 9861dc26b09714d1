"""Kinds of districts: how dense, which streets, which buildings. A rule gives each neighbourhood its kind and name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely.geometry import Polygon

from citytwin.city.synthetic.plan import Floats, Plan
from citytwin.city.synthetic.terrain import Terrain, distance_to_coast, port_side


@dataclass(frozen=True)
class District:
    """How one kind of district is built. Lengths in metres.

    pattern: of its streets: organic, grid, curved, open or none. block: spacing of its streets, across and along.
    plot, depth, gap, setback: of its buildings; rows: how many rows deep a block is built. levels: fewest and most storeys.
    uses: share of each use. homes: floor area of one home (m2), 0 where nobody lives. grown: share of plots built upon.
    manning, impervious: of its open ground.
    """

    name: str
    pattern: str
    block: tuple[float, float]
    plot: float
    depth: float
    gap: float
    setback: float
    rows: int
    levels: tuple[int, int]
    uses: dict[str, float]
    grown: float
    manning: float
    impervious: float
    title: str = ""


# Manning roughness and impervious shares of open ground: in the range of Chow, Open-Channel Hydraulics (1959), table 5-6, and
# of the US National Land Cover Database classes 21 to 24 (open space below 20 % impervious ... high intensity 80 to 100 %).
KINDS: dict[str, District] = {
    d.name: d
    for d in (
        District("old_town", "organic", (78, 78), 9, 12, 0.4, 0.8, 1, (2, 4),
                 {"apartments": 0.66, "commercial": 0.28, "public": 0.03, "other": 0.03}, 0.97, 0.03, 0.85, "Old Town"),
        District("centre", "grid", (105, 90), 26, 18, 1.5, 3, 1, (4, 14),
                 {"commercial": 0.72, "apartments": 0.22, "public": 0.06}, 0.93, 0.025, 0.85, "Centre"),
        District("inner", "grid", (88, 150), 17, 13, 0.4, 2.5, 1, (3, 6),
                 {"apartments": 0.84, "commercial": 0.12, "public": 0.02, "other": 0.02}, 0.95, 0.03, 0.7, "Quarter"),
        District("terraces", "grid", (66, 160), 7.5, 9.5, 0.4, 5, 1, (2, 3),
                 {"house": 0.86, "apartments": 0.09, "commercial": 0.04, "other": 0.01}, 0.95, 0.035, 0.5, "Row"),
        District("estate", "open", (230, 260), 52, 14, 22, 14, 3, (5, 12),
                 {"apartments": 0.93, "commercial": 0.05, "other": 0.02}, 0.85, 0.04, 0.45, "Park Estate"),
        District("suburb", "curved", (74, 190), 17, 11, 5.5, 7, 1, (1, 2),
                 {"house": 0.97, "commercial": 0.015, "other": 0.015}, 0.93, 0.045, 0.35, "Gardens"),
        District("villas", "curved", (105, 240), 27, 14, 12, 11, 1, (1, 3),
                 {"house": 0.98, "other": 0.02}, 0.85, 0.06, 0.22, "Hill"),
        District("industry", "grid", (190, 270), 62, 42, 14, 9, 2, (1, 2),
                 {"industrial": 0.88, "commercial": 0.12}, 0.86, 0.025, 0.85, "Works"),
        District("port", "grid", (210, 300), 78, 46, 16, 9, 2, (1, 2),
                 {"industrial": 0.95, "commercial": 0.05}, 0.82, 0.02, 0.9, "Docks"),
        District("park", "none", (150, 150), 60, 15, 200, 20, 1, (1, 1), {"other": 1.0}, 0.06, 0.06, 0.05, "Park"),
    )
}  # fmt: skip

_NAMES = (
    "Alder", "Ash", "Barley", "Beacon", "Birch", "Bramble", "Bridge", "Brook", "Cannon", "Castle", "Chapel", "Cherry", "Cliff",
    "Copper", "Cross", "Dyke", "East", "Elm", "Fern", "Ferry", "Fisher", "Fountain", "Fuller", "Garnet", "Glass", "Grange",
    "Harbour", "Hawthorn", "Heron", "High", "Hollow", "Ivy", "Juniper", "Kestrel", "Lamb", "Lantern", "Lark", "Lime", "Linden",
    "Lower", "Maple", "Market", "Meadow", "Mill", "Minster", "Moss", "North", "Oak", "Orchard", "Otter", "Pepper", "Pilot",
    "Plum", "Poplar", "Quarry", "Raven", "Reed", "Rose", "Rowan", "Saffron", "Salt", "Sand", "Sparrow", "Spring", "Stone",
    "Swan", "Thistle", "Thorn", "Tide", "Upper", "Vine", "Weaver", "West", "Whistle", "Willow", "Wren", "Yarrow",
)  # fmt: skip


def words() -> tuple[str, ...]:
    """Words that invented names are made of."""
    return _NAMES


def settle_kinds(plan: Plan, terrain: Terrain, faces: list[Polygon]) -> list[str]:
    """The district kind of each neighbourhood, from where it lies; `faces` begin at the centre."""
    rng = plan.stream("districts")
    centre = np.array([f.centroid.coords[0] for f in faces]).reshape(-1, 2)
    away = np.hypot(*centre.T) / plan.radius
    _, t = plan.axes(*centre.T)
    mouth = plan.axes(*terrain.river[int(np.argmin(np.abs(terrain.upstream)))])[1]
    coastal = distance_to_coast(terrain, *centre.T)
    high = terrain.elevation(*centre.T) / (0.0095 * plan.radius + 2.0)  # above 1 are hills with a view
    chance = rng.uniform(0, 1, (len(faces), 2))
    side = (t - float(mouth)) * port_side(plan)
    kinds = [_kind(*row) for row in zip(away, coastal / plan.radius, side / plan.radius, high, *chance.T, strict=True)]
    kinds[0] = "old_town"
    if plan.radius < VILLAGE:
        return [_IN_A_VILLAGE.get(kind, kind) for kind in kinds]
    centre_row = next((k for k in range(1, len(kinds)) if 0.08 < away[k] < 0.34 and kinds[k] in ("inner", "old_town")), None)
    if centre_row is not None:
        kinds[centre_row] = "centre"
    low = np.hypot(*(centre - terrain.low).T)
    for row in np.argsort(low)[: max(1, len(faces) // 25)]:
        if kinds[row] not in ("old_town", "centre"):
            kinds[row] = "terraces"
    return kinds


VILLAGE = 900.0  # m: what reaches no further is a village, without towers, estates or a port
_IN_A_VILLAGE = {"centre": "old_town", "inner": "terraces", "estate": "suburb", "port": "terraces", "park": "villas"}


def _kind(away: float, coastal: float, side: float, high: float, chance: float, other: float) -> str:
    if 0.10 < side < 0.62 and coastal < 0.24 and away > 0.14:
        return "port"
    if away < 0.13:
        return "old_town"
    if chance < 0.09 and away < 0.8:
        return "park"
    if away < 0.36:
        return "inner"
    if high > 1 and other < 0.7:
        return "villas"
    if away < 0.62:
        return "estate" if other < 0.2 else "terraces" if other < 0.72 else "inner"
    if away > 0.6 and other < 0.09:
        return "industry"
    return "estate" if other > 0.9 else "villas" if other > 0.78 else "terraces" if other > 0.66 else "suburb"


def name_faces(plan: Plan, faces: list[Polygon], kinds: list[str]) -> list[str]:
    """An invented, unique name for each neighbourhood."""
    rng = plan.stream("names")
    stems = [_NAMES[k] for k in rng.permutation(len(_NAMES))]
    names: list[str] = []
    seen: set[str] = set()
    for row, kind in enumerate(kinds):
        title = KINDS[kind].title
        name = title if row == 0 or kind == "centre" else f"{stems[row % len(stems)]} {title}"
        second = 2
        while name in seen:
            name = f"{stems[(row + second) % len(stems)]}{stems[(row * 7 + second) % len(stems)].lower()} {title}"
            second += 1
        seen.add(name)
        names.append(name)
    return names


def centres(faces: list[Polygon]) -> Floats:
    """Centroids (k, 2) of neighbourhoods."""
    return np.array([f.centroid.coords[0] for f in faces]).reshape(-1, 2)
