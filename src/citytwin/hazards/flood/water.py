"""Water on a raster: the arrays of the kernels, and how long each tile may step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from citytwin.hazards.flood import stepping
from citytwin.hazards.flood.kernel import CLOSED, FILM, GRAVITY, TILE
from citytwin.sim.jit import use_threads

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

LARGEST_STEP = 30.0
"""No tile steps longer than this (s), so that rain and the sea come in small doses."""

FINEST = 5
"""A tile may step up to 2 ** FINEST times longer than the one that steps shortest."""

WAVE_SHARE = 0.6
"""Largest dt sqrt(g h) / dx. The linear scheme in two dimensions is stable up to 1 / sqrt(2) = 0.707; some is kept for water
that deepens before the next choice of steps."""

FASTEST = 8.0
"""Cells that seem to drain faster than this times critical flow hold next to nothing: the cap on what leaves them is enough."""

TILES_A_THREAD = 32
"""Below this number of active tiles for each thread, starting threads costs more than they save."""

DRAIN_SHARE = 2.0 / 3.0
"""Largest part of its water that a cell gives in a step: a wave of friction runs up to 3/2 times as fast as critical flow."""


@dataclass
class Account:
    """Volumes (m3) since the start, by where they came from or went to."""

    rain: float = 0.0
    inflow: float = 0.0
    sea_in: float = 0.0
    sea_out: float = 0.0
    pumped_out: float = 0.0
    pumped: float = 0.0
    left: float = 0.0
    infiltrated: float = 0.0
    drained: float = 0.0

    @property
    def came(self) -> float:
        """Volume that came in."""
        return self.rain + self.inflow + self.sea_in

    @property
    def went(self) -> float:
        """Volume that went out."""
        return self.sea_out + self.pumped_out + self.left + self.infiltrated + self.drained


@dataclass
class Points:
    """Single cells where water is put in or taken out. inflow: cells, m/s. levels: cells, m. pumps: cells, outlets, m/s."""

    inflow: tuple[I64, F64] = field(default_factory=lambda: (np.empty(0, np.int64), np.empty(0)))
    levels: tuple[I64, F64] = field(default_factory=lambda: (np.empty(0, np.int64), np.empty(0)))
    pumps: tuple[I64, I64, F64] = field(default_factory=lambda: (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)))


class Water:
    """Depth and flux of water over square cells, and the account of where it came from and went to.

    elevation: (height, width) in m, NaN outside the domain; water leaves freely over that border, and over the outer
    edges as `edges` says: by name (north, east, south, west) a slope (normal flow on it), -1 (free fall) or None (closed).
    manning: s/m^(1/3). All cells that methods take are flat indices of the padded arrays: see `cell`.
    """

    def __init__(
        self, elevation: npt.ArrayLike, manning: npt.ArrayLike, cell_size: float, edges: dict[str, float | None] | None = None
    ) -> None:
        ground = np.asarray(elevation, dtype=np.float32)
        self.shape = (int(ground.shape[0]), int(ground.shape[1]))
        self.dx = float(cell_size)
        tiles_down, tiles_across = -(-self.shape[0] // TILE), -(-self.shape[1] // TILE)
        self.width = tiles_across * TILE + 2
        self.rows = tiles_down * TILE + 2
        self.inside = self.padded(~np.isnan(ground), False)
        self.bed = self.padded(np.nan_to_num(ground), np.float32(0))
        self.roughness = self.padded(np.asarray(manning, dtype=np.float32) ** 2, np.float32(0))
        n = self.rows * self.width
        self.depth, self.surface = np.zeros(n), self.bed.astype(np.float64)
        self.q_x, self.q_y, self.moved_x, self.moved_y = (np.zeros(n, np.float32) for _ in range(4))
        self.share = np.ones(n, np.float32)
        self.crest_x, self.rough_x = self._faces(1)
        self.crest_y, self.rough_y = self._faces(self.width)
        self._lay_tiles(tiles_down, tiles_across)
        self.edges, self.slopes = self._open_edges(edges if edges is not None else dict.fromkeys(SIDES, -1.0))
        self.account = Account()
        self.nothing = np.zeros(n, np.float32)
        self.active = np.empty(0, np.int64)
        self.substeps, self.fine = 1, LARGEST_STEP
        self._sums = np.zeros(6)
        self._start_volume = 0.0
        self.steps, self.cell_steps, self.smallest = 0, 0, np.inf

    def padded(self, raster: npt.NDArray[Any], outside: Any) -> npt.NDArray[Any]:
        """`raster` of shape (height, width) as a flat array with its ring and the rest of the last tiles `outside`."""
        full = np.full((self.rows, self.width), outside, dtype=raster.dtype)
        full[1 : self.shape[0] + 1, 1 : self.shape[1] + 1] = raster
        return full.reshape(-1)

    def raster(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A flat array as a view of shape (height, width)."""
        return flat.reshape(self.rows, self.width)[1 : self.shape[0] + 1, 1 : self.shape[1] + 1]

    def cell(self, row: npt.ArrayLike, column: npt.ArrayLike) -> I64:
        """Flat index of the cell at (row, column) of the raster."""
        return np.asarray((np.asarray(row) + 1) * self.width + np.asarray(column) + 1, dtype=np.int64)

    def _faces(self, step: int) -> tuple[F32, F32]:
        """Crest and mean roughness of the faces between cells c - step and c, as the bare ground has them."""
        crest = np.full(self.bed.size, CLOSED, np.float32)
        rough = np.ones(self.bed.size, np.float32)
        joined = self.inside[step:] & self.inside[:-step]
        crest[step:] = np.where(joined, np.maximum(self.bed[step:], self.bed[:-step]), CLOSED)
        rough[step:] = (self.roughness[step:] + self.roughness[:-step]) / np.float32(2)
        return crest, rough

    def _lay_tiles(self, down: int, across: int) -> None:
        self.across = across + 2
        self.first = np.full((down + 2, across + 2), -1, np.int64)
        tile_rows, tile_columns = np.mgrid[0:down, 0:across]
        self.first[1:-1, 1:-1] = (1 + tile_rows * TILE) * self.width + 1 + tile_columns * TILE
        n = self.first.size
        self.deep, self.courant = np.zeros(n, np.float32), np.zeros(n, np.float32)
        self.step = np.full(n, np.float32(LARGEST_STEP))
        self.level, self.due = np.zeros(n, np.int64), np.zeros(n, np.bool_)

    def tile_of(self, cell: npt.ArrayLike) -> I64:
        """The tile that holds each cell."""
        row, column = np.divmod(np.asarray(cell), self.width)
        return np.asarray(((row - 1) // TILE + 1) * self.across + (column - 1) // TILE + 1, dtype=np.int64)

    def _open_edges(self, edges: dict[str, float | None]) -> tuple[I64, F32]:
        """Rows (cell, face, is it a y-face, sign of outwards, tile) and slopes of all faces that water may leave over."""
        found, slopes = [], []
        cells = np.flatnonzero(self.inside)
        row, column = np.divmod(cells, self.width)
        at_edge = {"west": column == 1, "east": column == self.shape[1], "north": row == 1, "south": row == self.shape[0]}
        for side, (beyond, face, is_y, sign) in SIDES.items():
            step, face_step = beyond[0] * self.width + beyond[1], face[0] * self.width + face[1]
            slope = edges.get(side)
            leaves = ~self.inside[cells + step] & (~at_edge[side] | (slope is not None))
            c = cells[leaves]
            found.append(np.stack([c, c + face_step, np.full_like(c, is_y), np.full_like(c, sign), self.tile_of(c)], axis=1))
            slopes.append(np.where(at_edge[side][leaves], np.float32(slope if slope is not None else -1), np.float32(-1)))
        return np.concatenate(found), np.concatenate(slopes).astype(np.float32)

    def set_depth(self, depth: npt.ArrayLike) -> None:
        """Start from `depth` (height, width) in m, at rest; NaN and what lies outside the domain hold nothing."""
        wanted = np.maximum(np.nan_to_num(np.asarray(depth, dtype=np.float64)), 0.0)
        self.depth[:] = np.where(self.inside, self.padded(wanted, 0.0), 0.0)
        self.surface[:] = self.bed + self.depth
        self.q_x[:], self.q_y[:] = 0, 0
        for t in np.flatnonzero(self.first >= 0):
            self.deep[t] = self._tile(self.depth, t).max()
        self._start_volume = self.volume()

    def _tile(self, flat: npt.NDArray[Any], tile: Any) -> npt.NDArray[Any]:
        row, column = np.divmod(self.first.flat[tile], self.width)
        return flat.reshape(self.rows, self.width)[row : row + TILE, column : column + TILE]

    def volume(self) -> float:
        """Water on the ground now (m3)."""
        return float(np.sum(self.depth.reshape(self.rows, self.width).sum(axis=1))) * self.dx**2

    def balance_error(self) -> float:
        """What the account misses of what is stored, as a share of all water that was there or came in."""
        expected = self._start_volume + self.account.came - self.account.went
        handled = self._start_volume + self.account.came
        return abs(self.volume() - expected) / handled if handled > 0 else 0.0

    def plan(self, most: float, rise: F64) -> float:
        """Choose every tile's step for a time of at most `most` seconds; returns that time.

        rise: depth (m/s) that each tile may gain from outside.
        """
        wet = (self.deep + rise * LARGEST_STEP > FILM) & (self.first.reshape(-1) >= 0)
        near = maximum_filter(wet.reshape(self.first.shape), 3, mode="constant") & (self.first >= 0)
        self.active = np.flatnonzero(near).astype(np.int64)
        may = self._allowed_steps(wet, rise)
        finest = float(may.min())
        span = min(finest * 2**FINEST, LARGEST_STEP, most)
        span = most / float(np.ceil(most / span - 1e-9))
        halvings = max(int(np.ceil(np.log2(span / finest) - 1e-9)), 0)
        self.substeps, self.fine = 2**halvings, span / 2**halvings
        level = np.clip(np.floor(np.log2(may / self.fine) + 1e-6), 0, halvings).astype(np.int64).reshape(self.first.shape)
        for _ in range(halvings):
            level = np.minimum(level, minimum_filter(level, 3, mode="nearest") + 1)
        self.level[:] = level.reshape(-1)
        self.step[:] = np.float32(self.fine) * np.float32(2) ** self.level.astype(np.float32)
        self.due[:] = False
        return span

    def _allowed_steps(self, wet: npt.NDArray[np.bool_], rise: F64) -> F64:
        """The longest step (s) that each tile may take."""
        by_drain = np.full(wet.size, LARGEST_STEP)
        drains = wet & (self.courant > 0)
        by_drain[drains] = DRAIN_SHARE * self.step[drains] / self.courant[drains]
        span = LARGEST_STEP
        for _ in range(4):  # water that comes in during the step deepens the tile: shorter steps, less of it
            deep = self.deep + rise * span
            by_wave = WAVE_SHARE * self.dx / np.sqrt(GRAVITY * np.maximum(deep, FILM))
            by_speed = np.maximum(by_drain, by_wave / FASTEST)
            may = np.where(wet, np.minimum(np.minimum(by_speed, by_wave), LARGEST_STEP), LARGEST_STEP)
            span = min(float(may.min()) * 2**FINEST, LARGEST_STEP)
        return may.astype(np.float64)

    def flow(self, points: Points) -> None:
        """Let water flow for the time that was planned, with what `points` put in and take out."""
        cells = (self.bed, self.depth, self.surface)
        tiling = (self.active, self.level, self.due, self.step, self.first.reshape(-1), self.deep, self.courant, self.across,
                  self.width)  # fmt: skip
        water = (cells, self.crest_x, self.crest_y, self.rough_x, self.rough_y, self.roughness, self.q_x, self.q_y,
                 self.moved_x, self.moved_y, self.share)  # fmt: skip
        self._sums[:] = 0
        use_threads(self.active.size // TILES_A_THREAD)
        stepping.run_substeps(self.substeps, self.fine, tiling, water, self.edges, self.slopes,
                            (points.inflow, points.levels, points.pumps), self._sums, np.float32(self.dx))  # fmt: skip
        self._book()
        if self.active.size:
            self.steps += self.substeps
            self.smallest = min(self.smallest, self.fine)
            self.cell_steps += int((self.substeps >> self.level[self.active]).sum()) * TILE * TILE

    def record(self, depth_peak: F32, hazard_peak: F32, arrival: F32, now: float, enough: float) -> None:
        """Keep largest depths, largest depth times speed and first times with `enough` water, cell by cell."""
        stepping.record_peaks(self.active, self.first.reshape(-1), self.width, self.depth, self.q_x, self.q_y, depth_peak,
                            hazard_peak, arrival, np.float32(now), np.float32(enough))  # fmt: skip

    def raise_faces(self, west: I64, north: I64, height: float) -> None:
        """Put a barrier of `height` (m) above the ground on west and north faces of these cells; inf closes them."""
        for crest, cells, step in ((self.crest_x, west, 1), (self.crest_y, north, self.width)):
            ground = np.maximum(self.bed[cells], self.bed[cells - step])
            crest[cells] = np.maximum(crest[cells], np.minimum(ground + np.float32(height), CLOSED))

    def bare_faces(self, west: I64, north: I64) -> None:
        """Take all barriers off the west and north faces of these cells."""
        for crest, cells, step in ((self.crest_x, west, 1), (self.crest_y, north, self.width)):
            joined = self.inside[cells] & self.inside[cells - step]
            crest[cells] = np.where(joined, np.maximum(self.bed[cells], self.bed[cells - step]), CLOSED)

    def join(self, cells: I64) -> None:
        """Close the faces between `cells` whose level is given: nothing needs to flow inside a sea."""
        held = np.zeros(self.bed.size, np.bool_)
        held[cells] = True
        for crest, step in ((self.crest_x, 1), (self.crest_y, self.width)):
            crest[cells[held[cells - step]]] = CLOSED

    def _book(self) -> None:
        area = self.dx**2
        inflow, sea_in, sea_out, pumped_out, pumped, left = (float(v) * area for v in self._sums)
        a = self.account
        a.inflow += inflow
        a.sea_in += sea_in
        a.sea_out += sea_out
        a.pumped_out += pumped_out
        a.pumped += pumped
        a.left += left

    def speed(self) -> F32:
        """Speed of the water (m/s) as a raster: mean of opposite faces' fluxes over depth; 0 below a mm."""
        x = (self.raster(self.q_x) + self.raster(np.roll(self.q_x, -1))) / 2
        y = (self.raster(self.q_y) + self.raster(np.roll(self.q_y, -self.width))) / 2
        depth = self.raster(self.depth)
        return np.where(depth > 1e-3, np.hypot(x, y) / np.maximum(depth, 1e-3), 0.0).astype(np.float32)


SIDES = {
    # side: cell beyond, face (both as row, column steps), is it a y-face, sign of outwards
    "west": ((0, -1), (0, 0), 0, -1),
    "east": ((0, 1), (0, 1), 0, 1),
    "north": ((-1, 0), (0, 0), 1, -1),
    "south": ((1, 0), (1, 0), 1, 1),
}
