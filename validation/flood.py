"""Flood against published solutions. Bounds are round numbers above what the scheme reaches on the stated grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from citytwin.city import City, Facts, Ground
from citytwin.hazards.flood import Flood
from citytwin.hazards.flood.parameters import FloodParameters
from citytwin.sim import Setup, Streams, advance, columns_with
from citytwin.state import State
from validation.case import Row

Array = npt.NDArray[np.float64]
GRAVITY = 9.80665
CLOSED = {"north": "closed", "south": "closed", "east": "closed", "west": "closed"}


def city_of(bed: npt.ArrayLike, cell_size: float) -> City:
    """A city of nothing but ground."""
    ground = Ground(400_000.0, 4_700_000.0, cell_size, {"elevation": np.asarray(bed, dtype=np.float32)})
    return City(Facts("case", "EPSG:32631"), {}, ground)


def across(city: City, column: int) -> list[list[float]]:
    """The line (lon, lat) over all rows of one column of cells."""
    x, y = city.ground.centres()
    lon, lat = city.to_lonlat(np.full(2, x[column]), y[[0, -1]])
    return [[float(a), float(b)] for a, b in zip(lon, lat, strict=True)]


def flooded(
    city: City,
    duration: float,
    every: float,
    seen: Callable[[float, Flood], None] = lambda time, flood: None,
    depth: npt.ArrayLike | None = None,
    **said: Any,
) -> Flood:
    """The flood after `duration` seconds of what a scenario says, from `depth` (m)."""
    state = State(city, columns_with(city.columns))
    if depth is not None:
        state["water_depth"] = np.broadcast_to(np.asarray(depth, dtype=float), city.ground.shape).reshape(-1)
    flood = Flood(Setup(city, FloodParameters.model_validate(said), 0.0, duration, Streams(0)), state)
    advance([flood], state, duration, every, lambda time, _: seen(time, flood))
    return flood


def middle(flood: Flood) -> Array:
    """Depths along the middle row."""
    depth = flood.water.raster(flood.water.depth)
    return np.asarray(depth[depth.shape[0] // 2])


def wave_on_a_plane() -> Iterator[Row]:
    """A non-breaking wave over a horizontal plane (Hunter, Horritt, Bates, Wilson and Werner 2005, Adv. Water Resour. 28).

    Water that moves everywhere with one speed u has no acceleration; friction then balances the slope of the surface,
    dh/dx = -n^2 u^2 / h^(4/3), so h = (7/3 n^2 u^2 (u t - x))^(3/7). It comes in at x = 0 with the depth of that formula.
    """
    n, u, dx, end, length = 0.05, 0.4, 12.5, 3600.0, 2000.0

    def truth(x: npt.ArrayLike, t: float) -> Array:
        return np.asarray((7 / 3 * n**2 * u**2 * np.maximum(u * t - np.asarray(x), 0)) ** (3 / 7))

    times = np.unique(np.concatenate([np.linspace(0, 60, 61), np.arange(60, end + 1, 30)]))
    level = {f"{t!r} s": f"{float(truth(0.0, t))!r} m" for t in times.tolist()}
    city = city_of(np.zeros((3, int(length / dx))), dx)
    flood = flooded(city, end, 600.0, edges=CLOSED, roughness=n, sea=[{"level": level, "edge": "west"}])
    x = np.arange(city.ground.shape[1]) * dx
    got, wanted = middle(flood), truth(x, end)
    name = "wave over a horizontal plane, n 0.05, u 0.4 m/s, 12.5 m cells"
    yield Row(name, "RMSE of depth where wet, share of mean", 0.03, rmse(got[wanted > 0], wanted[wanted > 0]))
    front = x[got > 0.01].max() - u * end
    yield Row(name, "error of the front's place, share of way", 0.03, abs(front) / (u * end))


def rmse(got: Array, wanted: Array) -> float:
    """Root of the mean squared error as a share of the mean of what is wanted."""
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / np.mean(wanted))


def rain_on_a_plane(slope: float, length: float, dx: float, bound: float) -> Iterator[Row]:
    """Rain on a plane: the kinematic wave (Henderson and Wooding 1964, J. Geophys. Res. 69; Woolhiser and Liggett 1967, Water
    Resour. Res. 3). With q = a h^m, a = sqrt(S)/n, m = 5/3: q(L, t) = a (i t)^m until it reaches i L; after the rain stops
    at T: q = i L - i m a^(1/m) q^((m - 1)/m) (t - T).
    """
    n, rain, stops, end, every = 0.05, 60e-3 / 3600, 1800.0, 3600.0, 20.0
    bed = (np.arange(int(length / dx))[::-1] * dx * slope) + np.zeros((3, 1))
    left: list[float] = []
    flooded(
        city_of(bed, dx),
        end,
        every,
        lambda time, flood: left.append(flood.water.account.left),
        edges={**CLOSED, "east": slope},
        roughness=n,
        rain={"intensity": "60 mm/h", "duration": f"{stops} s"},
    )
    a, m = np.sqrt(slope) / n, 5 / 3

    def truth(t: float) -> float:
        if t <= stops:
            return float(min(a * (rain * t) ** m, rain * length))
        later = t - stops
        return float(brentq(lambda q: rain * length - rain * m * a ** (1 / m) * q ** (1 - 1 / m) * later - q, 0, rain * length))

    got = np.diff(left) / every / (3 * dx) / (rain * length)
    wanted = np.array([truth(t) for t in np.arange(every / 2, end, every)]) / (rain * length)
    name = f"rain on a plane, slope {slope:g}, n 0.05, {length:g} m, {dx:g} m cells"
    yield Row(name, "RMSE of outflow, share of equilibrium", bound, float(np.sqrt(np.mean((got - wanted) ** 2))))
    steady = np.flatnonzero(wanted[: int(stops / every)] >= 1.0)
    yield Row(name, "error of equilibrium outflow, share", 0.002, float(abs(got[steady[-1]] - 1)))


def normal_depth() -> Iterator[Row]:
    """Steady uniform flow down a slope has Manning's depth h = (q n / sqrt(S))^(3/5).

    In the first case all tiles step alike; in the others they do not, which costs accuracy in cells beside such a border.
    """
    for slope, q, bound in ((0.001, 2.0, 1e-5), (0.01, 0.1, 0.03), (0.2, 0.01, 0.005)):
        n, dx = 0.04, 10.0
        city = city_of(np.arange(50)[::-1] * dx * slope + np.zeros((3, 1)), dx)
        inflow = [{"across": across(city, 0), "discharge": f"{q * 3 * dx} m3/s"}]
        flood = flooded(city, 7200.0, 600.0, edges={**CLOSED, "east": slope}, roughness=n, inflow=inflow)
        got, wanted = middle(flood)[5:-5], (q * n / np.sqrt(slope)) ** 0.6
        yield Row(f"normal depth, slope {slope:g}, {q:g} m2/s, n 0.04", "largest error of depth, share", bound,
                  float(abs(got / wanted - 1).max()))  # fmt: skip


def steady_flow_over_a_chosen_bed() -> Iterator[Row]:
    """Steady subcritical flow with friction: a depth is chosen, and the bed that has it as its exact solution of the full
    equations follows, S0 = (1 - q^2 / (g h^3)) dh/dx + n^2 q^2 / h^(10/3) (MacDonald, Baines, Nichols and Samuels 1997,
    J. Hydraul. Eng. 123). The local inertial equations leave the term of q^2 / h^3 out: part of the error is theirs.
    """
    q, n, base, length, dx = 2.0, 0.033, 2.0, 1000.0, 10.0
    fine = np.linspace(0, length, 100_001)
    bump = np.exp(-16 * (fine / length - 0.5) ** 2)
    depth = base * (1 + bump / 2)
    bend = base / 2 * bump * -32 * (fine / length - 0.5) / length
    slope = (1 - q**2 / (GRAVITY * depth**3)) * bend + n**2 * q**2 / depth ** (10 / 3)
    bed = -np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(fine))])
    x = (np.arange(int(length / dx)) + 0.5) * dx
    bed_at, wanted = np.interp(x, fine, bed - bed[-1]), np.interp(x, fine, depth)
    city = city_of(bed_at + np.zeros((3, 1)), dx)
    level = float(np.float32(bed_at[-1]) + wanted[-1])
    flood = flooded(
        city, 4 * 3600.0, 600.0, edges=CLOSED, roughness=n,
        inflow=[{"across": across(city, 0), "discharge": f"{q * 3 * dx} m3/s"}],
        sea=[{"edge": "east", "level": f"{level!r} m"}],
    )  # fmt: skip
    yield Row("steady flow over a bed made for it (MacDonald), 10 m cells", "RMSE of depth, share of mean", 0.02,
              rmse(middle(flood), wanted))  # fmt: skip


def swinging_basin() -> Iterator[Row]:
    """The slowest free swing of a closed basin without friction lasts T = 2 L / sqrt(g H) (Merian 1828, in Lamb 1932,
    Hydrodynamics, section 191): after ten periods the surface is where it was, undamped.
    """
    cells, dx, deep, high, periods = 100, 10.0, 10.0, 0.01, 10
    x = (np.arange(cells) + 0.5) * dx
    period = 2 * cells * dx / np.sqrt(GRAVITY * deep)
    start = deep + high * np.cos(np.pi * x / (cells * dx))
    flood = flooded(
        city_of(np.zeros((3, cells)), dx),
        periods * period,
        period,
        depth=start + np.zeros((3, 1)),
        edges=CLOSED,
        roughness=1e-6,
    )
    error = float(np.sqrt(np.mean((middle(flood) - start) ** 2)) / np.sqrt(np.mean((start - deep) ** 2)))
    yield Row("swing of a closed basin, 10 periods, 100 cells", "RMSE of surface, share of swing", 0.01, error)


def rough_ground(seed: int, size: int = 96) -> Array:
    """Random hills, with a hole in the known ground."""
    rng = np.random.default_rng(seed)
    bed = rng.normal(size=(size, size)).cumsum(0).cumsum(1) / size + rng.normal(size=(size, size))
    bed[40:44, 40:50] = np.nan
    return np.asarray(bed)


def rest() -> Iterator[Row]:
    """Water with a level surface over any ground stays at rest, also where the shore cuts through cells."""
    bed = rough_ground(1)
    bed[40:44, 40:50] = 30.0
    level = float(np.quantile(bed, 0.6))
    depth = np.maximum(level - bed.astype(np.float32).astype(np.float64), 0)
    flood = flooded(city_of(bed, 10.0), 3600.0, 600.0, depth=depth, edges=CLOSED)
    after = flood.water.raster(flood.water.depth)
    yield Row(
        "lake at rest over random ground with islands, 1 h",
        "largest change of depth (m)",
        1e-9,
        float(abs(after - depth).max()),
    )
    yield Row(
        "lake at rest over random ground with islands, 1 h", "largest flux (m2/s)", 1e-9, float(abs(flood.water.q_x).max())
    )


def conservation() -> Iterator[Row]:
    """What came in is stored or went out, to rounding, with everything that brings and takes water at work."""
    city = city_of(rough_ground(2), 10.0)
    x, y = city.ground.centres()
    lon, lat = city.to_lonlat(x[70], y[70])
    flood = flooded(
        city, 7200.0, 600.0, rain={"intensity": "100 mm/h"}, drains="10 mm/h",
        inflow=[{"place": [float(lon), float(lat)], "discharge": {"0h": "0 m3/s", "1h": "50 m3/s", "2h": "5 m3/s"}}],
        infiltration={"green_ampt": {"conductivity": "10 mm/h", "suction": "100 mm", "deficit": 0.3}},
        sea=[{"edge": "north", "level": {"0h": "0 m", "1h": "3 m", "2h": "0 m"}}],
    )  # fmt: skip
    yield Row("rain, river, tide, soil and drains on random ground, 2 h", "error of the water balance, share", 1e-12,
              flood.water.balance_error())  # fmt: skip


CASES = [
    rest, conservation, normal_depth, wave_on_a_plane, lambda: rain_on_a_plane(0.02, 200.0, 5.0, 0.02),
    lambda: rain_on_a_plane(0.5, 400.0, 10.0, 0.02), steady_flow_over_a_chosen_bed, swinging_basin,
]  # fmt: skip
