"""Paths of a query over the entity sets, turned into SQL.

A path over relations to one entity becomes a subquery. Where a path goes over a relation to many, the comparison holds if it
holds for any of them: `exists (...)` around that comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from citytwin.errors import InputError, nearest
from citytwin.server.sensorthings.expressions import Sql, column
from citytwin.server.sensorthings.model import ROOT, SETS, Entities, Relation

MOST = 64  # relations, and tables of pairs, that one question goes over


@dataclass
class Place:
    """Where a path starts: an entity set and the name of its row in SQL."""

    entities: Entities
    alias: str


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


class Paths:
    """Makes SQL of paths; `words` are the values of its parameters, `used` the sets and links it names."""

    def __init__(self) -> None:
        self.words: dict[str, Any] = {}
        self.used: set[str] = set()
        self.hears = False  # whether it is about when Datastreams have Observations
        self.joins: list[Join] = []  # of the comparisons that are being made, the innermost last
        self._aliases = 0

    def word(self, value: Any) -> str:
        """A parameter that stands for `value`."""
        name = f"w{len(self.words)}"
        self.words[name] = value
        return f"${name}"

    def alias(self) -> str:
        """A new name for rows. Raises InputError where a question has gone over too many relations."""
        self._aliases += 1
        if self._aliases > MOST:
            raise InputError("it goes over too many relations", "query", f"at most {MOST}")
        return f"e{self._aliases}"

    def table(self, name: str) -> str:
        """A set or link as SQL names it."""
        self.used.add(name)
        return f'"{name}"'

    def follow(self, place: Place, steps: list[str]) -> Sql:
        """The property, or the id of the entity, at the end of `steps`."""
        joined = self._goes_to_many(place.entities, steps)
        while steps:
            relation = place.entities.relation(steps[0])
            if relation is None:
                return self._property(place, steps)
            if not joined:
                return self._of_one(place, relation, steps[1:])
            place, steps = self.joined(place, relation), steps[1:]
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
        inner = self.follow(there, rest)
        source = f'from {self.table(relation.target)} {there.alias} where {there.alias}.id = {place.alias}."{relation.column}"'
        return inner.each(lambda text: f"(select {text} {source})")

    def joined(self, place: Place, relation: Relation) -> Place:
        """The rows of a relation, joined to the comparison that is being made."""
        if not self.joins:
            raise InputError(f"{relation.name} are many", "query", "this needs a path to one entity")
        join = self.joins[-1]
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
        if rest and found.type in ("json", "geo", "result"):
            return Sql(f'json_extract_string({alias}."{name}", {self.word(json_path(rest))})', "json")
        if rest:
            raise InputError(f"{name} has no parts", "query", f"ask for {name}")
        self.hears |= (entities.name, name) == ("Datastreams", "phenomenonTime")
        return column(alias, name, found.type)


def json_path(steps: list[str]) -> str:
    """Where a value is inside a JSON value, as DuckDB writes it: `a/b[0]` is `$."a"."b"[0]`."""
    out = "$"
    for step in steps:
        name, *places = step.replace("]", "").split("[")
        parts = [*([name] if name else []), *places]
        out += "".join(f"[{p}]" if p.isdecimal() else f'."{p}"' for p in parts)
    return out
