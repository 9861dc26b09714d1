"""What is, was or might be: declared numbers on the city's tables, forked in microseconds; readings and their checks."""

from citytwin.state.readings import Quality, Readings
from citytwin.state.state import State

__all__ = ["Quality", "Readings", "State"]
