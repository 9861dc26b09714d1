"""Questions of SensorThings answered by SQL: one query for a collection, and one for each relation that is expanded."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from lark import Token, Tree

from citytwin.errors import InputError, MissingError, nearest
from citytwin.server.sensorthings.city import HEARD, VIEWS, Mirror, observations
from citytwin.server.sensorthings.compiling import Compiler
from citytwin.server.sensorthings.kept import FEW, Kept, Wanted, place_of
from citytwin.server.sensorthings.model import SETS, Entities, Relation
from citytwin.server.sensorthings.parsing import Node, Options
from citytwin.server.sensorthings.paths import Place
from citytwin.server.sensorthings.times import moment, span

Row = dict[str, Any]
Numbers = np.ndarray[Any, np.dtype[Any]]
ROW = "e"  # the name of an entity's row in SQL
FIRST_DAYS = 2  # days that a question for the newest looks at first; each time four times as many


@dataclass(frozen=True)
class Parents:
    """The entities whose relation is asked for; `each`: a page for each of them, of at most `most` rows together."""

    entities: Entities
    relation: Relation
    ids: tuple[int, ...]
    each: bool = False
    most: int = 0


class Asking:
    """Answers from what clients made, what the city has, and what its devices said."""

    def __init__(self, mirror: Mirror, kept: Kept) -> None:
        self.mirror = mirror
        self.kept = kept
        self._begun: Numbers = np.full(len(mirror.ids), np.nan)  # when the readings of each device begin (s since 1970)

    # -- entities -----------------------------------------------------------------------------------------------------

    def rows(
        self,
        cursor: duckdb.DuckDBPyConnection,
        entities: Entities,
        options: Options,
        parents: Parents | None = None,
        ids: Sequence[int] | None = None,
    ) -> list[Row]:
        """Rows of `entities` that meet `options`, one more than the page has where there are more; `parent`: whose they are."""
        made = Question(self, entities, options, parents, ids)
        if entities.name != "Observations" or not options.orderby:
            return made.ask(cursor, None)
        return self._by_day(cursor, made, options)

    def _by_day(self, cursor: duckdb.DuckDBPyConnection, made: Question, options: Options) -> list[Row]:
        """Observations by their time: days are read from the near end on until no other day can hold what is asked for."""
        node, down = options.orderby[0]
        if _steps(node) != ["phenomenonTime"] or made.wanted.one is not None:
            return made.ask(cursor, None)
        days = self.kept.days()
        days = days[::-1] if down else days
        number = FIRST_DAYS
        while number < len(days):
            chosen = sorted(days[:number])
            rows = made.ask(cursor, chosen)
            edge = dt.datetime.fromisoformat(chosen[0] if down else chosen[-1]) + dt.timedelta(days=0 if down else 1)
            if made.whole(rows, edge, down):
                return rows
            number *= 4
        return made.ask(cursor, None)

    def count(
        self, cursor: duckdb.DuckDBPyConnection, entities: Entities, options: Options, parents: Parents | None = None
    ) -> dict[int, int]:
        """How many there are, for each of the parents; all under 0 where there are none."""
        return Question(self, entities, options, parents, None).count(cursor)

    def one(self, cursor: duckdb.DuckDBPyConnection, entities: Entities, id: int) -> Row:
        """One entity. Raises MissingError."""
        found = self.rows(cursor, entities, Options(), ids=(id,)) if abs(id) < 2**63 else []
        if not found:
            raise MissingError(f"no {entities.one} has the id {id}", entities.name)
        return found[0]

    def spans(self, cursor: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
        """Fill in when the Observations of Datastreams begin and end, where these are devices of the city."""
        ours = {row: r for r in rows if (row := self.mirror.rows.get(int(r["id"]))) is not None}
        chosen, begins, ends = self._from_to(cursor, np.array(list(ours), dtype=np.int64))
        for row, begin, end in zip(chosen.tolist(), begins.tolist(), ends.tolist(), strict=True):
            each = ours[row]
            each["begin"] = min(filter(None, (each["begin"], _utc(begin))))
            each["end"] = max(filter(None, (each["end"], _utc(end))))

    def heard(self, cursor: duckdb.DuckDBPyConnection) -> pa.Table:
        """From when to when there are Observations of each device that was heard."""
        chosen, *times = self._from_to(cursor, np.arange(len(self.mirror.ids)))
        begins, ends = (pa.array(np.round(t * 1e6).astype(np.int64)).cast(pa.timestamp("us")) for t in times)
        return pa.table({"id": self.mirror.ids[chosen], "begin": begins, "end": ends}, HEARD)

    def _from_to(self, cursor: duckdb.DuckDBPyConnection, rows: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Those of `rows` of devices that were heard, and when first and last (s since 1970)."""
        last = self.kept.last()
        rows = rows[last[rows] > 0]
        self._find_begins(cursor, rows[np.isnan(self._begun[rows])])
        return rows, np.fmin(self._begun[rows], last[rows]), last[rows]

    def areas(self, cursor: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
        """Fill in where Datastreams of clients observed, where these do not say it: the box around their features."""
        named = {int(r["id"]): r for r in rows if r["observedArea"] is None and int(r["id"]) not in self.mirror.rows}
        if not named:
            return
        words = {"ids": list(named)}
        made = """select o."Datastream", geo_bounds(list(distinct f.shape)) from own."Observations" o join ({}) f
            on f.id = o."FeatureOfInterest" where o."Datastream" in (select unnest($ids::bigint[])) group by 1"""
        for id, area in cursor.execute(made.format(VIEWS["FeaturesOfInterest"]), words).fetchall():
            named[int(id)]["observedArea"] = area

    def _find_begins(self, cursor: duckdb.DuckDBPyConnection, rows: Numbers) -> None:
        keys = {self.mirror.keys[r]: r for r in rows.tolist()}
        for day in self.kept.days():
            if not keys:
                return
            words: dict[str, Any] = {}
            wanted = Wanted(devices=tuple(keys) if len(keys) <= FEW else None)
            found = self.kept.rows(cursor, wanted, words, [day])
            for key, begin in cursor.execute(f"select device, epoch(min(time)) from ({found}) group by 1", words).fetchall():
                if key in keys:
                    self._begun[keys.pop(key)] = float(begin)


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)


