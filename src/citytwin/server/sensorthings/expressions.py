"""Pieces of SQL that know their type: what they can become, and how two of them are compared."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from citytwin.errors import InputError
from citytwin.server.sensorthings import times

SIGNS = {"eq": "=", "ne": "is distinct from", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
LOOSE = ("json", "result")  # take the type of what they are compared with
TIMELY = ("time", "date", "clock")
WORDS = {
    "text": "text", "number": "a number", "bool": "true or false", "time": "a time", "span": "a time", "geo": "a shape",
    "json": "a JSON value", "result": "a result", "date": "a date", "clock": "a time of day", "duration": "a duration",
}  # fmt: skip
TIMES = "cast(try_cast({0} as timestamptz) as timestamp)"
# A result that is a number is compared with a text as it is written, as OGC's conformance suite asks (`result gt '3'`).
CASTS: dict[tuple[str, str], str] = {
    ("json", "text"): "{0}", ("json", "number"): "try_cast({0} as double)", ("json", "bool"): "try_cast({0} as boolean)",
    ("json", "time"): TIMES, ("json", "date"): "try_cast({0} as date)", ("result", "number"): "{0.number}",
    ("result", "text"): "coalesce({0.begin}, {0.end}, cast({0.number} as varchar))",
    ("result", "bool"): "(case {0.end} when 'true' then true when 'false' then false end)",
    ("text", "number"): "try_cast({0} as double)", ("text", "time"): TIMES, ("text", "date"): "try_cast({0} as date)",
    ("text", "clock"): "try_cast({0} as time)", ("text", "bool"): "try_cast({0} as boolean)",
    ("time", "date"): "cast({0} as date)", ("time", "clock"): "cast({0} as time)", ("date", "time"): "cast({0} as timestamp)",
    ("number", "text"): "cast({0} as varchar)", ("bool", "text"): "cast({0} as varchar)",
}  # fmt: skip
# Which columns hold a span; `resultTime` of Datastreams is one, that of Observations a moment.
SPANS = {"validTime": ("valid_begin", "valid_end"), "resultTime": ("result_begin", "result_end")}


@dataclass(frozen=True)
class Sql:
    """An expression: its `type` and SQL `text`; a span has `begin` and `end`, a shape `lon` and `lat` where it is a point.

    A result has `number`, `begin` (its text) and `end` (its JSON).
    """

    text: str
    type: str
    begin: str = ""
    end: str = ""
    lon: str = ""
    lat: str = ""
    number: str = ""
    order: str = ""  # what to order by, where that is not the text
    value: Any = None  # of a literal

    def each(self, change: Callable[[str], str]) -> Sql:
        """The expression with `change` made to all of its parts."""
        names = ("text", "begin", "end", "lon", "lat", "number", "order")
        return replace(self, **{n: change(part) for n in names if (part := getattr(self, n))})

    def __str__(self) -> str:
        return self.text


def literal(begin: dt.datetime, end: dt.datetime) -> Sql:
    """A span of time, or a moment where both ends are one."""
    first, last = (f"timestamp '{when.isoformat(sep=' ')}'" for when in (begin, end))
    return Sql(first, "span", first, last) if begin != end else Sql(first, "time")


def cast(sql: Sql, kind: str) -> Sql:
    """`sql` as another type. Raises InputError where that has no meaning."""
    if kind == "interval":
        return _interval(sql)
    if sql.type == kind:
        return sql
    if sql.type == "null":
        return replace(sql, type=kind, begin=sql.text, end=sql.text, number=sql.text)
    change = CASTS.get((sql.type, kind))
    if change is not None:
        return Sql(change.format(sql), kind)
    if kind == "span" and sql.type == "text" and isinstance(sql.value, str):
        return cast(literal(*times.span(sql.value)), "span")
    if kind == "span":
        one = cast(sql, "time").text
        return Sql(one, "span", one, one)
    if sql.type == "span" and kind in TIMELY:
        return cast(Sql(sql.begin, "time"), kind)
    raise InputError(f"{WORDS.get(sql.type, sql.type)} is given where {WORDS.get(kind, kind)} is needed", "$filter")


def _interval(sql: Sql) -> Sql:
    if sql.type == "text" and isinstance(sql.value, str):
        sql = literal(*times.span(sql.value))
    if sql.type not in ("span", "null") or (sql.begin == sql.end and sql.type == "span"):
        raise InputError(f"{WORDS.get(sql.type, sql.type)} is given where a span of time is needed", "$filter",
                         "as in 2026-11-21T18:00:00Z/2026-11-21T19:00:00Z")  # fmt: skip
    return cast(sql, "span")


def compared(a: Sql, sign: str, b: Sql) -> str:
    """A comparison, of two values that are made of one type first. Raises InputError."""
    if "null" in (a.type, b.type):
        return _with_null(a, sign, b)
    if a.type in LOOSE and b.type not in LOOSE:
        a = cast(a, "text" if b.type in ("date", "clock", "duration") else b.type)
    if b.type in LOOSE:
        b = cast(b, "text" if a.type in LOOSE else a.type)
        a = cast(a, "text") if a.type in LOOSE else a
    for kind in ("span", "time", "date", "clock", "duration", "bool", "number"):
        if kind in (a.type, b.type):
            a, b = cast(a, kind), cast(b, kind)
            break
    if a.type == "span":
        return times.compared(a, sign, b)
    if a.type == "geo" or b.type == "geo":
        raise InputError("shapes are not compared so", "$filter", "as in st_equals(location, geography'POINT(1.5 42.5)')")
    return f"({a.text} {SIGNS[sign]} {b.text})"


def _with_null(a: Sql, sign: str, b: Sql) -> str:
    other = b if a.type == "null" else a
    text = f"coalesce(nullif({other.text}, 'null'), cast({other.number} as varchar))" if other.type == "result" else other.text
    if sign not in ("eq", "ne"):
        return "false"
    return f"({text} is null)" if sign == "eq" else f"({text} is not null)"


def column(alias: str, name: str, kind: str) -> Sql:
    """A property of the row `alias`."""
    text = f'{alias}."{name}"'
    match kind:
        case "geo":
            return Sql(f"{alias}.shape", "geo", lon=f"{alias}.lon", lat=f"{alias}.lat", order=text)
        case "json":
            plain = f"json_extract_string({text}, '$')" if name in ("resultQuality", "metadata") else text
            return Sql(plain, "json")
        case "result":
            return Sql(f"{alias}.result", "result", begin=f"{alias}.text", end=f"{alias}.result", number=f"{alias}.number")
        case "span":
            begin, end = (f'{alias}."{each}"' for each in SPANS.get(name, ("begin", "end")))
            return Sql(begin, "span", begin, end)
        case _:
            return Sql(text, kind)
