"""The devices of a city, row by row: who they are, and what each said last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.columns import Columns, DeviceKind
from citytwin.errors import InputError
from citytwin.state import State


class Devices:
    """n devices. `keys`, `names` (of their kinds), `kinds` (all declared), `kind` (n indices into `kinds`), `period` (s).

    `value`, `time`: the newest good reading of each (NaN: none). `status`: codes of `citytwin.state.STATUS`. `changed`: number
    of the last batch that changed the row, `batches` the newest number. `longitude`, `latitude`: of devices that move, where
    they were last (NaN: where the table says); `moved`: number of the last batch that moved the row.
    """

    def __init__(self, folder: Path, city: City, columns: Columns) -> None:
        devices = city.table("device") if "device" in city else None
        self.keys: list[str] = [] if devices is None else devices["key"].astype(str).tolist()
        self.names: list[str] = [] if devices is None else devices["kind"].tolist()
        self.kinds: list[DeviceKind] = list(columns.kinds.values())
        index = {k.name: i for i, k in enumerate(self.kinds)}
        unknown = sorted({str(n) for n in self.names if n not in index})
        if unknown:
            raise InputError(f'devices of kind "{unknown[0]}", which is not declared', str(folder / "device.parquet"),
                             "declare it in a sensors.csv in the city folder")  # fmt: skip
        self.kind = np.array([index[n] for n in self.names], dtype=np.int32)
        self.period = np.array([self.kinds[k].period for k in self.kind], dtype=np.float64)
        n = len(self.keys)
        self.value = np.full(n, np.nan, dtype=np.float32)
        self.time = np.full(n, np.nan)
        self.status = np.zeros(n, dtype=np.uint8)
        self.changed = np.zeros(n, dtype=np.int64)
        self.longitude, self.latitude = np.full(n, np.nan), np.full(n, np.nan)
        self.moved = np.zeros(n, dtype=np.int64)
        self.batches = 1

    def set(
        self, state: State, row: npt.NDArray[np.int32], when: npt.NDArray[np.float64], value: npt.NDArray[np.float64]
    ) -> None:
        """The newest readings of devices `row`, in the order they came, also into `state`."""
        self.batches += 1
        self.value[row] = value
        self.time[row] = when
        self.changed[row] = self.batches
        kind = self.kind[row]
        for k in np.unique(kind):
            chosen = kind == k
            state.edit(self.kinds[k].column.name)[row[chosen]] = value[chosen]

    def move(self, row: int, longitude: float, latitude: float) -> None:
        """A device was seen elsewhere; part of the batch that was set last."""
        self.longitude[row], self.latitude[row] = longitude, latitude
        self.moved[row] = self.changed[row] = self.batches

    def age(self, status: npt.NDArray[np.uint8]) -> None:
        """The status of all of them now."""
        changed = status != self.status
        if changed.any():
            self.batches += 1
            self.changed[changed] = self.batches
            self.status = status

    def changes_since(self, batch: int) -> tuple[int, npt.NDArray[np.int64]]:
        """The number of the newest batch, and rows whose value or status changed after batch number `batch`."""
        newest = self.batches  # first: what comes meanwhile is in both
        return newest, self.changed_since(batch)

    def changed_since(self, batch: int) -> npt.NDArray[np.int64]:
        """Rows whose value or status changed after batch number `batch`."""
        return np.flatnonzero(self.changed > batch)