class Question:
    """One question, which can be asked of some days only."""

    def __init__(
        self, asking: Asking, entities: Entities, options: Options, parents: Parents | None, ids: Sequence[int] | None
    ) -> None:
        self._asking, self._entities, self._options, self._parents = asking, entities, options, parents
        self.compiler = compiler = Compiler()
        here = Place(entities, ROW)
        self._tables, self._conditions = [f"{compiler.table(entities.name)} {ROW}"], ["true"]
        self._parent = "0"
        if parents is not None:
            self._of_parents(parents)
        if ids is not None:
            self._conditions.append(f"{ROW}.id in (select unnest({compiler.word(list(ids))}::bigint[]))")
        if options.filter is not None:
            self._conditions.append(compiler.condition(options.filter, {"": here}))
        self._order = [_ordered(compiler, here, node, down) for node, down in options.orderby]
        self.wanted = self._wanted(ids) if "Observations" in compiler.used else Wanted()

    def _of_parents(self, parents: Parents) -> None:
        relation, word = parents.relation, self.compiler.word
        if relation.link is not None:
            link, ours, theirs = relation.link
            self._tables.append(f"{self.compiler.table(link)} l")
            self._conditions.append(f"l.{theirs} = {ROW}.id")
            self._parent = f"l.{ours}"
        else:
            self._parent = f'{ROW}."{relation.column}"'
        if len(parents.ids) == 1:
            self._conditions.append(f"{self._parent} = {word(parents.ids[0])}")
        else:
            self._conditions.append(f"{self._parent} in (select unnest({word(list(parents.ids))}::bigint[]))")

    def _wanted(self, ids: Sequence[int] | None) -> Wanted:
        if self._entities.name != "Observations":
            return Wanted()
        if ids is not None and len(ids) == 1:
            place = place_of(ids[0])
            return Wanted(one=place) if place is not None else Wanted(devices=())
        wanted = bounds(self._options.filter)
        if self._parents is not None:
            keys = (self._asking.mirror.key(i) for i in self._parents.ids)
            return replace(wanted, devices=tuple(k for k in keys if k is not None))
        streams = _streams(self._options.filter)
        if streams is not None:
            keys = (self._asking.mirror.key(i) for i in streams)
            return replace(wanted, devices=tuple(k for k in keys if k is not None))
        return wanted

    def _run(self, cursor: duckdb.DuckDBPyConnection, query: str, days: list[str] | None) -> duckdb.DuckDBPyConnection:
        words = dict(self.compiler.words)
        parts = []
        for name in sorted(self.compiler.used):
            if name == "Observations":
                view = observations(self._asking.kept.rows(cursor, self.wanted, words, days))
            elif name == "Datastreams" and self.compiler.hears:
                cursor.register("heard_now", self._asking.heard(cursor))
                view = VIEWS[name].replace("main.heard", "heard_now")
            else:
                view = VIEWS[name]
            parts.append(f'"{name}" as not materialized ({view})')
        query = f"with {', '.join(parts)} {query}"
        named = set(re.findall(r"\$(\w+)", query))  # a literal that became another type leaves its first word behind
        return cursor.execute(query, {name: value for name, value in words.items() if name in named})

    def ask(self, cursor: duckdb.DuckDBPyConnection, days: list[str] | None) -> list[Row]:
        """The rows of a page and one more; from Observations of `days` only."""
        skip, most = self._options.skip, self._options.page + 1
        order = ", ".join([*self._order, f"{ROW}.id"])
        columns = ", ".join(f'{ROW}."{c}"' for c in columns_of(self._entities))
        body = f"from {', '.join(self._tables)} where {' and '.join(self._conditions)}"
        if self._parents is not None and self._parents.each:
            number = f"row_number() over (partition by {self._parent} order by {order}) as place"
            inner = f"select {self._parent} as parent, {columns}, {number} {body}"
            shown = f"place > {skip} and place <= {skip + most} order by parent, place limit {self._parents.most + 1}"
            query = f"select * from ({inner}) where {shown}"
        else:
            query = f"select {self._parent} as parent, {columns} {body} order by {order} limit {most} offset {skip}"
        answer = self._run(cursor, query, days)
        names = [d[0] for d in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def groups(
        self, cursor: duckdb.DuckDBPyConnection, selected: list[str], keys: int, most: int, skip: int
    ) -> list[tuple[Any, ...]]:
        """Rows of `selected`, of which the first so many are keys to group and order by."""
        body = f"from {', '.join(self._tables)} where {' and '.join(self._conditions)}"
        by = ", ".join(str(i + 1) for i in range(keys))
        grouped = f"group by {by} order by {by}" if keys else ""
        query = f"select {', '.join(selected)} {body} {grouped} limit {most} offset {skip}"
        return self._run(cursor, query, None).fetchall()

    def whole(self, rows: list[Row], edge: dt.datetime, down: bool) -> bool:
        """Whether `rows` of the days up to `edge` are what all days would give: a full page for each parent, all inside."""
        need = self._options.page + 1
        groups = defaultdict(list)
        for row in rows:
            groups[row["parent"]].append(row)
        if self._parents is not None and self._parents.each:
            full = len(groups) == len(set(self._parents.ids)) and all(len(g) >= need for g in groups.values())
        else:
            full = len(rows) >= need
        return full and all(row["begin"] >= edge if down else row["begin"] < edge for row in rows)

    def count(self, cursor: duckdb.DuckDBPyConnection) -> dict[int, int]:
        """How many there are, by parent."""
        body = f"from {', '.join(self._tables)} where {' and '.join(self._conditions)}"
        found = self._run(cursor, f"select {self._parent} as parent, count(*) {body} group by 1", None).fetchall()
        return {int(p): int(n) for p, n in found}


def columns_of(entities: Entities) -> list[str]:
    """The columns of SQL that an entity of the set is made of."""
    out = ["id"]
    for each in entities.properties:
        if each.name == "phenomenonTime":
            out += ["begin", "end"]
        elif each.name == "validTime":
            out += ["valid_begin", "valid_end"]
        elif each.name == "resultTime" and each.type == "span":
            out += ["result_begin", "result_end"]
        elif each.type == "result":
            out += ["result", "number"]
        else:
            out.append(each.name)
    return out + [r.column for r in entities.relations if not r.many]


def _ordered(compiler: Compiler, here: Place, node: Node, down: bool) -> str:
    way = "desc nulls last" if down else "asc nulls last"
    said = compiler.value(node, {"": here})
    if said.text.startswith("$") or said.type == "null":
        raise InputError("what is the same for all gives no order", "$orderby", "order by a property, as in name desc")
    if said.type == "result":
        return f"{said.number} {way}, {said.begin} {way}"
    return f"{said.order or said.begin or said.text} {way}"


def _steps(node: Any) -> list[str]:
    """The steps of a plain path; nothing for anything else."""
    while isinstance(node, Tree) and node.data in ("any_of", "all_of") and len(node.children) == 1:
        node = node.children[0]
    if isinstance(node, Tree) and node.data == "path" and all(isinstance(c, Token) for c in node.children):
        return [str(c) for c in node.children]
    return []


def _parts(node: Node | None) -> list[Node]:
    """The conditions that must all hold."""
    if not isinstance(node, Tree):
        return []
    inner = [c for c in node.children if isinstance(c, Tree)]
    if node.data == "all_of" or (node.data == "any_of" and len(inner) == 1):
        return [part for each in inner for part in _parts(each)]
    return [node]


def bounds(node: Node | None) -> Wanted:
    """The window of time that a filter on Observations leaves, so that only its days are read."""
    begin, end = None, None
    for part in _parts(node):
        since, until = _window(part)
        begin = max(filter(None, (begin, since)), default=None)
        end = min(filter(None, (end, until)), default=None)
    return Wanted(begin=begin, end=end)


def _window(part: Node) -> tuple[dt.datetime | None, dt.datetime | None]:
    nothing = (None, None)
    if part.data == "call" and str(part.children[0]) == "during" and len(part.children) == 3:
        times = _literal(part.children[2])
        return times if times is not None and _steps(part.children[1]) == ["phenomenonTime"] else nothing
    if part.data != "compared":
        return nothing
    first, sign, second = part.children[0], str(part.children[1]), part.children[2]
    if _steps(first) != ["phenomenonTime"] or (times := _literal(second)) is None:
        return nothing
    match sign:
        case "gt" | "ge":
            return times[0], None
        case "lt" | "le":
            return None, times[1]
        case "eq":
            return times
        case _:
            return nothing


def _literal(node: Any) -> tuple[dt.datetime, dt.datetime] | None:
    while isinstance(node, Tree) and node.data in ("any_of", "all_of") and len(node.children) == 1:
        node = node.children[0]
    if not isinstance(node, Tree) or node.data not in ("moment", "span", "text"):
        return None
    text = str(node.children[0]).strip("'")
    try:
        return span(text) if "/" in text else (moment(text), moment(text))
    except InputError:
        return None


def _streams(node: Node | None) -> list[int] | None:
    """The Datastreams that a filter on Observations names by `Datastream/@iot.id eq n`."""
    for part in _parts(node):
        if part.data == "compared" and str(part.children[1]) == "eq":
            steps, value = _steps(part.children[0]), part.children[2]
            if (
                steps in (["Datastream", "@iot.id"], ["Datastream", "id"])
                and isinstance(value, Tree)
                and value.data == "number"
            ):
                return [int(float(str(value.children[0])))]
    return None


def set_of(name: str) -> Entities:
    """The entity set called `name`. Raises MissingError with the nearest name."""
    if name not in SETS:
        raise MissingError(f'no entity set "{name}"', "path", nearest(name, SETS))
    return SETS[name]
