"""Expressions of a query turned into SQL. Values go as named parameters, never into the text."""

from __future__ import annotations

from typing import Any

import shapely
from lark import Token, Tree

from citytwin.errors import InputError, nearest
from citytwin.server.sensorthings.expressions import Sql, cast, compared, literal
from citytwin.server.sensorthings.functions import FUNCTIONS, TESTS, Function
from citytwin.server.sensorthings.parsing import Node
from citytwin.server.sensorthings.paths import Join, Paths, Place
from citytwin.server.sensorthings.times import moment, period, span

SUMS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "divby": "/", "mod": "%"}

Scope = dict[str, Place]


class Compiler(Paths):
    """Makes SQL of conditions and values."""

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
        self.joins.append(Join())
        try:
            if node.data == "compared":
                first, sign, second = node.children
                said = compared(self.value(first, scope), str(sign), self.value(second, scope))
            elif node.data == "within":
                one, *others = (self.value(c, scope) for c in node.children)
                said = f"({' or '.join(compared(one, 'eq', other) for other in others)})"
            else:
                said = cast(self.value(node, scope), "bool").text
        finally:
            join = self.joins.pop()
        if join.tables and _is_no_value(node):
            return f"({join.exists(said)} or not {join.exists('true')})"
        return join.exists(said)

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
        when = moment(str(node.children[0]))
        return literal(when, when)

    def _span(self, node: Node, scope: Scope) -> Sql:
        return literal(*span(str(node.children[0])))

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
        return Sql(f"(-{cast(self.value(node.children[0], scope), 'number')})", "number")

    def _arithmetic(self, node: Node, scope: Scope) -> Sql:
        a, sign, b = self.value(node.children[0], scope), SUMS[str(node.children[1])], self.value(node.children[2], scope)
        if a.type == "span" and b.type == "duration" and sign in "+-":
            return a.each(lambda text: f"({text} {sign} {b})")
        a, b = (cast(v, "time") if v.type == "span" else v for v in (a, b))
        if sign in "+-" and (a.type in ("time", "date") or b.type in ("time", "date")):
            return Sql(f"({a} {sign} {b})", "duration" if a.type in ("time", "date") and b.type in ("time", "date") else "time")
        if "duration" in (a.type, b.type):
            return Sql(f"({a} {sign} {b})", "duration")
        a, b = cast(a, "number"), cast(b, "number")
        return Sql(f"(cast({a} as double) {sign} {b})", "number")

    def _path(self, node: Node, scope: Scope) -> Sql:
        steps = list(node.children)
        place = scope[""]
        if isinstance(steps[0], Token) and str(steps[0]) in scope:
            place = scope[str(steps.pop(0))]
            if not steps:
                return Sql(f"{place.alias}.id", "number")
        if isinstance(steps[-1], Tree):
            return self._quantified(place, steps, scope)
        return self.follow(place, [str(s) for s in steps])

    def _quantified(self, place: Place, steps: list[Any], scope: Scope) -> Sql:
        *names, tree = steps
        quantifier, variable, inner = str(tree.children[0]), str(tree.children[1]), tree.children[2]
        self.joins.append(Join())
        try:
            for name in names:
                relation = place.entities.relation(str(name))
                if relation is None:
                    known = [r.name for r in place.entities.relations]
                    raise InputError(f'no relation "{name}"', place.entities.name, nearest(str(name), known))
                place = self.joined(place, relation)
        finally:
            join = self.joins.pop()
        said = self.condition(inner, {**scope, variable: place})
        if quantifier == "any":
            return Sql(join.exists(said), "bool")
        return Sql(f"(not {join.exists(f'not coalesce({said}, false)')})", "bool")

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
        arguments = [cast(a, kind) for a, kind in zip(given, function.takes, strict=True)]
        if function.takes[:2] == ("geo", "geo"):
            return self._about_shapes(name, function, arguments)
        return Sql(function.sql(*arguments), function.gives)

    def _about_shapes(self, name: str, function: Function, given: list[Sql]) -> Sql:
        """A function of two shapes; where one is a literal and the other a point, arithmetic answers first."""
        sql = function.sql(*given)
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


def _is_no_value(node: Node) -> bool:
    """Whether a comparison asks for nothing (`eq null`): where a path leads to no entity there is no value either."""
    if node.data != "compared" or str(node.children[1]) != "eq":
        return False
    return any(isinstance(c, Tree) and c.data == "null" for c in (node.children[0], node.children[2]))
