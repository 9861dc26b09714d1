"""The plan of a made city: how big, where, facing which sea; and the named random streams that everything is drawn from.

While it is being made, a city lies in local metres around its centre (0, 0); `Plan.origin` moves it to its UTM zone.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

MOST_PEOPLE = 20_000_000
MOST_DEVICES = 20_000_000
LEAST_RADIUS = 240.0  # m
MOST_CELLS = 3_800_000
CELL_SIZES = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0, 100.0)

# The open North Atlantic, some 900 km from any land: nobody's home can be mistaken for a made one.
CRS = "EPSG:32627"
ORIGIN = (500_000.0, 4_983_000.0)  # UTM zone 27N; about 21 degrees west, 45 degrees north

_FIRST = ("Port", "Saint", "New", "Upper", "Great", "Lower")
_SECOND = (
    "Avenmere",
    "Ormsey",
    "Velden Rae",
    "Harlowick",
    "Merrowin",
    "Tarnhaven",
    "Calderney",
    "Wyrmouth",
    "Ellismar",
    "Sorrelby",
)


@dataclass(frozen=True)
class Plan:
    """What is settled before anything is drawn.

    radius: about how far the built-up land reaches from the centre (m). inland, along: unit vectors away from the sea
    and along the coast; inland is within 25 degrees of east, north, west or south as `quarter` is 0, 1, 2 or 3.
    bounds: west, south, east, north of the ground in local metres, whole cells.
    """

    people: int
    devices: int
    seed: int
    name: str
    radius: float
    cell_size: float
    inland: tuple[float, float]
    along: tuple[float, float]
    bounds: tuple[float, float, float, float]
    quarter: int
    origin: tuple[float, float] = ORIGIN

    def stream(self, name: str) -> np.random.Generator:
        """The random generator called `name`: the same for the same seed, whatever else is drawn."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, zlib.crc32(name.encode())])))

    def axes(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Metres inland and metres along the coast of points x, y, both from the centre."""
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        return x * self.inland[0] + y * self.inland[1], x * self.along[0] + y * self.along[1]

    def place(self, n: npt.ArrayLike, t: npt.ArrayLike) -> Floats:
        """x, y (k, 2) of points given by metres inland and along the coast."""
        n, t = np.asarray(n, dtype=float), np.asarray(t, dtype=float)
        return np.stack([n * self.inland[0] + t * self.along[0], n * self.inland[1] + t * self.along[1]], axis=-1)


def make_plan(people: int, devices: int, seed: int, name: str | None) -> Plan:
    """Check what is asked for and settle size, place and name. Raises InputError."""
    _check("people", people, 1, MOST_PEOPLE)
    _check("devices", devices, 0, MOST_DEVICES)
    _check("seed", seed, 0, 2**63 - 1)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(b"plan")])))
    # Gross density of built-up land grows with the size of a town: a rule that gives 2,400 people/km2 at 500 people and
    # 5,400 at 100,000; two thirds of the circle are land that is not sea, river or port.
    density = 5400.0 * (people / 1e5) ** 0.15
    radius = max(LEAST_RADIUS, 1000.0 * math.sqrt(people / density / (0.60 * math.pi)))
    turn = float(rng.uniform(-0.4, 0.4))
    quarter = int(rng.integers(0, 4))
    angle = quarter * math.pi / 2 + turn
    inland, along = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    bounds, cell_size = _bounds(radius, quarter)
    chosen = f"{_FIRST[int(rng.integers(len(_FIRST)))]} {_SECOND[int(rng.integers(len(_SECOND)))]}"
    return Plan(people, devices, seed, (name or "").strip() or chosen, radius, cell_size, inland, along, bounds, quarter)


def resized(plan: Plan, factor: float) -> Plan:
    """The same plan for a city that reaches `factor` times as far."""
    radius = max(LEAST_RADIUS, plan.radius * factor)
    bounds, cell_size = _bounds(radius, plan.quarter)
    return replace(plan, radius=radius, bounds=bounds, cell_size=cell_size)


def _check(what: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{what} is {value!r}, not a whole number", "a made city")
    if not low <= value <= high:
        raise InputError(f"{what} is {value}", "a made city", f"allowed: {low} to {high}")


def _bounds(radius: float, quarter: int) -> tuple[tuple[float, float, float, float], float]:
    """The ground: more land than sea, in whole cells, and never more than MOST_CELLS."""
    room = max(radius, 600.0)
    seaward, landward, sideways = 1.05 * room, 1.5 * room, 1.45 * room
    sides = [landward, sideways, seaward, sideways]  # beyond the centre, turning left from the inland side
    east, north, west, south = (sides[(k - quarter) % 4] for k in range(4))
    size = next((c for c in CELL_SIZES if (east + west) * (north + south) / c**2 <= MOST_CELLS), CELL_SIZES[-1])
    west, south, east, north = (math.ceil(side / size) * size for side in (west, south, east, north))
    return (-west, -south, east, north), size
