"""Hospitals' beds for this disease: how many each has, and which is nearest to whom."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city import City
from citytwin.city.roads import number, text
from citytwin.hazards.epidemic.outbreak import Wards
from citytwin.hazards.epidemic.parameters import Beds
from citytwin.hazards.epidemic.peopling import centres

Rows = npt.NDArray[np.int64]
SHUT = 2**40
"""Beds that a hospital which is out lacks: more than it can have."""


class Hospitals:
    """The hospitals of a city: `rows` of the facility table, `beds` (hospitals, 2: ward, intensive) for this disease, `wards`.

    A city without hospitals of known size has one that is never full: `reason` says so.
    """

    def __init__(self, city: City, zones: int, said: Beds) -> None:
        self.rows: Rows = np.zeros(0, np.int64)
        self.reason = ""
        self.out = np.zeros(0, np.bool_)
        if "facility" in city:
            table = city.table("facility")
            capacity = number(table, "capacity")
            self.rows = np.flatnonzero((text(table, "kind") == "hospital") & (capacity > 0))
        if not len(self.rows):
            self.reason = "the city has no hospital with known beds: everybody finds one"
            self.wards = Wards.unlimited(zones)
            self.beds = self.wards.room.copy()
            return
        beds = capacity[self.rows]
        intensive = number(table, "intensive_beds")[self.rows]
        intensive = np.where(np.isfinite(intensive), intensive, beds * said.intensive)
        free = 1 - said.usual_occupancy
        self.out = np.zeros(len(self.rows), np.bool_)
        self.beds = np.stack([np.floor((beds - intensive) * free + 0.5), np.floor(intensive * free + 0.5)], axis=1).astype(
            np.int64
        )
        place = shapely.get_coordinates(shapely.point_on_surface(np.asarray(table.geometry, dtype=object)[self.rows]))
        distance = np.hypot(*(centres(city, zones)[:, None] - place[None]).transpose(2, 0, 1))
        self.wards = Wards(self.beds.copy(), np.argsort(distance, axis=1, kind="stable").astype(np.int64))

    @property
    def patients(self) -> Rows:
        """Patients now, by hospital: on the ward, in intensive care."""
        shut = SHUT * np.append(self.out, np.zeros(len(self.beds) - len(self.out), np.bool_))
        return np.asarray(self.beds - self.wards.room - shut[:, None])

    @property
    def free(self) -> Rows:
        """Beds free now, by hospital and kind; none where it is out."""
        return np.asarray(np.maximum(self.wards.room, 0))

    def close(self, out: npt.NDArray[np.bool_]) -> None:
        """Let those hospitals that are `out` (flooded, dark) take nobody from now on; who is there stays."""
        if not self.reason:
            self.wards.room += SHUT * (self.out.astype(np.int64) - out.astype(np.int64))[:, None]
            self.out = out

    def in_use(self, kind: int) -> float:
        """Share of the beds of a kind (0 ward, 1 intensive) in use."""
        beds = self.beds[:, kind].sum()
        return float(self.patients[:, kind].sum() / beds) if beds > 0 and not self.reason else 0.0
