"""A state on its way to another process: only what differs from the start values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from citytwin.city import City
from citytwin.sim import columns_with
from citytwin.state import State


def pack(state: State, path: Path) -> None:
    """Write the written columns of `state` to `path`: only the rows that differ from the column's start value."""
    arrays: dict[str, np.ndarray[Any, Any]] = {"time": np.array(state.time)}
    for name in state.written:
        values, start = state[name], state.columns[name].start
        differs = ~np.isnan(values) if np.isnan(start) else values != start
        arrays[f"{name}:rows"] = np.flatnonzero(differs)
        arrays[f"{name}:values"] = values[differs]
    with path.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]


def unpack(path: Path, city: City) -> State:
    """The state that `pack` wrote; columns that this process does not know are left out."""
    columns = columns_with(city.columns)
    with np.load(path, allow_pickle=False) as arrays:
        state = State(city, columns, float(arrays["time"]))
        for name in (n.removesuffix(":rows") for n in arrays.files if n.endswith(":rows")):
            if name in columns:
                state.edit(name)[arrays[f"{name}:rows"]] = arrays[f"{name}:values"]
    return state
