"""The twin: a city folder that lives. Log -> reader -> state and listeners -> history."""

from citytwin.twin.listeners import Listener
from citytwin.twin.twin import Twin

__all__ = ["Listener", "Twin"]
