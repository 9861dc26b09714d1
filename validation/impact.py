"""Exposure, loss and roads against their publications: curves, costs, hazard classes, a city worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator

import geopandas as gpd
import numpy as np
from shapely.geometry import box

from citytwin.city import City, Facts, Ground
from citytwin.impact import curves
from citytwin.impact.classes import hazard_class
from citytwin.lifelines.traffic import safe_speed
from citytwin.sim import Setup, Streams, columns_with, simulator
from citytwin.state import State
from validation.case import Row

# Huizinga, de Moel and Szewczyk (2017), EUR 28552 EN: mean damage factors for Europe at 0 ... 6 m.
EUROPE = {
    "residential": {0: 0, 0.5: 0.25, 1: 0.40, 1.5: 0.50, 2: 0.60, 3: 0.75, 4: 0.85, 5: 0.95, 6: 1},
    "commercial": {0: 0, 0.5: 0.15, 1: 0.30, 1.5: 0.45, 2: 0.55, 3: 0.75, 4: 0.90, 5: 1, 6: 1},
    "industrial": {0: 0, 0.5: 0.15, 1: 0.27, 1.5: 0.40, 2: 0.52, 3: 0.70, 4: 0.85, 5: 1, 6: 1},
}

# The same report's table of maximum damages: GDP per person (US$ of 2010) and construction cost (EUR of 2010 per m2) of homes,
# commerce and industry.
COSTS = {
    "Bulgaria": (6580.813875, 711.9044621, 778.995481, 536.3496982),
    "Poland": (12484.07315, 911.0387691, 979.3085581, 660.3818969),
    "Portugal": (22538.65408, 1143.847869, 1209.534515, 800.1203128),
    "Spain": (30736.00228, 1289.027494, 1351.347305, 884.9640521),
    "European Union": (33558.68486, 1333.40006, 1394.454954, 910.5902978),
    "France": (40706.07833, 1436.35291, 1494.080603, 969.5434816),
    "Germany": (41723.3659, 1450.075218, 1507.319721, 977.3502816),
    "Netherlands": (50338.25483, 1558.804244, 1611.907838, 1038.809007),
    "Norway": (86096.13602, 1916.796979, 1952.742448, 1236.702354),
}

# AIDR (2017), Guideline 7-3, table of limits: product (m2/s), depth (m), speed (m/s) of H1 ... H5.
LIMITS = ((0.3, 0.3, 2.0), (0.6, 0.5, 2.0), (0.6, 1.2, 2.0), (1.0, 2.0, 2.0), (4.0, 4.0, 4.0))


def published_class(depth: float, speed: float) -> int:
    """The class as one reads it off the guideline's table: the first whose three limits all hold."""
    for number, (product, deep, fast) in enumerate(LIMITS, start=1):
        if depth * speed <= product and depth <= deep and speed <= fast:
            return number
    return 6


def damage_functions() -> Iterator[Row]:
    for sector, points in EUROPE.items():
        share = curves.damage_share(sector, np.array(list(points), dtype=float))
        worst = float(np.max(np.abs(share - np.array(list(points.values())))))
        yield Row(f"JRC 2017 damage function, {sector}", "largest difference at 9 depths", 1e-12, worst)


def construction_costs() -> Iterator[Row]:
    for place, sector in enumerate(curves.SECTORS):
        worst = max(abs(curves.construction_cost(sector, c[0]) / c[place + 1] - 1) for c in COSTS.values())
        yield Row(f"JRC 2017 construction cost, {sector}", f"largest relative error over {len(COSTS)} countries", 1e-3, worst)


def hazard_classes() -> Iterator[Row]:
    rng = np.random.default_rng(20170703)
    depth, speed = 5 * rng.random(20_000) ** 2, 5 * rng.random(20_000) ** 2
    ours = hazard_class(depth, speed, depth * speed)
    wrong = sum(int(o) != published_class(d, v) for o, d, v in zip(ours, depth, speed, strict=True))
    yield Row("AIDR 2017 hazard classes H1-H6", "of 20,000 depths and speeds in another class", 0, wrong)


def speed_in_water() -> Iterator[Row]:
    depth = np.linspace(0, 0.3, 31)
    published = (0.0009 * (1000 * depth) ** 2 - 0.5529 * 1000 * depth + 86.9448) / 3.6
    worst = float(np.max(np.abs(safe_speed(depth) - published)))
    yield Row("Pregnolato 2017 speed in water", "largest difference, m/s", 1e-12, worst)
    yield Row("Pregnolato 2017 speed in water", "speed at 0.301 m, m/s", 0, float(safe_speed(np.array([0.301]))[0]))


def by_hand() -> Iterator[Row]:
    """Three buildings of 100, 200 and 400 m2 under 0.75, 1.25 and 0 m of water, at Spain's GDP, worked out on paper.

    A home of 100 m2: share (0.25 + 0.40) / 2 = 0.325; 1289.03 x 0.6 x 0.6 x 1.5 = 696.07 EUR/m2; loss 22,622 EUR.
    A shop of 200 m2: share (0.30 + 0.45) / 2 = 0.375; 1351.35 x 0.6 x 0.6 x 2 = 972.97 EUR/m2; loss 72,973 EUR.
    """
    shapes = [box(102, 102, 112, 112), box(202, 102, 222, 112), box(302, 102, 322, 122)]
    rows = {"key": ["home", "shop", "hall"], "use": ["house", "commercial", "industrial"], "people": [4.0, 0.0, 0.0]}
    table = gpd.GeoDataFrame(rows, geometry=shapes, crs="EPSG:32631")
    ground = Ground(0.0, 200.0, 10.0, {"elevation": np.zeros((20, 40), dtype=np.float32)})
    city = City(Facts("Three buildings", "EPSG:32631"), {"building": table}, ground)
    state = State(city)
    columns_with(state.columns)
    depth = np.zeros((20, 40))
    depth[:, 8:14], depth[:, 18:25] = 0.75, 1.25
    state["water_depth"] = depth.ravel()
    impact: dict[str, float] = {}
    for name, said in (("exposure", {}), ("loss", {"gdp_per_capita": COSTS["Spain"][0]})):
        kind = simulator(name)
        made = kind(Setup(city, kind.spec.params(**said), 0.0, 60.0, Streams(0)), state)
        made.advance(state, 0.0, 60.0)
        impact.update(made.summary(state)["impact"])
    expected = 100 * 0.325 * 1289.027494 * 0.54 + 200 * 0.375 * 1351.347305 * 0.72
    yield Row("three buildings by hand", "relative error of the loss", 1e-3, abs(impact["loss"] / expected - 1))
    yield Row("three buildings by hand", "error of people exposed", 0, abs(impact["people_exposed"] - 4))
    total = math.fsum(impact["loss_by_use"].values())  # type: ignore[attr-defined]
    yield Row("three buildings by hand", "loss less its sum by use, EUR", 1e-6, abs(impact["loss"] - total))


CASES = (damage_functions, construction_costs, hazard_classes, speed_in_water, by_hand)
