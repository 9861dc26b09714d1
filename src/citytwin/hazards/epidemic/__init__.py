"""Epidemic: a disease among the people of the city, person by person, and the measures against it."""

from citytwin.hazards.epidemic.simulator import Epidemic

__all__ = ["Epidemic"]
