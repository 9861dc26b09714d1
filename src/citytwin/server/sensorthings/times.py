"""Times, spans of time and durations as clients write them (ISO 8601), and how spans are compared in SQL.

A span holds its begin and not its end, so that one that ends at seven is before one that begins at seven; a moment is a span
whose ends are one, which holds itself. FROST compares so; OGC 18-088 does not say.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Protocol

from citytwin.errors import InputError

DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


class Span(Protocol):
    """The SQL of both ends."""

    @property
    def begin(self) -> str:
        """When it begins."""

    @property
    def end(self) -> str:
        """When it ends."""


def moment(text: str) -> dt.datetime:
    """An ISO 8601 time as UTC without a zone. Raises InputError."""
    said = text.strip().replace(" ", "+") if "T" in text else text.strip()
    try:
        when = dt.datetime.fromisoformat(said)
    except ValueError as error:
        raise InputError(f'"{text}" is not a time', "time", "as in 2026-11-21T18:00:00Z") from error
    try:
        return when.astimezone(dt.UTC).replace(tzinfo=None) if when.tzinfo else when
    except OverflowError as error:
        raise InputError(f'"{text}" is not a time', "time", "between the years 1 and 9999") from error


def span(text: str) -> tuple[dt.datetime, dt.datetime]:
    """Begin and end of a time or of `begin/end`. Raises InputError."""
    first, _, second = text.partition("/")
    begin = moment(first)
    end = moment(second) if second else begin
    if end < begin:
        raise InputError(f'"{text}" ends before it begins', "time")
    return begin, end


def period(text: str) -> dt.timedelta:
    """An ISO 8601 duration of weeks to seconds. Raises InputError."""
    found = DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise InputError(f'"{text}" is not a duration', "query", "as in PT15M, PT1H or P1D")
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        return dt.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise InputError(f'"{text}" is too long', "query") from error


def before(a: Span, b: Span) -> str:
    """Whether `a` has ended when `b` begins."""
    if a.begin == a.end:  # the SQL says it already: a moment
        return f"({a.end} < {b.begin})"
    return f"({a.end} < {b.begin} or ({a.end} = {b.begin} and {a.begin} < {a.end}))"


def during(a: Span, b: Span) -> str:
    """Whether `a` lies in `b`."""
    return f"({a.begin} >= {b.begin} and {a.end} <= {b.end} and {a.begin} < {b.end})"


def overlaps(a: Span, b: Span) -> str:
    """Whether there is a moment that both hold."""
    return f"(not {before(a, b)} and not {before(b, a)})"


def compared(a: Span, sign: str, b: Span) -> str:
    """A comparison of two spans."""
    match sign:
        case "eq":
            return f"({a.begin} = {b.begin} and {a.end} = {b.end})"
        case "ne":
            return f"({a.begin} is distinct from {b.begin} or {a.end} is distinct from {b.end})"
        case "lt":
            return before(a, b)
        case "gt":
            return before(b, a)
        case "le":
            return f"({a.begin} <= {b.begin} and {a.end} <= {b.end})"
        case _:
            return f"({a.begin} >= {b.begin} and {a.end} >= {b.end})"
