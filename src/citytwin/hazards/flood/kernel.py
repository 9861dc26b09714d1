"""The equations of the flood, one function each, and the loops that call them tile by tile.

The method is the local inertial approximation of the two-dimensional shallow water equations on square cells with
fluxes on the faces between them (Bates, Horritt and Fewtrell 2010, J. Hydrol. 387, 33-45; weighted with the neighbouring
fluxes as in de Almeida, Bates, Freer and Souvignet 2012, Water Resour. Res. 48, W05528). Friction is taken at the new
time, which is the root of a quadratic equation, so that a film on a steep slope runs at Manning's speed for any step.
Tiles step with their own power-of-two share of the largest step, a face steps with the finer
of its two tiles (Sanders 2008, J. Hydraul. Res. 46, 466-475).

Arrays are flat. A cell's index is `c`; its west face is x-face `c`, its north face y-face `c`; `width` is one row.
A ring of cells that no tile owns surrounds the grid. `surface` and `depth` are float64, everything else float32.
`moved` is the depth of water (m) that passes a face in one step, positive to the east or south.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from citytwin.sim.jit import kernel, parallel

Single = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Number = Any
"""A float32 inside compiled code; any number when the same functions run as Python."""

Row4 = tuple[Single, Single, Single, Single]
Faces = tuple[Single, Single, Single, Single]
Cells = tuple[Single, Double, Double]
Sides = tuple[bool, bool, bool, bool]

TILE = 32
CLOSED = np.float32(1e30)
"""Crest of a face that nothing passes."""

FILM = np.float32(1e-4)
"""Water thinner than this (m) over a face does not run."""

SHALLOW = np.float32(1e-3)
"""Cells with less water than this (m) do not decide the time step by how fast they drain."""

GRAVITY = np.float32(9.80665)
ZERO, HALF, ONE, TWO, THIRD = (np.float32(v) for v in (0.0, 0.5, 1.0, 2.0, 1.0 / 3.0))
KEPT = np.float32(1.0 - 1e-6)
"""A draining cell keeps this little more than nothing, so that rounding never takes more than there is."""

CUBE_ROOT_BIAS = np.int32(round((127 - 127 / 3) * 2**23))
"""A float32 with exponent e has bits near (127 + e) 2^23; a third of them plus this has exponent e / 3."""


@kernel
def cube_root(x: Number) -> Number:
    """Cube root of a positive float32: exponent divided by three, then three steps of Halley's iteration."""
    t = np.int32((np.float32(x).view(np.int32) // np.int32(3)) + CUBE_ROOT_BIAS).view(np.float32)
    for _ in range(3):
        cube = t * t * t
        t = t * (cube + TWO * x) / (TWO * cube + x)
    return t


@kernel
def face_flux(fall: Number, depth: Number, q: Number, q_around: Number, roughness: Number, dt: Number, dx: Number) -> Number:
    """Flux (m2/s) over a face at the new time.

    fall: surface on the far side minus surface on the near side (m). depth: highest surface minus crest (m, Bates et al.
    2010, eq. 8). q, q_around: the old flux here, and the mean of its two neighbours along the flow. roughness: Manning's
    n squared. The weight of q falls with the water's own speed, dt/dx min(|u|, sqrt(g h)) (as in LISFLOOD-FP 8, Shaw et
    al. 2021, Geosci. Model Dev. 14, 3577-3602). Flow is never faster than critical (Froude number 1).
    """
    wet = max(depth, FILM)
    wave = np.sqrt(GRAVITY * wet)
    away = min(abs(q) / wet, wave) * dt / dx
    drive = (ONE - away) * q + away * q_around - GRAVITY * wet * dt * fall / dx
    drag = GRAVITY * roughness / (wet * cube_root(wet))
    new = TWO * drive / (ONE + np.sqrt(ONE + np.float32(4.0) * drag * dt / wet * abs(drive)))
    most = wet * np.sqrt(max(GRAVITY * wet, (GRAVITY * wet + TWO * GRAVITY * abs(fall)) / (ONE + TWO * drag * dx)))
    new = min(max(new, -most), most)
    return new if depth > FILM else ZERO


@kernel
def face_row(
    near: Double,
    far: Double,
    crest: Single,
    rough: Single,
    q: Single,
    q_before: Single,
    q_after: Single,
    moved: Single,
    dt: Number,
    dx: Number,
) -> None:
    """`moved` over a row of faces, each between `near` and `far` (surfaces, m)."""
    share = dt / dx
    for j in range(moved.size):
        depth = np.float32(max(near[j], far[j]) - np.float64(crest[j]))
        fall = np.float32(far[j] - near[j])
        moved[j] = share * face_flux(fall, depth, q[j], HALF * (q_before[j] + q_after[j]), rough[j], dt, dx)


@kernel
def face_span(
    c: int, n: int, step: int, surface: Double, crest: Single, rough: Single, q: Single, moved: Single, dt: Number, dx: Number
) -> None:
    """`face_row` over the n faces that start at c, between cells c - step and c."""
    face_row(surface[c - step : c - step + n], surface[c : c + n], crest[c : c + n], rough[c : c + n], q[c : c + n],
             q[c - step : c - step + n], q[c + step : c + step + n], moved[c : c + n], dt, dx)  # fmt: skip


@kernel
def face_due(t: int, u: int, due: Flags, dt: Single) -> bool:
    """Whether the faces between tiles t and u are due: when the one with the shorter step is."""
    return bool(due[t] if dt[t] <= dt[u] else due[u])


@kernel
def tile_side(
    first: int, n: int, along: int, step: int, due: bool, surface: Double, faces: Faces, dt: Number, dx: Number
) -> None:
    """Faces on the west or north side of a tile, `along` apart; over those that are not due, nothing moves."""
    crest, rough, q, moved = faces
    for i in range(n):
        c = first + i * along
        if due:
            face_span(c, 1, step, surface, crest, rough, q, moved, dt, dx)
        else:
            moved[c] = ZERO


@kernel
def tile_inside(first: int, width: int, surface: Double, faces_x: Faces, faces_y: Faces, dt: Number, dx: Number) -> None:
    """West and north faces of all cells of a tile that is due, its own sides as if the neighbours stepped as it does."""
    for row in range(TILE):
        c = first + row * width
        face_span(c, TILE, 1, surface, faces_x[0], faces_x[1], faces_x[2], faces_x[3], dt, dx)
        face_span(c, TILE, width, surface, faces_y[0], faces_y[1], faces_y[2], faces_y[3], dt, dx)


@parallel
def all_faces(
    tiles: Whole, first: Whole, across: int, due: Flags, dt: Single, width: int, surface: Double, faces_x: Faces,
    faces_y: Faces, dx: Number,
) -> None:  # fmt: skip
    """Faces of all `tiles` that are due. first: index of each tile's first cell; due, dt: by tile with a ring around;
    across: tiles in a row of those, ring included. faces: crest, rough, q, moved.
    """
    for i in prange(tiles.size):
        t = tiles[i]
        if due[t]:
            tile_inside(first[t], width, surface, faces_x, faces_y, dt[t], dx)
        west, north = face_due(t, t - 1, due, dt), face_due(t, t - across, due, dt)
        if not (due[t] and west and dt[t] <= dt[t - 1]):
            tile_side(first[t], TILE, width, 1, west, surface, faces_x, min(dt[t], dt[t - 1]), dx)
        if not (due[t] and north and dt[t] <= dt[t - across]):
            tile_side(first[t], TILE, 1, width, north, surface, faces_y, min(dt[t], dt[t - across]), dx)


@kernel
def leaving(west: Number, east: Number, north: Number, south: Number) -> Number:
    """Depth of water (m) that the four faces of a cell take out of it."""
    return max(-west, ZERO) + max(east, ZERO) + max(-north, ZERO) + max(south, ZERO)


@kernel
def allowed_share(out: Number, depth: Number) -> Number:
    """The share of `out` that may leave a cell: less than one where it holds less."""
    part = out / max(np.float32(depth) * KEPT, np.float32(1e-30))
    return ONE / part if part > ONE else ONE


@kernel
def allowed(moved: Number, share_before: Number, share_after: Number) -> Number:
    """What moves over a face when the cell it leaves gives only its share."""
    return moved * (share_before if moved > ZERO else share_after)


@kernel
def share_row(west: Single, east: Single, north: Single, south: Single, depth: Double, share: Single, courant: Single) -> None:
    """Allowed shares of a row of cells; `courant`: running maximum of the part of its water that a cell gives in a step."""
    for j in range(share.size):
        out = leaving(west[j], east[j], north[j], south[j])
        share[j] = allowed_share(out, depth[j])
        held = np.float32(depth[j])
        courant[j] = max(courant[j], out / held if held > SHALLOW else ZERO)


@kernel
def cell_row(
    moved: Row4,
    share: Single,
    share_around: Row4,
    bed: Single,
    depth: Double,
    surface: Double,
    q_x: Single,
    q_y: Single,
    turn: Number,
    deep: Single,
) -> None:
    """New depth, surface and fluxes of a row of cells. turn: dx/dt, makes a flux of what moved. deep: running maximum."""
    west, east, north, south = moved
    share_w, share_e, share_n, share_s = share_around
    for j in range(deep.size):
        w = allowed(west[j], share_w[j], share[j])
        e = allowed(east[j], share[j], share_e[j])
        n = allowed(north[j], share_n[j], share[j])
        s = allowed(south[j], share[j], share_s[j])
        new = depth[j] + ((np.float64(w) - np.float64(e)) + (np.float64(n) - np.float64(s)))
        depth[j] = new
        surface[j] = np.float64(bed[j]) + new
        q_x[j] = w * turn
        q_y[j] = n * turn
        deep[j] = max(deep[j], np.float32(new))


@kernel
def tile_shares(first: int, width: int, moved_x: Single, moved_y: Single, depth: Double, share: Single) -> Number:
    """Allowed shares of all cells of a tile. Returns the largest part that a cell gives."""
    courant = np.zeros(TILE, np.float32)
    for row in range(TILE):
        c = first + row * width
        d = c + TILE
        share_row(moved_x[c:d], moved_x[c + 1 : d + 1], moved_y[c:d], moved_y[c + width : d + width], depth[c:d],
                  share[c:d], courant)  # fmt: skip
    return courant.max()


@kernel
def tile_cells(
    first: int,
    width: int,
    moved_x: Single,
    moved_y: Single,
    share: Single,
    bed: Single,
    depth: Double,
    surface: Double,
    q_x: Single,
    q_y: Single,
    turns: tuple[Number, Number, Number],
) -> Number:
    """New depths of all cells of a tile and fluxes of its faces. turns: dx/dt inside, west, north, 0 on a side
    that is not due: its fluxes stay. Returns the deepest.
    """
    turn, turn_west, turn_north = turns
    deep = np.zeros(TILE, np.float32)
    north_before = q_y[first : first + TILE].copy()
    for row in range(TILE):
        c = first + row * width
        d = c + TILE
        west_before = q_x[c]
        moved = (moved_x[c:d], moved_x[c + 1 : d + 1], moved_y[c:d], moved_y[c + width : d + width])
        around = (share[c - 1 : d - 1], share[c + 1 : d + 1], share[c - width : d - width], share[c + width : d + width])
        cell_row(moved, share[c:d], around, bed[c:d], depth[c:d], surface[c:d], q_x[c:d], q_y[c:d], turn, deep)
        q_x[c] = west_before if turn_west == ZERO else allowed(moved_x[c], share[c - 1], share[c]) * turn_west
    for j in range(TILE):
        c = first + j
        q_y[c] = north_before[j] if turn_north == ZERO else allowed(moved_y[c], share[c - width], share[c]) * turn_north
    return deep.max()


@kernel
def rim_cell(i: int) -> tuple[int, int]:
    """Row and column in its tile of the i-th of the 4 (TILE - 1) cells on a tile's rim."""
    side, place = i // (TILE - 1), i % (TILE - 1)
    if side == 0:
        return 0, place
    if side == 1:
        return place, TILE - 1
    if side == 2:
        return TILE - 1, TILE - 1 - place
    return TILE - 1 - place, 0


@kernel
def rim_moved(
    c: int, row: int, column: int, width: int, sides: Sides, moved_x: Single, moved_y: Single
) -> tuple[Number, Number, Number, Number]:
    """What moves over the west, east, north, south face of a rim cell, counting only the `sides` that are due."""
    west = moved_x[c] if column == 0 and sides[0] else ZERO
    east = moved_x[c + 1] if column == TILE - 1 and sides[1] else ZERO
    north = moved_y[c] if row == 0 and sides[2] else ZERO
    south = moved_y[c + width] if row == TILE - 1 and sides[3] else ZERO
    return west, east, north, south


@kernel
def rim_shares(first: int, width: int, sides: Sides, moved_x: Single, moved_y: Single, depth: Double, share: Single) -> None:
    """Allowed shares of the rim of a tile that is not due beside tiles that are."""
    for i in range(4 * (TILE - 1)):
        row, column = rim_cell(i)
        c = first + row * width + column
        west, east, north, south = rim_moved(c, row, column, width, sides, moved_x, moved_y)
        share[c] = allowed_share(leaving(west, east, north, south), depth[c])


@kernel
def rim_cells(
    first: int,
    width: int,
    sides: Sides,
    moved_x: Single,
    moved_y: Single,
    share: Single,
    bed: Single,
    depth: Double,
    surface: Double,
    q_x: Single,
    q_y: Single,
    turns: tuple[Number, Number, Number],
) -> Number:
    """New depths of the rim of a tile that is not due beside tiles that are. Returns the deepest."""
    deep = ZERO
    for i in range(4 * (TILE - 1)):
        row, column = rim_cell(i)
        c = first + row * width + column
        west, east, north, south = rim_moved(c, row, column, width, sides, moved_x, moved_y)
        w, e = allowed(west, share[c - 1], share[c]), allowed(east, share[c], share[c + 1])
        n, s = allowed(north, share[c - width], share[c]), allowed(south, share[c], share[c + width])
        depth[c] += (np.float64(w) - np.float64(e)) + (np.float64(n) - np.float64(s))
        surface[c] = np.float64(bed[c]) + depth[c]
        if column == 0 and sides[0]:
            q_x[c] = w * turns[1]
        if row == 0 and sides[2]:
            q_y[c] = n * turns[2]
        deep = max(deep, np.float32(depth[c]))
    return deep


@kernel
def sides_due(t: int, across: int, due: Flags, dt: Single) -> Sides:
    """Whether the faces on the west, east, north, south side of tile t are due."""
    return (face_due(t, t - 1, due, dt), face_due(t, t + 1, due, dt), face_due(t, t - across, due, dt),
            face_due(t, t + across, due, dt))  # fmt: skip


@parallel
def all_shares(
    tiles: Whole,
    first: Whole,
    across: int,
    due: Flags,
    dt: Single,
    width: int,
    moved_x: Single,
    moved_y: Single,
    depth: Double,
    share: Single,
    courant: Single,
) -> None:
    """Allowed shares of all cells that faces change in this step. courant: by tile, of those that are due."""
    for i in prange(tiles.size):
        t = tiles[i]
        if due[t]:
            courant[t] = tile_shares(first[t], width, moved_x, moved_y, depth, share)
        else:
            sides = sides_due(t, across, due, dt)
            rim_shares(first[t], width, sides, moved_x, moved_y, depth, share)


@parallel
def all_cells(
    tiles: Whole,
    first: Whole,
    across: int,
    due: Flags,
    dt: Single,
    width: int,
    moved_x: Single,
    moved_y: Single,
    share: Single,
    cells: Cells,
    q_x: Single,
    q_y: Single,
    deep: Single,
    dx: Number,
) -> None:
    """New depths of all cells that faces change in this step. cells: bed, depth, surface. deep: deepest water by tile."""
    bed, depth, surface = cells
    for i in prange(tiles.size):
        t = tiles[i]
        sides = sides_due(t, across, due, dt)
        turn_west = dx / min(dt[t], dt[t - 1]) if sides[0] else ZERO
        turn_north = dx / min(dt[t], dt[t - across]) if sides[2] else ZERO
        turns = (dx / dt[t], turn_west, turn_north)
        if due[t]:
            deep[t] = tile_cells(first[t], width, moved_x, moved_y, share, bed, depth, surface, q_x, q_y, turns)
        else:
            new = rim_cells(first[t], width, sides, moved_x, moved_y, share, bed, depth, surface, q_x, q_y, turns)
            deep[t] = max(deep[t], new)
