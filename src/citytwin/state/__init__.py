"""What is, was or might be: declared numbers on the city's tables, forked in microseconds; readings and their checks."""

from citytwin.state.checks import Checks
from citytwin.state.health import STATUS, Health, uptime
from citytwin.state.notices import Judged, Judgement, Maintenance, Notice, read_notice, write_notice
from citytwin.state.readings import BELIEVED, DOUBTED, IS_BELIEVED, KEPT, Arrivals, Quality, Readings
from citytwin.state.state import State

__all__ = [
    "BELIEVED", "DOUBTED", "IS_BELIEVED", "KEPT", "STATUS", "Arrivals", "Checks", "Health", "Judged", "Judgement",
    "Maintenance", "Notice", "Quality", "Readings", "State", "read_notice", "uptime", "write_notice",
]  # fmt: skip
