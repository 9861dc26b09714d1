"""Hours of a week, in a time zone, in which a rule counts."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, StrictStr, field_validator
from pydantic_core import PydanticCustomError

from citytwin.city.query import Form
from citytwin.errors import nearest

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


class Hours(Form):
    """From `begin` to `end` o'clock (`end` not included; past midnight where it is earlier) on `days`, in time zone `zone`.

    The day is that on which the hours begin. Where clocks are set back, an hour that comes twice counts twice.
    """

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = DAYS
    begin: StrictStr = "00:00"
    end: StrictStr = "24:00"
    zone: StrictStr = "UTC"

    @field_validator("begin", "end")
    @classmethod
    def _clock(cls, said: str) -> str:
        if not CLOCK.fullmatch(said):
            raise PydanticCustomError("wrong", "{said}", {"said": f'"{said}" is no time of day (as in 07:30, or 24:00)'})
        return said

    @field_validator("zone")
    @classmethod
    def _zone(cls, said: str) -> str:
        try:
            ZoneInfo(said)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            hint = nearest(said, available_timezones())
            raise PydanticCustomError("wrong", "{said}", {"said": f'no time zone "{said}" ({hint})'}) from error
        return said

    def hold(self, now: float) -> bool:
        """Whether `now` (s since 1970) is within these hours."""
        here = dt.datetime.fromtimestamp(now, _zone(self.zone))
        minute, begin, end = here.hour * 60 + here.minute, _minutes(self.begin), _minutes(self.end)
        today, yesterday = DAYS[here.weekday()], DAYS[here.weekday() - 1]
        if begin < end:
            return today in self.days and begin <= minute < end
        return (today in self.days and minute >= begin) or (yesterday in self.days and minute < end)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
