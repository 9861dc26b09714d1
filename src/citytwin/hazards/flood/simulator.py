"""The flood as the loop sees it: what it declares, and how a scenario's forcing and measures reach the water."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from citytwin.city import City, Ground
from citytwin.columns import Column
from citytwin.errors import InputError
from citytwin.hazards.flood.forcing import Forcing
from citytwin.hazards.flood.measures import Measures
from citytwin.hazards.flood.parameters import Breach, FloodParameters, Gate, Pump, Wall
from citytwin.hazards.flood.places import without_sea
from citytwin.hazards.flood.water import Water
from citytwin.sim.spec import Grade, InterventionKind, Setup, Spec, Status
from citytwin.state import State

DEPTH_STEPS = (0.05, 0.1, 0.3, 0.5, 1.0, 2.0, 4.0)
SPEED_STEPS = (0.1, 0.5, 1.0, 2.0, 4.0)
HAZARD_STEPS = (0.3, 0.6, 1.0, 4.0)
"""Limits of depth times speed (m2/s) between the hazard classes of the Australian guideline 7-3 (AIDR 2017)."""

ENOUGH = 0.05
"""Depth (m) from which on water counts as arrived."""

BUILDING_ROUGHNESS = 0.3
"""Manning roughness (s/m^(1/3)) of ground wholly covered by buildings in mode "rough": a convention, not a measurement."""

BUILDING_STEP = 5.0
"""By how much (m) cells that are mostly building are raised in mode "obstacles"."""

COLUMNS = (
    Column("water_depth", "cell", "m", "depth of water on the ground", 0.0, 1000.0, 0.0, "max", "depth", DEPTH_STEPS),
    Column("water_speed", "cell", "m/s", "speed of the water", 0.0, 100.0, 0.0, "max", "speed", SPEED_STEPS),
    Column("water_depth_peak", "cell", "m", "largest depth of water so far", 0.0, 1000.0, 0.0, "max", "depth", DEPTH_STEPS,
           course=False),
    Column("water_hazard_peak", "cell", "m**2/s", "largest depth times speed of the water so far", 0.0, 10000.0, 0.0, "max",
           "hazard", HAZARD_STEPS, course=False),
    Column("water_arrival", "cell", "s", f"first time, after the start, with {ENOUGH} m of water", 0.0, peak="min",
           ramp="level", course=False),
)  # fmt: skip

SPEC = Spec(
    name="flood",
    room="hazard",
    title="Flood",
    params=FloodParameters,
    reads=("water_depth",),
    writes=COLUMNS,
    needs=("cell",),
    optional=("waterway", "water"),
    grade=Grade.VERIFIED,
    source="Local inertial shallow water: Bates, Horritt and Fewtrell 2010 (J. Hydrol. 387, 33-45); de Almeida, Bates, Freer "
    "and Souvignet 2012 (Water Resour. Res. 48, W05528); local time steps after Sanders 2008 (J. Hydraul. Res. 46, 466-475)",
    limits="Water does not carry its momentum around: hydraulic jumps and dam-break fronts are not resolved, and torrents "
    "faster than critical are held back. Sewers are a capacity, not a network. What is narrower than a cell (kerbs, culverts, "
    "small channels) is not there unless a measure says so.",
    interventions=(
        InterventionKind("wall", "Raise a wall", Wall),
        InterventionKind("gate", "Close or open a gate", Gate),
        InterventionKind("breach", "A raised wall fails", Breach),
        InterventionKind("pump", "Run a pump", Pump),
    ),
)


class Flood:
    """Shallow water on the city's ground, from the `water_depth` that the state begins with."""

    spec: ClassVar[Spec] = SPEC

    def __init__(self, setup: Setup, state: State) -> None:
        params: FloodParameters = setup.params
        self._window, ground = _part(setup.city, params.area)
        ground = ground if params.sea else without_sea(setup.city, ground)
        self._city_shape = setup.city.ground.shape
        self.water = Water(_elevation(ground, params), _manning(ground, params), ground.cell_size, _edges(params))
        self.water.set_depth(state.raster("water_depth")[self._window])
        self.forcing = Forcing(setup.city, ground, params, self.water)
        self.measures = Measures(setup.city, ground, self.water, setup.interventions)
        self._first_volume = self.water.volume()
        self._largest_volume = self._first_volume
        n = self.water.depth.size
        self._depth_peak, self._hazard_peak = self.water.depth.astype(np.float32), np.zeros(n, np.float32)
        self._arrival = np.full(n, np.nan, np.float32)

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Let water flow from `begin` to `end` and write depth, speed and their peaks."""
        now = begin
        while now < end - 1e-9:
            self.measures.take(now)
            stop = min(end, self.measures.next_after(now), self.forcing.next_after(now))
            now = self._step(now, stop)
            if not np.isfinite(self.water.deep).all():
                return Status(False, f"the flood became unstable at {now:.1f} s",
                              "look for a spike in the ground, or give a larger roughness", self._numbers())  # fmt: skip
        self._write(state)
        return Status(numbers=self._numbers())

    def _step(self, now: float, stop: float) -> float:
        """One large step from `now`, at most to `stop`: what falls and soaks, then what flows. Returns the new time."""
        water, forcing = self.water, self.forcing
        span = water.plan(stop - now, forcing.rise(now, stop))
        forcing.soak(now, now + span)
        water.flow(forcing.points(now, now + span, self.measures.pumps))
        now = stop if now + span > stop - 1e-6 else now + span
        water.record(self._depth_peak, self._hazard_peak, self._arrival, now, ENOUGH)
        return now

    def _write(self, state: State) -> None:
        water = self.water
        fields = {
            "water_depth": water.raster(water.depth), "water_speed": water.speed(),
            "water_depth_peak": water.raster(self._depth_peak), "water_hazard_peak": water.raster(self._hazard_peak),
            "water_arrival": water.raster(self._arrival),
        }  # fmt: skip
        for name, values in fields.items():
            state.edit(name).reshape(self._city_shape)[self._window] = values
        self._largest_volume = max(self._largest_volume, water.volume())

    def _numbers(self) -> dict[str, float]:
        return {"smallest_step": float(self.water.smallest), "steps": float(self.water.steps)}

    def summary(self, state: State) -> dict[str, Any]:
        """Volumes (m3), their balance, flooded area (m2) by depth, and how the method fared."""
        water, account = self.water, self.water.account
        peak = water.raster(self._depth_peak)[water.raster(water.inside)]
        area = water.dx**2
        limits = [*DEPTH_STEPS, np.inf]
        by_depth = {
            f"{low:g}-{high:g} m" if np.isfinite(high) else f"over {low:g} m": float(
                ((peak >= low) & (peak < high)).sum() * area
            )
            for low, high in pairwise(limits)
        }
        return {
            "volume": {
                "at_start": self._first_volume, "stored": water.volume(), "largest": self._largest_volume,
                "in": {"rain": account.rain, "inflow": account.inflow, "sea": account.sea_in},
                "out": {"edges": account.left, "sea": account.sea_out, "infiltrated": account.infiltrated,
                        "drained": account.drained, "pumped": account.pumped_out},
                "moved_by_pumps": account.pumped,
            },
            "mass_balance_error": water.balance_error(),
            "flooded_area": {"total": float((peak >= DEPTH_STEPS[0]).sum() * area), "by_peak_depth": by_depth},
            "deepest": float(peak.max()) if peak.size else 0.0,
            "smallest_step": float(water.smallest) if np.isfinite(water.smallest) else None,
            "steps": water.steps, "cell_steps": water.cell_steps, "cells": int(water.inside.sum()),
        }  # fmt: skip


def _part(city: City, area: tuple[float, float, float, float] | None) -> tuple[tuple[slice, slice], Ground]:
    """The rows and columns of the ground that `area` (degrees) covers, and the ground cut to them."""
    ground = city.ground
    height, width = ground.shape
    window = (slice(0, height), slice(0, width))
    if area is not None:
        west, south, east, north = area
        if not (west < east and south < north):
            raise InputError(f"{list(area)} is not west, south, east, north", "flood.area")
        x, y = city.from_lonlat([west, west, east, east], [south, north, south, north])
        columns = np.clip((np.array([x.min(), x.max()]) - ground.west) / ground.cell_size, 0, width).round().astype(int)
        rows = np.clip((ground.north - np.array([y.max(), y.min()])) / ground.cell_size, 0, height).round().astype(int)
        window = (slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1])))
    layers = {name: layer[window] for name, layer in ground.layers.items()}
    if layers["elevation"].size == 0 or np.isnan(layers["elevation"]).all():
        raise InputError("no ground with a known elevation lies here", "flood.area" if area else "flood")
    size = ground.cell_size
    return window, Ground(ground.west + window[1].start * size, ground.north - window[0].start * size, size, layers)


def _elevation(ground: Ground, params: FloodParameters) -> npt.NDArray[np.float32]:
    if params.buildings != "obstacles":
        return ground.elevation
    return np.where(ground.layer("building") >= 0.5, ground.elevation + np.float32(BUILDING_STEP), ground.elevation)


def _manning(ground: Ground, params: FloodParameters) -> npt.NDArray[np.float32]:
    bare = np.full(ground.shape, params.roughness, np.float32) if params.roughness else ground.layer("manning")
    manning = np.where(bare > 0, bare, np.float32(0.05)).astype(np.float32)
    if params.buildings != "rough":
        return manning
    share = np.clip(np.nan_to_num(ground.layer("building")), 0, 1)
    return (manning * (1 - share) + np.float32(BUILDING_ROUGHNESS) * share).astype(np.float32)


def _edges(params: FloodParameters) -> dict[str, float | None]:
    said = {"open": -1.0, "closed": None}
    return {side: said[v] if isinstance(v, str) else float(v) for side, v in params.edges}
