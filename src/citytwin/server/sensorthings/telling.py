"""Entities as JSON: control information, links, times, and what is expanded inside them (OGC 18-088, clauses 8 and 9)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import duckdb
import msgspec

from citytwin.errors import InputError, nearest
from citytwin.server.sensorthings.asking import Asking, Parents, Row
from citytwin.server.sensorthings.model import SETS, Entities, Relation
from citytwin.server.sensorthings.parsing import Expansion, Options

Entity = dict[str, Any]
LARGEST = 250_000  # expanded entities of one answer
ARRAY = ("id", "phenomenonTime", "result", "resultTime", "resultQuality", "validTime", "parameters")


@dataclass
class Telling:
    """Writes entities; `root` is the address of the service."""

    asking: Asking
    root: str
    left: int = LARGEST  # entities that may still be expanded in this answer

    # -- collections --------------------------------------------------------------------------------------------------

    def collection(
        self, cursor: duckdb.DuckDBPyConnection, entities: Entities, options: Options, path: str, parents: Parents | None = None
    ) -> dict[str, Any]:
        """A page of a collection at `path`, with the link to the next."""
        rows = self.asking.rows(cursor, entities, options, parents)
        page = rows[: options.page]
        answer: dict[str, Any] = {}
        if options.count:
            counts = self.asking.count(cursor, entities, options, parents)
            answer["@iot.count"] = sum(counts.values())
        if len(rows) > options.page > 0:
            answer["@iot.nextLink"] = f"{self.root}/{path}?{next_page(options)}"
        told = self.entities(cursor, entities, page, options)
        answer["value"] = self._arrays(page, told) if options.arrays else told
        return answer

    def references(self, rows: list[Row], entities: Entities) -> list[Entity]:
        """Only the addresses."""
        return [{"@iot.selfLink": self.address(entities, r["id"])} for r in rows]

    def _arrays(self, rows: list[Row], told: list[Entity]) -> list[dict[str, Any]]:
        """Observations by Datastream, as arrays (OGC 18-088, clause 13)."""
        streams: dict[int, list[Entity]] = defaultdict(list)
        for row, entity in zip(rows, told, strict=True):
            streams[row["Datastream"]].append(entity)
        names = [n for n in ARRAY if not told or ("@iot.id" if n == "id" else n) in told[0]]
        return [
            {
                "Datastream@iot.navigationLink": self.address(SETS["Datastreams"], stream), "components": names,
                "dataArray@iot.count": len(each),
                "dataArray": [[e["@iot.id"] if n == "id" else e[n] for n in names] for e in each],
            }
            for stream, each in streams.items()
        ]  # fmt: skip

    # -- entities -----------------------------------------------------------------------------------------------------

    def address(self, entities: Entities, id: int) -> str:
        """Where an entity is."""
        return f"{self.root}/{entities.name}({id})"

    def entities(
        self, cursor: duckdb.DuckDBPyConnection, entities: Entities, rows: list[Row], options: Options
    ) -> list[Entity]:
        """Rows as entities, with what is to be selected and expanded."""
        known = {"id", *(p.name for p in entities.properties), *(r.name for r in entities.relations)}
        for name in options.select or ():
            if name not in known:
                raise InputError(f'{entities.name} have no property "{name}"', "$select", nearest(name, known))
        if entities.name == "Datastreams" and (
            options.select is None or {"phenomenonTime", "resultTime"} & set(options.select)
        ):
            self.asking.spans(cursor, rows)
        if entities.name == "Datastreams" and (options.select is None or "observedArea" in options.select):
            self.asking.areas(cursor, rows)
        told = [self._entity(entities, row, options) for row in rows]
        for each in options.expand:
            relation = entities.relation(each.name)
            if relation is None:
                names = [r.name for r in entities.relations]
                raise InputError(f'{entities.name} have no relation "{each.name}"', "$expand", nearest(each.name, names))
            if rows:
                self._expand(cursor, entities, relation, each, rows, told)
        return told

    def _entity(self, entities: Entities, row: Row, options: Options) -> Entity:
        chosen = None if options.select is None else set(options.select)
        address = self.address(entities, row["id"])
        out: Entity = {}
        if chosen is None or "id" in chosen:
            out |= {"@iot.id": row["id"], "@iot.selfLink": address}
        for each in entities.properties:
            if chosen is None or each.name in chosen:
                value = value_of(row, each.name, each.type)
                if value is not None or each.needed or (entities.name == "Observations" and each.name in ("resultTime",)):
                    out[each.name] = value
                elif chosen is not None or (entities.name == "Observations" and options.arrays):
                    out[each.name] = None
        expanded = {e.name for e in options.expand}
        for relation in entities.relations:
            if relation.name not in expanded and (chosen is None or relation.name in chosen):
                out[f"{relation.name}@iot.navigationLink"] = f"{address}/{relation.name}"
        return out

    def _expand(
        self,
        cursor: duckdb.DuckDBPyConnection,
        entities: Entities,
        relation: Relation,
        asked: Expansion,
        rows: list[Row],
        told: list[Entity],
    ) -> None:
        target, options = SETS[relation.target], asked.options
        if not relation.many:
            ids = sorted({int(r[relation.column]) for r in rows if r[relation.column] is not None})
            found = self.asking.rows(cursor, target, replace(options, top=len(ids), skip=0), ids=ids)
            self._spend(len(found))
            by_id = dict(zip((r["id"] for r in found), self.entities(cursor, target, found, options), strict=True))
            for row, entity in zip(rows, told, strict=True):
                entity[relation.name] = by_id.get(row[relation.column])
            return
        parents = Parents(entities, relation, tuple(dict.fromkeys(int(r["id"]) for r in rows)), True, self.left)
        children = self.asking.rows(cursor, target, options, parents)
        self._spend(len(children))
        groups: dict[int, list[Row]] = defaultdict(list)
        for row in children:
            groups[row["parent"]].append(row)
        counts = self.asking.count(cursor, target, options, parents) if options.count else {}
        shown = {parent: group[: options.page] for parent, group in groups.items()}
        flat = self.entities(cursor, target, [r for g in shown.values() for r in g], options)
        at = 0
        parts: dict[int, list[Entity]] = {}
        for parent, group in shown.items():
            parts[parent], at = flat[at : at + len(group)], at + len(group)
        for row, entity in zip(rows, told, strict=True):
            self._put(entities, relation, options, row["id"], entity, parts, groups, counts)

    def _spend(self, number: int) -> None:
        self.left -= number
        if self.left < 0:
            raise InputError(f"more than {LARGEST} entities are expanded", "$expand", "ask for fewer with $top")

    def _put(
        self, entities: Entities, relation: Relation, options: Options, id: int, entity: Entity,
        parts: dict[int, list[Entity]], groups: dict[int, list[Row]], counts: dict[int, int],
    ) -> None:  # fmt: skip
        """The expanded entities of one entity."""
        name = relation.name
        if options.count:
            entity[f"{name}@iot.count"] = counts.get(id, 0)
        entity[name] = parts.get(id, [])
        if len(groups.get(id, [])) > options.page > 0:
            entity[f"{name}@iot.nextLink"] = f"{self.address(entities, id)}/{name}?{next_page(options)}"


def next_page(options: Options) -> str:
    """The options of the page after this one."""
    said = dict(options.text)
    said["$top"] = str(options.page)
    said["$skip"] = str(options.skip + options.page)
    return urlencode(said, safe="$,/()'=:;", quote_via=quote)


def value_of(row: Row, name: str, kind: str) -> Any:
    """A property as JSON."""
    if name == "phenomenonTime":
        text = span_text(row["begin"], row["end"])
        whole = text is not None and "result" not in row and "/" not in text  # of a Datastream: always from when to when
        return f"{text}/{text}" if whole else text
    if name == "validTime":
        return span_text(row["valid_begin"], row["valid_end"])
    if kind == "span":
        begin, end = row["result_begin"], row["result_end"]
        return None if begin is None else f"{time_text(begin)}/{time_text(end)}"
    if kind == "result":
        if row["result"] is not None:
            return msgspec.Raw(row["result"].encode())
        return row["number"]
    value = row[name]
    if value is None:
        return None
    if kind in ("json", "geo"):
        return msgspec.Raw(value.encode())
    return time_text(value) if kind == "time" else value


def time_text(when: dt.datetime) -> str:
    """A moment as ISO 8601 in UTC, to the millisecond, or finer where it is."""
    return when.isoformat(timespec="microseconds" if when.microsecond % 1000 else "milliseconds") + "Z"


def span_text(begin: dt.datetime | None, end: dt.datetime | None) -> str | None:
    """A moment, or `begin/end`."""
    if begin is None:
        return None
    return time_text(begin) if end is None or end == begin else f"{time_text(begin)}/{time_text(end)}"
