"""An exposure model laid over the buildings of a map: the map says where they stand, the exposure what they are and hold.

- An asset of one building that lies in a footprint, or within `REACH` of one, describes that building; several in one
  footprint add up, and the most valuable says the type.
- Rows that stand for many buildings describe the map's buildings around them (each goes to its nearest place with such rows,
  up to `FAR`): types are dealt out by the rows' shares among buildings of the same kind of use, the taller types to the
  taller buildings; values and people of the rows are shared by floor area. So the number of buildings is the map's, and values
  and people are the exposure's.
- What the map has no building for is a building of its own, a square.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj
import shapely

from citytwin.errors import InputError
from citytwin.hazards.earthquake.taxonomy import levels_of_gem
from citytwin.io.importers.exposure import read_exposure, squares

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

REACH = 20.0
"""m around a footprint in which an asset of one building is taken as that building: geocoding is that good at best."""

FAR = 2000.0
"""m up to which rows for many buildings describe the map's buildings around them."""

SECTORS = {"house": "homes", "apartments": "homes", "commercial": "work", "industrial": "industry", "farm": "industry",
           "education": "public", "health": "public", "public": "public"}  # fmt: skip

DESCRIBES = ("taxonomy", "year", "levels")
"""What a row says of the building that it describes."""


def read_placed(
    paths: Sequence[Path], mapping: dict[str, str] | None, crs: pyproj.CRS, extent: shapely.Polygon
) -> pd.DataFrame:
    """The assets of files inside `extent`, with x and y in metres of `crs`. Raises InputError where there are none."""
    assets = pd.concat([read_exposure(p, mapping) for p in paths], ignore_index=True)
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(assets.pop("lon"), assets.pop("lat"))
    placed = assets.assign(x=x, y=y)
    inside = placed[shapely.contains_xy(extent, placed["x"], placed["y"])].reset_index(drop=True)
    if not len(inside):
        hint = "are the map and the exposure of one place?"
        raise InputError("no asset lies inside the city's extent", ", ".join(map(str, paths)), hint)
    return inside


def onto_buildings(building: gpd.GeoDataFrame, assets: pd.DataFrame, residents: bool) -> tuple[gpd.GeoDataFrame, list[str]]:
    """The buildings of a map with what `assets` (of `read_placed`) say of them, then those that the map lacks; and notes.

    residents: whether residents of the map's buildings are known already, and are left as they are.
    """
    out = building.reset_index(drop=True).copy()
    amounts = [str(c) for c in assets if str(c).startswith(("value", "people"))]
    said = pd.DataFrame(np.nan, index=out.index, columns=amounts)
    types = pd.DataFrame({name: pd.Series(np.nan, index=out.index, dtype=object) for name in DESCRIBES})
    one = assets["number"].to_numpy() <= 1.0
    own = np.full(len(assets), -1, dtype=np.int64)
    own[one] = _in_footprints(out, assets[one])
    _join(assets, own, said, types, amounts)
    left = ~one
    taken = _deal_out(out, assets[left], types["taxonomy"].isna().to_numpy(), said, types, amounts)
    gone = np.flatnonzero(left)[taken]
    rest = np.setdiff1d(np.flatnonzero(own < 0), gone)
    _write(out, said, types, residents)
    dealt = int(types["taxonomy"].notna().sum()) - len(np.unique(own[own >= 0]))
    notes = [
        f"exposure: {int((own >= 0).sum())} assets are buildings of the map; {len(gone)} rows for "
        f"{assets['number'].to_numpy()[gone].sum():.0f} buildings describe the {dealt} that the map has around them, types "
        f"dealt out by their shares; {len(rest)} rows have no building on the map and stand as squares"
    ]
    if len(rest):
        out = _with_squares(out, assets.iloc[rest].reset_index(drop=True))
    return out, notes


def _in_footprints(building: gpd.GeoDataFrame, assets: pd.DataFrame) -> I64:
    """Row of the building that each asset is, -1 for none; beside footprints only one asset for each, the nearest."""
    found = np.full(len(assets), -1, dtype=np.int64)
    if not len(assets) or not len(building):
        return found
    tree = shapely.STRtree(building.geometry.to_numpy())
    pairs, far = tree.query_nearest(
        shapely.points(assets["x"], assets["y"]), max_distance=REACH, return_distance=True, all_matches=False
    )
    inside = far <= 0
    found[pairs[0][inside]] = pairs[1][inside]
    used = set(pairs[1][inside].tolist())
    for n in np.argsort(far, kind="stable"):
        if far[n] > 0 and int(pairs[1][n]) not in used:
            found[pairs[0][n]] = pairs[1][n]
            used.add(int(pairs[1][n]))
    return found


def _join(assets: pd.DataFrame, own: I64, said: pd.DataFrame, types: pd.DataFrame, amounts: list[str]) -> None:
    """Write what single assets say of the buildings that they are."""
    there = np.flatnonzero(own >= 0)
    if not len(there):
        return
    rows = assets.iloc[there].assign(own=own[there])
    sums = rows.groupby("own")[amounts].sum(min_count=1)
    said.loc[sums.index, amounts] = sums.to_numpy()
    first = rows.sort_values(["own", "value"], ascending=[True, False], kind="stable").groupby("own").head(1).set_index("own")
    for name in DESCRIBES:
        if name in first:
            types.loc[first.index, name] = first[name].to_numpy()


