"""citytwin: a live digital twin of a city for crisis simulation and response.

>>> city = citytwin.open("andorra")  # a city folder
>>> result = citytwin.open("runs/cloudburst")  # a run folder
>>> result.table("building")  # a GeoDataFrame; result.fields is an xarray Dataset
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from citytwin.errors import TwinError

if TYPE_CHECKING:
    from citytwin import units
    from citytwin.city import City
    from citytwin.scenario import Result, Scenario
    from citytwin.state import Readings, State
    from citytwin.twin import Twin

__version__ = "0.1.0"

__all__ = ["City", "Readings", "Result", "Scenario", "State", "Twin", "TwinError", "open", "units"]

# Where the public names live; each is imported when it is first asked for, so that `import citytwin` is quick.
_HOMES = {
    "City": "citytwin.city",
    "Readings": "citytwin.state",
    "Result": "citytwin.scenario",
    "Scenario": "citytwin.scenario",
    "State": "citytwin.state",
    "Twin": "citytwin.twin",
}


def open(folder: str | Path) -> City | Result:
    """The City in a city folder, or the Result in a run folder. Raises MissingError where `folder` is neither."""
    from citytwin.city import read_city
    from citytwin.scenario import read_result

    return read_result(folder) if (Path(folder) / "result.json").is_file() else read_city(folder)


def __getattr__(name: str) -> Any:
    if name == "units":
        return importlib.import_module("citytwin.units")
    if name not in _HOMES:
        raise AttributeError(f"module 'citytwin' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
