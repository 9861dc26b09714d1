"""Flood: shallow water from rain, rivers and the sea over the city's ground, and the measures against it."""

from citytwin.hazards.flood.simulator import Flood

__all__ = ["Flood"]