def _deal_out(
    building: gpd.GeoDataFrame, rows: pd.DataFrame, free: npt.NDArray[np.bool_], said: pd.DataFrame, types: pd.DataFrame,
    amounts: list[str],
) -> I64:  # fmt: skip
    """Describe `free` buildings by rows for many; positions in `rows` of those that found buildings."""
    if not len(rows) or not free.any():
        return np.empty(0, dtype=np.int64)
    places, of_row = np.unique(np.round(rows[["x", "y"]].to_numpy()), axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    target = np.flatnonzero(free)
    middle = shapely.centroid(building.geometry.to_numpy()[target])
    tree = shapely.STRtree(np.asarray(shapely.points(places), dtype=object))
    pairs = tree.query_nearest(middle, max_distance=FAR, all_matches=False)
    near = pd.Series(pairs[1], index=target[pairs[0]])
    taken = []
    for place, group in near.groupby(near):
        mine = np.flatnonzero(of_row == place)
        taken.append(mine)
        _at_place(building, rows.iloc[mine], group.index.to_numpy(), said, types, amounts)
    return np.concatenate(taken) if taken else np.empty(0, dtype=np.int64)


def _at_place(
    building: gpd.GeoDataFrame, rows: pd.DataFrame, mine: I64, said: pd.DataFrame, types: pd.DataFrame, amounts: list[str]
) -> None:
    """Deal out the rows of one place to the buildings `mine` around it."""
    sector = building["use"].iloc[mine].map(SECTORS).fillna("homes").to_numpy()
    of_row = rows["use"].map(SECTORS).fillna("homes").to_numpy()
    for name in np.unique(sector):  # a use that no row speaks of takes from all rows
        of = rows[of_row == name] if (of_row == name).any() else rows
        _types_by_height(building, of, mine[sector == name], types)
    for name in np.unique(of_row):  # amounts of a use that has no building go to all
        theirs = mine[sector == name] if (sector == name).any() else mine
        floor = np.maximum(building["floor_area"].iloc[theirs].fillna(0.0).to_numpy(), 1.0)
        for column in amounts:
            total = rows.loc[of_row == name, column].sum(min_count=1)
            if np.isfinite(total):
                before = said.loc[theirs, column].fillna(0.0).to_numpy()
                said.loc[theirs, column] = before + total * floor / floor.sum()


def _types_by_height(building: gpd.GeoDataFrame, rows: pd.DataFrame, mine: I64, types: pd.DataFrame) -> None:
    """Types of `rows` to the buildings `mine` by the rows' shares: both in the order of their storeys."""
    storeys = rows["levels"].to_numpy(dtype=float) if "levels" in rows else np.full(len(rows), np.nan)
    storeys = np.where(np.isfinite(storeys), storeys, [levels_of_gem(str(t).upper()) for t in rows["taxonomy"]])
    middle = np.nanmedian(storeys) if np.isfinite(storeys).any() else 2.0
    rows = rows.iloc[np.argsort(np.where(np.isfinite(storeys), storeys, middle), kind="stable")]
    order = mine[np.lexsort((building["key"].iloc[mine], building["levels"].iloc[mine].fillna(1.0)))]
    share = np.cumsum(np.maximum(rows["number"].to_numpy(dtype=float), 0.0))
    share = share / share[-1] if share[-1] > 0 else np.arange(1, len(rows) + 1) / len(rows)
    which = np.minimum(np.searchsorted(share, (np.arange(len(order)) + 0.5) / len(order)), len(rows) - 1)
    types.loc[order, "taxonomy"] = rows["taxonomy"].to_numpy()[which]
    if "year" in rows:
        types.loc[order, "year"] = rows["year"].to_numpy()[which]


def _write(out: gpd.GeoDataFrame, said: pd.DataFrame, types: pd.DataFrame, residents: bool) -> None:
    """Put what was found into the table: types, values, people inside by part of the day, and residents if none are known."""
    out["taxonomy"] = types["taxonomy"].fillna("").astype("str")
    for name in ("year", "levels"):
        known = pd.to_numeric(types[name], errors="coerce")
        out[name] = known.where(known.notna(), out[name]) if name in out else known
    for column in said:
        if column == "people":
            if not residents:
                _residents(out, said["people"])
        elif said[column].notna().any():
            out[column] = said[column]


def _residents(out: gpd.GeoDataFrame, people: pd.Series[Any]) -> None:
    """Residents as the exposure says; ages keep their shares."""
    if not people.notna().any():
        return
    before = out["people"].fillna(0.0) if "people" in out else pd.Series(0.0, index=out.index)
    out["people"] = people.where(people.notna(), before)
    for age in ("people_under_15", "people_over_64"):
        share = out[age].fillna(0.0).sum() / before.sum() if age in out and before.sum() > 0 else 0.0
        out[age] = out["people"] * share


def _with_squares(building: gpd.GeoDataFrame, assets: pd.DataFrame) -> gpd.GeoDataFrame:
    """The table with a square for each asset of no building; keys that are taken get a mark."""
    point = assets[["x", "y"]].to_numpy()
    more = squares(assets.drop(columns=["x", "y"]), point, building.crs)
    taken = more["key"].isin(building["key"]) | more["key"].duplicated()
    more["key"] = more["key"].where(~taken, [f"asset/{n}" for n in range(len(more))])
    whole = pd.concat([building, more], ignore_index=True)
    for name in ("name", "material", "class", "estimated", "taxonomy"):
        if name in whole:
            whole[name] = whole[name].fillna("")
    return gpd.GeoDataFrame(whole, crs=building.crs)
