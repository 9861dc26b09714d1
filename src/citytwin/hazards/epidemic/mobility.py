"""Who meets whom between zones: trips from a file or a model, and with whom they bring people together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.errors import InputError, nearest
from citytwin.hazards.epidemic.arrays import CLASS, TEAM, Mixing
from citytwin.hazards.epidemic.fitting import radiation
from citytwin.hazards.epidemic.people import People, zone_of
from citytwin.hazards.epidemic.peopling import distances, read_frame, work_places

Numbers = npt.NDArray[np.float64]


def read_trips(path: Path, city: City) -> Numbers:
    """Trips between zones (Z, Z) of a CSV or Parquet with `origin`, `destination`, `count`; zones by key.

    More columns (a period) are summed over. Raises MissingError, InputError with the nearest zone.
    """
    table = read_frame(path, ("origin", "destination", "count"))
    if "zone" not in city:
        raise InputError("this city has no zones that trips could join", str(path))
    keys = city.table("zone")["key"].tolist()
    ends = []
    for side in ("origin", "destination"):
        rows = city.rows("zone", table[side].astype(str))
        if (rows < 0).any():
            wrong = str(table[side].iloc[int(np.argmin(rows))])
            raise InputError(f'no zone "{wrong}"', f"{path}: {side}", nearest(wrong, keys[:20000]))
        ends.append(rows)
    count = table["count"].to_numpy(dtype=float)
    if not np.isfinite(count).all() or (count < 0).any():
        raise InputError("a count is negative or missing", str(path))
    out = np.zeros((len(keys), len(keys)))
    np.add.at(out, (ends[0], ends[1]), count)
    if out.sum() <= 0:
        raise InputError("there is not one trip", str(path))
    return out


def commutes(people: People) -> Numbers:
    """People by home zone and zone of their class or team (Z, Z)."""
    town = people.town
    who = np.flatnonzero(np.isin(people.layer, (CLASS, TEAM)))
    out = np.zeros((people.zones, people.zones))
    np.add.at(out, (people.zone[who], people.group_zone[town.group[who]].astype(np.int64)), 1.0)
    return out


def leisure(city: City, people: People, model: Literal["gravity", "radiation"], reach: float) -> Numbers:
    """Shares of the zones that people of a zone go to for shopping and leisure (Z, Z), rows add up to 1."""
    distance = distances(city, people.zones)
    living = people.of_zone.astype(float)
    zone, zones = zone_of(city, "building")
    attraction = living + np.bincount(zone, weights=work_places(city.table("building")), minlength=zones)
    if model == "radiation":
        return _shares(radiation(distance, attraction.astype(float), np.maximum(living, 1e-9)))
    return _shares(np.exp(-distance / reach) * attraction)


def _shares(table: Numbers) -> Numbers:
    total = table.sum(axis=1, keepdims=True)
    own = np.eye(len(table))
    return np.asarray(np.where(total > 0, table / np.maximum(total, 1e-300), own))


def brought_together(shares: Numbers, people: Numbers) -> Numbers:
    """With residents of which zones those of a zone meet (Z, Z), when all mix where they go: rows add up to 1.

    C[a, b] = sum over places d of P[a, d] P[b, d] N[b] / V[d], V the visitors of d; N[a] C[a, b] is symmetric.
    """
    visitors = people @ shares
    return np.asarray((shares / np.maximum(visitors, 1e-300)) @ (shares * people[:, None]).T)


def mixing_of(people: People, community: Numbers, transit: Numbers | None = None) -> Mixing:
    """The kernels' tables for community and transit contacts between zones, from trip shares (Z, Z)."""
    living = people.of_zone.astype(float)
    travelling = commutes(people).sum(axis=1)
    together = brought_together(community, living)
    shares = _shares(commutes(people) if transit is None else transit)
    on_the_way = brought_together(shares, travelling)
    share = np.divide(travelling, living, out=np.ones_like(living), where=travelling > 0)
    on_the_way = on_the_way / np.maximum(share, 1e-9) * (travelling > 0)  # who is drawn and does not travel is not met
    factor = np.stack([together.sum(axis=1), on_the_way.sum(axis=1)])
    tables = [alias_table(t) for t in (together, on_the_way)]
    threshold, alias = (np.stack([t[k] for t in tables]) for k in (0, 1))
    return Mixing(threshold.astype(np.float32), alias.astype(np.uint16), factor.astype(np.float32))


def alias_table(weight: Numbers) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Thresholds and aliases of each row of `weight` (Z, Z): Vose (1991), IEEE Trans. Softw. Eng. 17, 972-975."""
    zones = weight.shape[1]
    threshold = np.ones_like(weight, dtype=float)
    alias = np.tile(np.arange(zones), (len(weight), 1))
    for row in range(len(weight)):
        total = weight[row].sum()
        if total <= 0:
            continue
        scaled = weight[row] * (zones / total)
        small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
        while small and large:
            low, high = small.pop(), large[-1]
            threshold[row, low], alias[row, low] = scaled[low], high
            scaled[high] -= 1 - scaled[low]
            if scaled[high] < 1:
                small.append(large.pop())
    return np.clip(threshold, 1e-7, 1.0), alias
