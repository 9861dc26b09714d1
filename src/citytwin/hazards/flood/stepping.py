"""One large step of the flood: substeps in which tiles are due or not, sources in single cells, open edges, peaks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from citytwin.hazards.flood.kernel import (
    FILM,
    GRAVITY,
    HALF,
    TILE,
    ZERO,
    Cells,
    Double,
    Flags,
    Number,
    Single,
    Whole,
    all_cells,
    all_faces,
    all_shares,
    cube_root,
)  # fmt: skip
from citytwin.sim.jit import kernel, parallel


@kernel
def outflow_flux(depth: Number, roughness: Number, slope: Number) -> Number:
    """Flux (m2/s) over an open edge: normal flow on `slope` (Manning), or a free fall at critical depth if it is negative."""
    wet = max(depth, FILM)
    most = wet * np.sqrt(GRAVITY * wet)
    root = cube_root(wet)
    normal = wet * root * root * np.sqrt(max(slope, ZERO) / max(roughness, np.float32(1e-12)))
    new = most if slope < ZERO else min(normal, most)
    return new if depth > FILM else ZERO


@kernel
def edge_fluxes(edges: Whole, slopes: Single, due: Flags, depth: Double, roughness: Single, flux: Single) -> None:
    """Fluxes (m2/s) that want to leave over open edges. edges: rows of (cell, face, is it a y-face, sign outwards, tile)."""
    for i in range(edges.shape[0]):
        if due[edges[i, 4]]:
            c = edges[i, 0]
            flux[i] = outflow_flux(np.float32(depth[c]), roughness[c], slopes[i])


@kernel
def open_edges(edges: Whole, flux: Single, due: Flags, dt: Single, cells: Cells, q_x: Single, q_y: Single, dx: Number) -> float:
    """Let water leave over open edges, never more than there is. Returns the depths of water that left, summed (m)."""
    bed, depth, surface = cells
    gone = 0.0
    for i in range(edges.shape[0]):
        c, face, is_y, sign, t = edges[i]
        if due[t]:
            out = min(np.float64(flux[i]) * np.float64(dt[t] / dx), depth[c])
            gone += out
            depth[c] -= out
            surface[c] = np.float64(bed[c]) + depth[c]
            if is_y:
                q_y[face] = np.float32(sign) * flux[i]
            else:
                q_x[face] = np.float32(sign) * flux[i]
    return gone


@kernel
def point_sources(
    cells: Cells,
    inflow: tuple[Whole, Double],
    levels: tuple[Whole, Double],
    pumps: tuple[Whole, Whole, Double],
    dt: float,
    account: Double,
) -> None:
    """Water that people, rivers and the sea put into or take out of single cells in one step.

    inflow: cells and rates (m/s). levels: cells and surfaces that are held (m). pumps: cells, outlet cells (-1: out of the
    city) and rates (m/s). account: summed depths (m) of inflow, level inwards, level outwards, pumped out, pumped in all.
    """
    bed, depth, surface = cells
    at, rate = inflow
    for i in range(at.size):
        depth[at[i]] += rate[i] * dt
        surface[at[i]] = np.float64(bed[at[i]]) + depth[at[i]]
        account[0] += rate[i] * dt
    held, level = levels
    for i in range(held.size):
        c = held[i]
        new = max(level[i] - np.float64(bed[c]), 0.0)
        account[1 if new > depth[c] else 2] += abs(new - depth[c])
        depth[c] = new
        surface[c] = np.float64(bed[c]) + new
    source, outlet, wanted = pumps
    for i in range(source.size):
        c, to = source[i], outlet[i]
        taken = min(wanted[i] * dt, depth[c])
        depth[c] -= taken
        surface[c] = np.float64(bed[c]) + depth[c]
        account[4] += taken
        if to >= 0:
            depth[to] += taken
            surface[to] = np.float64(bed[to]) + depth[to]
        else:
            account[3] += taken


@kernel
def due_tiles(k: int, active: Whole, level: Whole, across: int, due: Flags, chosen: Whole) -> int:
    """Mark the tiles that are due in substep k, the first of their span; choose them and those beside them.

    Returns how many were chosen.
    """
    for t in active:
        due[t] = (k & ((1 << level[t]) - 1)) == 0
    n = 0
    for t in active:
        if due[t] or due[t - 1] or due[t + 1] or due[t - across] or due[t + across]:
            chosen[n] = t
            n += 1
    return n


@kernel
def run_substeps(
    substeps: int, fine: float, tiling: Any, water: Any, edges: Whole, slopes: Single, sources: Any, account: Double, dx: Number
) -> None:
    """Advance by `substeps` times `fine` seconds; the number is a power of two that every tile's step divides.

    tiling: active, level, due, dt, first, deep, courant, across, width. water: cells, crest_x, crest_y, rough_x, rough_y,
    roughness, q_x, q_y, moved_x, moved_y, share. edges, slopes: as `edge_fluxes` wants them. sources: inflow, levels, pumps.
    """
    active, level, due, dt, first, deep, courant, across, width = tiling
    cells, crest_x, crest_y, rough_x, rough_y, roughness, q_x, q_y, moved_x, moved_y, share = water
    chosen = np.empty(active.size, np.int64)
    edge_flux = np.empty(edges.shape[0], np.float32)
    for k in range(substeps):
        point_sources(cells, sources[0], sources[1], sources[2], fine, account)
        n = due_tiles(k, active, level, across, due, chosen)
        tiles = chosen[:n]
        all_faces(tiles, first, across, due, dt, width, cells[2], (crest_x, rough_x, q_x, moved_x),
                  (crest_y, rough_y, q_y, moved_y), dx)  # fmt: skip
        edge_fluxes(edges, slopes, due, cells[1], roughness, edge_flux)
        all_shares(tiles, first, across, due, dt, width, moved_x, moved_y, cells[1], share, courant)
        all_cells(tiles, first, across, due, dt, width, moved_x, moved_y, share, cells, q_x, q_y, deep, dx)
        account[5] += open_edges(edges, edge_flux, due, dt, cells, q_x, q_y, dx)


@parallel
def record_peaks(
    active: Whole,
    first: Whole,
    width: int,
    depth: Double,
    q_x: Single,
    q_y: Single,
    depth_peak: Single,
    hazard_peak: Single,
    arrival: Single,
    now: Number,
    enough: Number,
) -> None:
    """Keep each cell's largest depth (m), largest depth times speed (m2/s) and first time with `enough` depth (s)."""
    for i in prange(active.size):
        start = first[active[i]]
        for row in range(TILE):
            for c in range(start + row * width, start + row * width + TILE):
                h = np.float32(depth[c])
                x, y = HALF * (q_x[c] + q_x[c + 1]), HALF * (q_y[c] + q_y[c + width])
                depth_peak[c] = max(depth_peak[c], h)
                hazard_peak[c] = max(hazard_peak[c], np.sqrt(x * x + y * y))
                if h >= enough and np.isnan(arrival[c]):
                    arrival[c] = now
