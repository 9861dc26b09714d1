"""Expressions of a query turned into SQL. Values go as named parameters, never into the text.

A path over relations to one entity becomes a subquery. Where a path goes over a relation to many, the comparison holds if it
holds for any of them: `exists (...)` around that comparison.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import shapely
from lark import Token, Tree

from citytwin.errors import InputError, nearest
from citytwin.server.sensorthings.functions import FUNCTIONS, TESTS, Function
from citytwin.server.sensorthings.model import ROOT, SETS, Entities, Relation
from citytwin.server.sensorthings.parsing import Node

SIGNS = {"eq": "=", "ne": "is distinct from", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}
SUMS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "divby": "/", "mod": "%"}
LOOSE = ("json", "result")  # take the type of what they are compared with


@dataclass(frozen=True)
class Sql:
    """An expression: its `type` and SQL `text`; a span has `begin` and `end`, a shape `lon` and `lat` where it is a point."""

    text: str
    type: str
    begin: str = ""
    end: str = ""
    lon: str = ""
    lat: str = ""
    number: str = ""
    value: Any = None  # of a literal shape

    def each(self, change: Callable[[str], str]) -> Sql:
        """The expression with `change` made to all of its parts."""
        names = ("text", "begin", "end", "lon", "lat", "number")
        return replace(self, **{n: change(part) for n in names if (part := getattr(self, n))})

    def __str__(self) -> str:
        return self.text


@dataclass
class Place:
    """Where a path starts: an entity set and the name of its row in SQL."""

    entities: Entities
    alias: str


Scope = dict[str, Place]


@dataclass
class Join:
    """Rows that a comparison may choose among: from-clauses, their conditions, and the relations already taken."""

    tables: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    taken: dict[tuple[str, str], Place] = field(default_factory=dict)

    def exists(self, condition: str) -> str:
        """`condition` for any of the rows."""
        if not self.tables:
            return condition
        return f"exists (select 1 from {', '.join(self.tables)} where {' and '.join([*self.conditions, f'({condition})'])})"


class Compiler:
    """Makes SQL; `words` are the values of its parameters, `used` the sets and links it names."""

    def __init__(self) -> None:
        self.words: dict[str, Any] = {}
        self.used: set[str] = set()
        self._joins: list[Join] = []
        self._aliases = 0

    def word(self, value: Any) -> str:
        """A parameter that stands for `value`."""
        name = f"w{len(self.words)}"
        self.words[name] = value
        return f"${name}"

    def alias(self) -> str:
        """A new name for rows."""
        self._aliases += 1
        return f"e{self._aliases}"

    def table(self, name: str) -> str:
        """A set or link as SQL names it."""
        self.used.add(name)
        return f'"{name}"'

    # -- conditions ---------------------------------------------------------------------------------------------------

    def condition(self, node: Node, scope: Scope) -> str:
        """A condition on the entities of `scope`."""
        match node.data if isinstance(node, Tree) else "":
            case "any_of":
                return self._all([c for c in node.children if isinstance(c, Tree)], scope, "or")
            case "all_of":
                return self._all([c for c in node.children if isinstance(c, Tree)], scope, "and")
            case "negated":
                return f"(not {self.condition(node.children[1], scope)})"
            case _:
                return self._single(node, scope)

    def _all(self, nodes: list[Node], scope: Scope, word: str) -> str:
        parts = [self.condition(n, scope) for n in nodes]
        return parts[0] if len(parts) == 1 else f"({f' {word} '.join(parts)})"

    def _single(self, node: Node, scope: Scope) -> str:
        self._joins.append(Join())
        try:
            if node.data == "compared":
                first, sign, second = node.children
                said = self._compare(self.value(first, scope), str(sign), self.value(second, scope))
            elif node.data == "within":
                one, *others = (self.value(c, scope) for c in node.children)
                said = f"({' or '.join(self._compare(one, 'eq', other) for other in others)})"
            else:
                said = self.to(self.value(node, scope), "bool").text
        finally:
            join = self._joins.pop()
        return join.exists(said)

    def _compare(self, a: Sql, sign: str, b: Sql) -> str:
        if "null" in (a.type, b.type):
            return self._with_null(a, sign, b)
        if a.type in LOOSE and b.type not in LOOSE:
            a = self.to(a, "text" if b.type in ("date", "clock", "duration") else b.type)
        if b.type in LOOSE:
            b = self.to(b, "text" if a.type in LOOSE else a.type)
            a = self.to(a, "text") if a.type in LOOSE else a
        for kind in ("span", "time", "date", "clock", "duration", "bool", "number"):
            if kind in (a.type, b.type):
                a, b = self.to(a, kind), self.to(b, kind)
                break
        if a.type == "span":
            return _spans(a, sign, b)
        if a.type == "geo" or b.type == "geo":
            raise InputError("shapes are not compared so", "$filter", "as in st_equals(location, geography'POINT(1.5 42.5)')")
        return f"({a.text} {SIGNS[sign]} {b.text})"

    def _with_null(self, a: Sql, sign: str, b: Sql) -> str:
        other = b if a.type == "null" else a
        text = (
            f"coalesce(nullif({other.text}, 'null'), cast({other.number} as varchar))" if other.type == "result" else other.text
        )
        if sign not in ("eq", "ne"):
            return "false"
        return f"({text} is null)" if sign == "eq" else f"({text} is not null)"

    # -- values -------------------------------------------------------------------------------------------------------

    def value(self, node: Node, scope: Scope) -> Sql:
        """An expression on the entities of `scope`."""
        made = getattr(self, f"_{node.data}", None)
        if made is None:
            raise InputError(f'"{node.data}" is not understood', "$filter")
        found: Sql = made(node, scope)
        return found

    def _any_of(self, node: Node, scope: Scope) -> Sql:
        inner = [c for c in node.children if isinstance(c, Tree)]
        return self.value(inner[0], scope) if len(inner) == 1 else Sql(self.condition(node, scope), "bool")

    _all_of = _any_of

    def _truth(self, node: Node, scope: Scope) -> Sql:
        return Sql(self.condition(node, scope), "bool")

    _negated = _compared = _within = _truth

    def _number(self, node: Node, scope: Scope) -> Sql:
        text = str(node.children[0])
        return Sql(self.word(int(text) if text.isdecimal() and len(text) < 19 else float(text)), "number")

    def _text(self, node: Node, scope: Scope) -> Sql:
        said = str(node.children[0])[1:-1].replace("''", "'")
        return Sql(self.word(said), "text", value=said)

    def _boolean(self, node: Node, scope: Scope) -> Sql:
        return Sql(str(node.children[0]), "bool")

    def _null(self, node: Node, scope: Scope) -> Sql:
        return Sql("null", "null")

    def _moment(self, node: Node, scope: Scope) -> Sql:
        return Sql(f"cast({self.word(moment(str(node.children[0])))} as timestamp)", "time")

    def _span(self, node: Node, scope: Scope) -> Sql:
        return self._literal_span(str(node.children[0]))

    def _literal_span(self, text: str) -> Sql:
        begin, end = (f"cast({self.word(t)} as timestamp)" for t in span(text))
        return Sql(begin, "span", begin, end)

    def _date(self, node: Node, scope: Scope) -> Sql:
        return Sql(f"try_cast({self.word(str(node.children[0]))} as date)", "date")

    def _clock(self, node: Node, scope: Scope) -> Sql:
        return Sql(f"try_cast({self.word(str(node.children[0]))} as time)", "clock")

    def _duration(self, node: Node, scope: Scope) -> Sql:
        seconds = period(str(node.children[0])[len("duration'") : -1]).total_seconds()
        return Sql(f"to_microseconds(cast({self.word(round(seconds * 1e6))} as bigint))", "duration")

    def _geography(self, node: Node, scope: Scope) -> Sql:
        text = str(node.children[0]).split("'")[1]
        try:
            shape = shapely.from_wkt(text.split(";")[-1])
        except shapely.errors.ShapelyError as error:
            raise InputError(f'"{text[:80]}" is not a shape', "$filter", "as in geography'POINT(1.5 42.5)'") from error
        return Sql(f"cast({self.word(shapely.to_wkb(shape))} as blob)", "geo", value=shape)

    def _minus(self, node: Node, scope: Scope) -> Sql:
        return Sql(f"(-{self.to(self.value(node.children[0], scope), 'number')})", "number")

    def _arithmetic(self, node: Node, scope: Scope) -> Sql:
        a, sign, b = self.value(node.children[0], scope), SUMS[str(node.children[1])], self.value(node.children[2], scope)
        a, b = (replace(v, text=v.begin, type="time") if v.type == "span" else v for v in (a, b))
        if sign in "+-" and (a.type in ("time", "date") or b.type == "time"):
            gives = "duration" if b.type in ("time", "date") else "time"
            return Sql(f"({a} {sign} {b})", gives)
        if "duration" in (a.type, b.type):
            return Sql(f"({a} {sign} {b})", "duration")
        a, b = self.to(a, "number"), self.to(b, "number")
        return Sql(f"(cast({a} as double) {sign} {b})", "number")

    # -- paths --------------------------------------------------------------------------------------------------------

    def _path(self, node: Node, scope: Scope) -> Sql:
        steps = list(node.children)
        place = scope[""]
        if isinstance(steps[0], Token) and str(steps[0]) in scope:
            place = scope[str(steps.pop(0))]
            if not steps:
                return Sql(f"{place.alias}.id", "number")
        if isinstance(steps[-1], Tree):
            return self._quantified(place, steps, scope)
        return self._steps(place, [str(s) for s in steps])

    def _steps(self, place: Place, steps: list[str]) -> Sql:
        joined = self._goes_to_many(place.entities, steps)
        while steps:
            relation = place.entities.relation(steps[0])
            if relation is None:
                return self._property(place, steps)
            if not joined:
                return self._of_one(place, relation, steps[1:])
            place, steps = self._joined(place, relation), steps[1:]
        return Sql(f"{place.alias}.id", "number")

    @staticmethod
    def _goes_to_many(entities: Entities, steps: list[str]) -> bool:
        for step in steps:
            relation = entities.relation(step)
            if relation is None:
                return False
            if relation.many:
                return True
            entities = SETS[relation.target]
        return False

    def _of_one(self, place: Place, relation: Relation, rest: list[str]) -> Sql:
        if not rest or rest in (["@iot.id"], ["id"]):
            return Sql(f'{place.alias}."{relation.column}"', "number")
        there = Place(SETS[relation.target], self.alias())
        inner = self._steps(there, rest)
        source = f'from {self.table(relation.target)} {there.alias} where {there.alias}.id = {place.alias}."{relation.column}"'
        return inner.each(lambda text: f"(select {text} {source})")

    def _joined(self, place: Place, relation: Relation) -> Place:
        if not self._joins:
            raise InputError(f"{relation.name} are many", "query", "this needs a path to one entity")
        join = self._joins[-1]
        if (place.alias, relation.name) not in join.taken:
            there = Place(SETS[relation.target], self.alias())
            tables, conditions = self.relate(place, relation, there)
            join.tables += tables
            join.conditions += conditions
            join.taken[place.alias, relation.name] = there
        return join.taken[place.alias, relation.name]

    def relate(self, place: Place, relation: Relation, there: Place) -> tuple[list[str], list[str]]:
        """From-clauses and conditions that join the entities `there` to those at `place`."""
        table = f"{self.table(relation.target)} {there.alias}"
        if relation.link is not None:
            link, ours, theirs = relation.link
            pair = self.alias()
            return [f"{self.table(link)} {pair}", table], [
                f"{pair}.{ours} = {place.alias}.id",
                f"{there.alias}.id = {pair}.{theirs}",
            ]
        if relation.many:
            return [table], [f'{there.alias}."{relation.column}" = {place.alias}.id']
        return [table], [f'{there.alias}.id = {place.alias}."{relation.column}"']

    def _quantified(self, place: Place, steps: list[Any], scope: Scope) -> Sql:
        *names, tree = steps
        quantifier, variable, inner = str(tree.children[0]), str(tree.children[1]), tree.children[2]
        self._joins.append(Join())
        try:
            for name in names:
                relation = place.entities.relation(str(name))
                if relation is None:
                    known = [r.name for r in place.entities.relations]
                    raise InputError(f'no relation "{name}"', place.entities.name, nearest(str(name), known))
                place = self._joined(place, relation)
        finally:
            join = self._joins.pop()
        said = self.condition(inner, {**scope, variable: place})
        if quantifier == "any":
            return Sql(join.exists(said), "bool")
        return Sql(f"(not {join.exists(f'not coalesce({said}, false)')})", "bool")

    def _property(self, place: Place, steps: list[str]) -> Sql:
        name, rest = steps[0], steps[1:]
        alias, entities = place.alias, place.entities
        if name in ("@iot.id", "id") and not rest:
            return Sql(f"{alias}.id", "number")
        if name == "@iot.selfLink":
            return Sql(f"('{ROOT}/{entities.name}(' || {alias}.id || ')')", "text")
        found = entities.property(name)
        if found is None:
            known = [p.name for p in entities.properties] + [r.name for r in entities.relations]
            raise InputError(f'{entities.name} have no property "{name}"', "query", nearest(name, known))
        column = f'{alias}."{name}"'
        if rest and found.type in ("json", "geo", "result"):
            path = "$" + "".join(f"[{s}]" if s.isdecimal() else f'."{s}"' for s in rest)
            return Sql(f"json_extract_string({column}, {self.word(path)})", "json")
        if rest:
            raise InputError(f"{name} has no parts", "query", f"ask for {name}")
        return _column(alias, name, found.type, column)

    # -- calls and types ----------------------------------------------------------------------------------------------

    def _call(self, node: Node, scope: Scope) -> Sql:
        name = str(node.children[0])
        kinds = FUNCTIONS.get(name)
        if kinds is None:
            raise InputError(f'no function "{name}"', "$filter", nearest(name, FUNCTIONS))
        given = [self.value(c, scope) for c in node.children[1:] if c is not None]
        function = next((f for f in kinds if len(f.takes) == len(given)), None)
        if function is None:
            raise InputError(f"{name} takes {len(kinds[0].takes)} values, not {len(given)}", "$filter")
        arguments = [self.to(a, kind) for a, kind in zip(given, function.takes, strict=True)]
        if function.takes[:2] == ("geo", "geo"):
            return self._about_shapes(name, function, arguments)
        return Sql(function.sql.format(*arguments), function.gives)

    def _about_shapes(self, name: str, function: Function, given: list[Sql]) -> Sql:
        """A function of two shapes; where one is a literal and the other a point, arithmetic answers first."""
        sql = function.sql.format(*given)
        stored = next((g for g in given[:2] if g.lon), None)
        literal = next((g.value for g in given[:2] if g.value is not None), None)
        if stored is None or literal is None or literal.is_empty:
            return Sql(sql, function.gives)
        if name == "geo.distance" and literal.geom_type == "Point":
            x, y = self.word(literal.x), self.word(literal.y)
            near = f"sqrt(({stored.lon} - {x}) * ({stored.lon} - {x}) + ({stored.lat} - {y}) * ({stored.lat} - {y}))"
            return Sql(f"(case when {stored.lon} is not null then {near} else {sql} end)", "number")
        if name in TESTS and name != "st_disjoint":
            west, south, east, north = (self.word(v) for v in literal.bounds)
            inside = f"{stored.lon} between {west} and {east} and {stored.lat} between {south} and {north}"
            return Sql(f"(({stored.lon} is null or ({inside})) and {sql})", "bool")
        return Sql(sql, function.gives)

    def to(self, sql: Sql, kind: str) -> Sql:
        """`sql` as another type. Raises InputError where that has no meaning."""
        if sql.type == kind or sql.type == "null":
            return replace(sql, type=kind)
        change = CASTS.get((sql.type, kind))
        if change is not None:
            return Sql(change.format(sql), kind)
        if kind == "span":
            if sql.type == "text" and sql.value is not None:
                return self._literal_span(sql.value)
            one = self.to(sql, "time").text
            return Sql(one, "span", one, one)
        if sql.type == "span" and kind in ("time", "date", "clock"):
            return self.to(Sql(sql.begin, "time"), kind)
        raise InputError(f"{WORDS.get(sql.type, sql.type)} is given where {WORDS.get(kind, kind)} is needed", "$filter")


WORDS = {
    "text": "text", "number": "a number", "bool": "true or false", "time": "a time", "span": "a time", "geo": "a shape",
    "json": "a JSON value", "result": "a result", "date": "a date", "clock": "a time of day", "duration": "a duration",
}  # fmt: skip
TIMES = "cast(try_cast({0} as timestamptz) as timestamp)"
CASTS: dict[tuple[str, str], str] = {
    ("json", "text"): "{0}", ("json", "number"): "try_cast({0} as double)", ("json", "bool"): "try_cast({0} as boolean)",
    ("json", "time"): TIMES, ("json", "date"): "try_cast({0} as date)", ("result", "number"): "{0.number}",
    ("result", "text"): "{0.begin}", ("result", "bool"): "(case {0.end} when 'true' then true when 'false' then false end)",
    ("text", "number"): "try_cast({0} as double)", ("text", "time"): TIMES, ("text", "date"): "try_cast({0} as date)",
    ("text", "clock"): "try_cast({0} as time)", ("text", "bool"): "try_cast({0} as boolean)",
    ("time", "date"): "cast({0} as date)", ("time", "clock"): "cast({0} as time)", ("date", "time"): "cast({0} as timestamp)",
    ("number", "text"): "cast({0} as varchar)", ("bool", "text"): "cast({0} as varchar)",
}  # fmt: skip


def _column(alias: str, name: str, kind: str, column: str) -> Sql:
    match kind:
        case "geo":
            return Sql(f"{alias}.shape", "geo", lon=f"{alias}.lon", lat=f"{alias}.lat")
        case "json":
            return Sql(column, "json")
        case "result":
            return Sql(f"{alias}.result", "result", begin=f"{alias}.text", end=f"{alias}.result", number=f"{alias}.number")
        case "span":
            begin, end = SPANS.get(name, ("begin", "end"))
            return Sql(f'{alias}."{begin}"', "span", f'{alias}."{begin}"', f'{alias}."{end}"')
        case _:
            return Sql(column, kind)


SPANS = {"validTime": ("valid_begin", "valid_end"), "resultTime": ("result_begin", "result_end")}  # resultTime of Datastreams


def _spans(a: Sql, sign: str, b: Sql) -> str:
    match sign:
        case "eq":
            return f"({a.begin} = {b.begin} and {a.end} = {b.end})"
        case "ne":
            return f"({a.begin} is distinct from {b.begin} or {a.end} is distinct from {b.end})"
        case "lt" | "le":
            return f"({a.end} {SIGNS[sign]} {b.begin})"
        case _:
            return f"({a.begin} {SIGNS[sign]} {b.end})"


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
    """An ISO 8601 duration of days to seconds. Raises InputError."""
    import re

    found = re.fullmatch(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", text)
    if found is None or not any(found.groups()):
        raise InputError(f'"{text}" is not a duration', "query", "as in PT15M, PT1H or P1D")
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        return dt.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise InputError(f'"{text}" is too long', "query") from error
