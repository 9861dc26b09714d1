"""What a scenario may say to the surge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from citytwin.sim import Parameters
from citytwin.units import Quantity


class SurgeParameters(Parameters):
    """How high the sea rises, how fast, and where it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"level": "11 m", "rise": "10 min"}]})

    level: Annotated[float, Quantity("m")] = Field(ge=-500, le=9000, description="Highest level of the sea, as in 2.5 m")
    rise: Annotated[float, Quantity("s")] = Field(3600.0, gt=0, description="How long it takes to rise that high, as in 2 h")
    edge: Literal["north", "east", "south", "west"] = Field("west", description="Edge of the ground that the sea stands at")
