"""How things advance: what a simulator declares, the loop that advances several, named random streams, compile flags."""

from citytwin.sim.loop import advance, order
from citytwin.sim.registry import all_simulators, columns_with, intervention, simulator
from citytwin.sim.spec import Grade, InterventionKind, LonLat, Parameters, Planned, Setup, Simulator, Spec, Status
from citytwin.sim.streams import Streams

__all__ = [
    "Grade", "InterventionKind", "LonLat", "Parameters", "Planned", "Setup", "Simulator", "Spec", "Status", "Streams",
    "advance", "all_simulators", "columns_with", "intervention", "order", "simulator",
]  # fmt: skip
