"""Where a scenario's water comes from and seeps to: rain, rivers, seas, soil and street drains, brought to the cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city import City, Ground
from citytwin.errors import InputError, MissingError
from citytwin.hazards.flood import soil
from citytwin.hazards.flood.parameters import FloodParameters, Inflow, Rain, Sea, Soil
from citytwin.hazards.flood.places import cell_at, cells_along, cells_in, line_of, polygon_of
from citytwin.hazards.flood.series import Steps
from citytwin.hazards.flood.water import I64, LARGEST_STEP, Points, Water

EDGE_CELLS = {
    "north": (slice(0, 1), slice(None)), "south": (slice(-1, None), slice(None)),
    "west": (slice(None), slice(0, 1)), "east": (slice(None), slice(-1, None)),
}  # fmt: skip


class Forcing:
    """All that puts water onto `water`'s cells or takes it off, but for measures; volumes go to its account."""

    def __init__(self, city: City, ground: Ground, params: FloodParameters, water: Water) -> None:
        self.water = water
        self.rain = _rain_steps(params.rain) if params.rain else None
        if params.rain:
            mask = cells_in(ground, polygon_of(city, params.rain.where)) if params.rain.where else np.ones(ground.shape, bool)
            self.rain_share = (water.padded(mask, False) & water.inside).astype(np.float32)
        self.soil, self.drains = params.infiltration, params.drains
        self._prepare_soil(ground)
        self.inflow = [
            (_inflow_cells(city, ground, water, i, f"flood.inflow[{n}]"), i.discharge) for n, i in enumerate(params.inflow)
        ]
        self.seas = [(_sea_cells(city, ground, water, s, f"flood.sea[{n}]"), s.level) for n, s in enumerate(params.sea)]
        for cells, _ in self.seas:
            water.join(cells)
        times = [t for s in (self.rain, *(s for _, s in self.inflow), *(s for _, s in self.seas)) if s for t in s.times]
        self._times = np.unique(np.array(times, dtype=float))

    def _prepare_soil(self, ground: Ground) -> None:
        self.pervious = np.zeros(1, np.float32)
        self.soaked = np.zeros(0)
        if self.soil is not None or self.drains > 0:
            self.pervious = self.water.padded(1 - np.clip(np.nan_to_num(ground.layer("impervious")), 0, 1), np.float32(1))
        if self.soil is not None and self.soil.green_ampt:
            self.soaked = np.zeros(self.water.depth.size)

    def next_after(self, now: float) -> float:
        """The next time at which a series bends or jumps."""
        later = self._times[self._times > now + 1e-6]
        return float(later[0]) if later.size else np.inf

    def rise(self, now: float, stop: float) -> npt.NDArray[np.float64]:
        """How fast (m/s) water may rise in each tile between now and stop, before any of it flows on."""
        water = self.water
        rise = np.zeros(water.deep.size)
        if self.rain:
            rise += self.rain.total(now, stop) / (stop - now)
        for cells, series in self.inflow:
            most = max(float(series.at(now)), float(series.at(stop)))
            np.maximum.at(rise, water.tile_of(cells), most / (cells.size * water.dx**2))
        for cells, series in self.seas:
            level = max(float(series.at(now)), float(series.at(stop)))
            lacking = np.maximum(level - water.surface[cells], 0.0)
            np.maximum.at(rise, water.tile_of(cells), lacking / LARGEST_STEP)
            np.maximum.at(water.deep, water.tile_of(cells), np.maximum(level - water.bed[cells], 0).astype(np.float32))
        return rise

    def points(self, begin: float, end: float, pumps: tuple[I64, I64, npt.NDArray[np.float64]]) -> Points:
        """Sources in single cells, at their means over begin ... end."""
        area = self.water.dx**2
        points = Points(pumps=pumps)
        if self.inflow:
            rates = [np.full(c.size, s.mean(begin, end) / (c.size * area)) for c, s in self.inflow]
            points.inflow = np.concatenate([c for c, _ in self.inflow]), np.concatenate(rates)
        if self.seas:
            levels = [np.full(c.size, s.mean(begin, end)) for c, s in self.seas]
            points.levels = np.concatenate([c for c, _ in self.seas]), np.concatenate(levels)
        return points

    def soak(self, begin: float, end: float) -> None:
        """Rain, infiltration and drains between begin and end, on all cells."""
        water, span = self.water, end - begin
        rain = self.rain.total(begin, end) if self.rain else 0.0
        taken, drains = _soil_depth(self.soil, begin, end), self.drains * span
        green = self.soil.green_ampt if self.soil else None
        if not (rain or taken or drains or green):
            return
        sums = np.zeros((water.first.size, 3))
        cells = (water.bed, water.depth, water.surface)
        first = water.first.reshape(-1)
        share = self.rain_share if self.rain else water.nothing
        soil.soak(first, water.width, cells, share, rain, self.pervious, taken, drains, sums, water.deep)
        if green:
            store = green.suction * green.deficit
            soil.soak_green_ampt(first, water.width, cells, self.pervious, green.conductivity, store, self.soaked, span, sums)
        fallen, soaked, drained = sums.sum(axis=0) * water.dx**2
        water.account.rain += float(fallen)
        water.account.infiltrated += float(soaked)
        water.account.drained += float(drained)


