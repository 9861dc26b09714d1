"""What is, was or might be: declared numbers on the city's tables, forked in microseconds; readings and their checks."""

from citytwin.state.checks import Checks
from citytwin.state.health import STATUS, Health
from citytwin.state.readings import BELIEVED, Arrivals, Quality, Readings
from citytwin.state.state import State

__all__ = ["BELIEVED", "STATUS", "Arrivals", "Checks", "Health", "Quality", "Readings", "State"]