def _rain_steps(rain: Rain) -> Steps:
    if rain.series:
        return Steps(tuple(t + rain.begin for t in rain.series.times), rain.series.values)
    return Steps((rain.begin, rain.begin + rain.duration), (float(rain.intensity or 0.0), 0.0))


def _soil_depth(soil: Soil | None, begin: float, end: float) -> float:
    """Depth (m) that pervious ground can take between begin and end, for laws that depend on time alone."""
    if soil is None or soil.green_ampt:
        return 0.0
    if soil.horton:
        h = soil.horton
        return float(
            h.last * (end - begin) + (h.first - h.last) / h.decay * (np.exp(-h.decay * begin) - np.exp(-h.decay * end))
        )
    return float(soil.rate or 0.0) * (end - begin)


def _inflow_cells(city: City, ground: Ground, water: Water, inflow: Inflow, where: str) -> I64:
    if inflow.place:
        return water.cell(*cell_at(city, ground, inflow.place, where)).reshape(1)
    if inflow.across:
        rows, columns = cells_along(ground, line_of(city, inflow.across))
    else:
        rows, columns = _upper_end(city, ground, str(inflow.waterway), where)
    known = ~np.isnan(ground.elevation[rows, columns])
    rows, columns = rows[known], columns[known]
    if not rows.size:
        raise InputError("lies wholly outside the simulated ground", where)
    channel = ground.layer("water")[rows, columns] > 0
    return water.cell(rows[channel], columns[channel]) if channel.any() else water.cell(rows, columns)


def _upper_end(city: City, ground: Ground, key: str, where: str) -> tuple[I64, I64]:
    """Cells across a waterway at the higher of its two ends that lie on the ground."""
    try:
        thing = city.table("waterway").iloc[city.row("waterway", key)]
    except MissingError as error:
        raise InputError(error.message, where, error.hint) from error
    points = np.asarray(shapely.points(shapely.get_coordinates(thing.geometry)))
    rows = ground.rows(shapely.get_x(points), shapely.get_y(points))
    level = np.where(rows >= 0, ground.elevation.reshape(-1)[np.maximum(rows, 0)], np.nan)
    on_ground = np.flatnonzero(~np.isnan(level))
    if not on_ground.size:
        raise InputError(f'waterway "{key}" lies wholly outside the simulated ground', where)
    first, last = on_ground[0], on_ground[-1]
    end = points[first] if level[first] >= level[last] else points[last]
    width = float(thing.get("width", np.nan))
    reach = max(width / 2 if np.isfinite(width) else 0.0, ground.cell_size * 0.75)
    found_rows, found_columns = np.nonzero(cells_in(ground, shapely.buffer(end, reach)))
    return found_rows.astype(np.int64), found_columns.astype(np.int64)


def _sea_cells(city: City, ground: Ground, water: Water, sea: Sea, where: str) -> I64:
    mask = np.zeros(ground.shape, np.bool_)
    if sea.edge:
        mask[EDGE_CELLS[sea.edge]] = True
    elif sea.where:
        mask = cells_in(ground, polygon_of(city, sea.where))
    else:
        try:
            mask = cells_in(ground, city.table("water").geometry.iloc[city.row("water", str(sea.water))])
        except MissingError as error:
            raise InputError(error.message, where, error.hint) from error
    rows, columns = np.nonzero(mask & ~np.isnan(ground.elevation))
    if not rows.size:
        raise InputError("holds no cell of the simulated ground", where)
    return water.cell(rows, columns)
