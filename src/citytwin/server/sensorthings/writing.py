"""Entities made, changed and deleted by clients (OGC 18-088, clause 10).

What is said of the city's own devices is kept beside the city: a changed entity as a copy that takes its place, a deleted one
as hidden; the city itself stays as it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import duckdb

from citytwin.errors import InputError, MissingError
from citytwin.io.stores.sensing import SensingStore
from citytwin.server.sensorthings.asking import Asking, Parents
from citytwin.server.sensorthings.bodies import Body, Columns, checked, columns, link_of, only_links
from citytwin.server.sensorthings.city import VIEWS
from citytwin.server.sensorthings.model import CASCADES, SETS, Entities, Relation
from citytwin.server.sensorthings.parsing import Options

Cursor = duckdb.DuckDBPyConnection
THINGS, LOCATIONS, STREAMS, OBSERVATIONS = (SETS[n] for n in ("Things", "Locations", "Datastreams", "Observations"))
FEATURES, HISTORICAL = SETS["FeaturesOfInterest"], SETS["HistoricalLocations"]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


class Change:
    """One change within the transaction of `cursor`."""

    def __init__(self, asking: Asking, store: SensingStore, cursor: Cursor) -> None:
        self._asking, self._store, self._cursor = asking, store, cursor
        self._found: dict[tuple[str, int], bool] = {}
        self._features: dict[int, int] = {}  # of a Datastream, the feature that its Observations have if they name none

    # -- make ---------------------------------------------------------------------------------------------------------

    def make(self, entities: Entities, said: Any, given: dict[str, int] | None = None, depth: int = 0) -> int:
        """Make an entity, and those inside it, with `given` links to what it is made under; its id."""
        if depth > 8:
            raise InputError("too many entities within entities", "body", "at most 8")
        body = checked(entities, said)
        values = columns(entities, body)
        for relation in entities.relations:
            if not relation.many:
                values[relation.column] = self._one_end(entities, relation, body, given or {}, depth)
        if entities is OBSERVATIONS:
            self._complete_observation(values)
        id = self._store.next_ids(self._cursor) * (2 if entities is OBSERVATIONS else 1)
        self._insert(entities, {"id": id, **values})
        for relation in entities.relations:
            if relation.many and relation.name in body:
                self._many_end(entities, id, relation, body[relation.name], depth)
        if entities is HISTORICAL:
            self._move_to(id, int(values["Thing"]))
        return id

    def _move_to(self, historical: int, thing: int) -> None:
        """Where a Thing was at its newest time is where it is now (requirement historical-location-manual-creation)."""
        newest = self._cursor.execute(
            f"""select id from ({VIEWS["HistoricalLocations"]}) where "Thing" = $thing order by time desc, id desc limit 1""",
            {"thing": thing},
        ).fetchone()
        if newest != (historical,):
            return
        places = self._cursor.execute(
            "select location from own.was_located where historical = $id", {"id": historical}
        ).fetchall()
        if places:
            self._replace_links("located", "thing", thing, [(thing, int(each)) for (each,) in places])

    def _one_end(self, entities: Entities, relation: Relation, body: Body, given: dict[str, int], depth: int) -> int | None:
        if relation.name in given:
            return given[relation.name]
        if body.get(relation.name) is None:
            if relation.name == "FeatureOfInterest":
                return None
            raise InputError(f"a {entities.one} needs a {relation.name}", "body", f'as in "{relation.name}": {{"@iot.id": 7}}')
        id = link_of(body[relation.name])
        if id is None:
            return self.make(SETS[relation.target], body[relation.name], depth=depth + 1)
        self.must_be(SETS[relation.target], id)
        return id

    def _many_end(self, entities: Entities, id: int, relation: Relation, said: Any, depth: int) -> None:
        if not isinstance(said, list):
            raise InputError(f"{relation.name} is a list", "body")
        target = SETS[relation.target]
        if relation.link is None:
            for each in said:
                other = link_of(each)
                if other is None:
                    self.make(target, each, {entities.one: id}, depth + 1)
                else:
                    self._adopt(relation, id, [other])
            return
        ids = []
        for each in said:
            other = link_of(each)
            if other is None:
                other = self.make(target, each, depth=depth + 1)
            self.must_be(target, other)
            ids.append(other)
        self.pair(entities, id, relation, ids)

    def pair(self, entities: Entities, id: int, relation: Relation, ids: list[int]) -> None:
        """Join an entity to others of a relation of many to many."""
        if (entities, relation.target) == (THINGS, "Locations"):
            self.place(id, ids)
        elif (entities, relation.target) == (LOCATIONS, "Things"):
            for thing in ids:
                self.place(thing, [id])
        elif entities is HISTORICAL:
            self._replace_links("was_located", "historical", id, [(id, other) for other in ids])
        else:
            self._cursor.executemany("insert into own.was_located values ($a, $b)", [{"a": o, "b": id} for o in ids])

    def place(self, thing: int, locations: list[int]) -> None:
        """Say where a Thing is from now on; where it was stays known as a HistoricalLocation."""
        self._replace_links("located", "thing", thing, [(thing, each) for each in locations])
        if not locations:
            return
        historical = self._store.next_ids(self._cursor)
        self._insert(HISTORICAL, {"id": historical, "time": _now(), "Thing": thing})
        for each in locations:
            self._cursor.execute("insert into own.was_located values ($a, $b)", {"a": historical, "b": each})

    def _adopt(self, relation: Relation, id: int, ids: list[int]) -> None:
        """Make entities of the many side of a relation those of entity `id`."""
        target = SETS[relation.target]
        for each in ids:
            self.must_be(target, each)
            if self._asking.one(self._cursor, target, each)[relation.column] != id:
                self._own(target, each)
                words = {"id": id, "each": each}
                self._cursor.execute(f'update own."{target.name}" set "{relation.column}" = $id where id = $each', words)

    def _replace_links(self, link: str, column: str, id: int, pairs: list[tuple[int, int]]) -> None:
        self._cursor.execute(f"delete from own.{link} where {column} = $id", {"id": id})
        if id in self._asking.mirror.rows:
            self._hide(link, id, gone=True)
        for a, b in pairs:
            self._cursor.execute(f"insert into own.{link} values ($a, $b)", {"a": a, "b": b})

    def _complete_observation(self, values: Columns) -> None:
        now = _now()
        values.setdefault("begin", now)
        values.setdefault("end", values["begin"])
        if values["Datastream"] in self._asking.mirror.rows:
            raise InputError("Observations of a device of the city are posted one by one or as data arrays", "Datastream")
        if values["FeatureOfInterest"] is None:
            values["FeatureOfInterest"] = self.feature(values["Datastream"])

    def observation(self, stream: int, said: Any) -> Columns:
        """The columns of an Observation of a Datastream that a client made. Raises InputError."""
        body = checked(OBSERVATIONS, said)
        self.must_be(STREAMS, stream)
        values = {**columns(OBSERVATIONS, body), "Datastream": stream, "FeatureOfInterest": None}
        if body.get("FeatureOfInterest") is not None:
            feature = link_of(body["FeatureOfInterest"])
            values["FeatureOfInterest"] = feature if feature is not None else self.make(FEATURES, body["FeatureOfInterest"])
            self.must_be(FEATURES, int(values["FeatureOfInterest"]))
        self._complete_observation(values)
        return values

    def feature(self, stream: int) -> int:
        """The feature of interest that follows from where the Thing of a Datastream is. Raises InputError."""
        if stream not in self._features:
            thing = int(self._asking.one(self._cursor, STREAMS, stream)["Thing"])
            relation = THINGS.relation("Locations")
            assert relation is not None
            places = self._asking.rows(self._cursor, LOCATIONS, Options(), Parents(THINGS, relation, (thing,)))
            if not places:
                raise InputError("an Observation needs a FeatureOfInterest where its Thing has no Location", "body")
            told = [p for p in places if "geo" in str(p["encodingType"]).lower()]
            self._features[stream] = self._feature_at((told or places)[-1])
        return self._features[stream]

    def _feature_at(self, place: dict[str, Any]) -> int:
        id = int(place["id"])
        if id in self._asking.mirror.rows and self.there(FEATURES, id):
            return id
        found = self._cursor.execute("select feature from own.generated where location = $id", {"id": id}).fetchone()
        if found is not None:
            return int(found[0])
        shape = self._cursor.execute(
            f"select shape, lon, lat from ({VIEWS['Locations']}) where id = $id",
            {"id": id},
        ).fetchone() or (None, None, None)
        feature = self._store.next_ids(self._cursor)
        names = ("name", "description", "properties", "encodingType")
        self._insert(FEATURES, {
            "id": feature, **{n: place[n] for n in names}, "feature": place["location"],
            "shape": shape[0], "lon": shape[1], "lat": shape[2],
        })  # fmt: skip
        self._cursor.execute("insert into own.generated values ($a, $b)", {"a": id, "b": feature})
        return feature

    def _insert(self, entities: Entities, values: Columns) -> None:
        names = ", ".join(f'"{n}"' for n in values)
        words = {f"v{i}": v for i, v in enumerate(values.values())}
        self._cursor.execute(f'insert into own."{entities.name}" ({names}) values ({", ".join("$" + w for w in words)})', words)

    def there(self, entities: Entities, id: int) -> bool:
        """Whether an entity exists."""
        if (entities.name, id) not in self._found:
            try:
                self._asking.one(self._cursor, entities, id)
                self._found[entities.name, id] = True
            except MissingError:
                self._found[entities.name, id] = False
        return self._found[entities.name, id]

    def must_be(self, entities: Entities, id: int) -> None:
        """Raise InputError where an entity that is linked to does not exist."""
        if not self._found.get((entities.name, id), True):  # it may have been made since
            del self._found[entities.name, id]
        if not self.there(entities, id):
            raise InputError(f"no {entities.one} has the id {id}", entities.one)

    # -- change -------------------------------------------------------------------------------------------------------

    def update(self, entities: Entities, id: int, said: Any, whole: bool) -> None:
        """Change an entity: what `said` names (PATCH), or all of it (`whole`, PUT), its relations only where they are named."""
        before = self._asking.one(self._cursor, entities, id)
        body = checked(entities, said)
        shaped = next((p.name for p in entities.properties if p.type == "geo"), "")
        if not whole and shaped in body and "encodingType" not in body:
            values = columns(entities, {**body, "encodingType": before["encodingType"]}, partial=True)
        else:
            values = columns(entities, body, partial=not whole)
        pairs = []
        for relation in entities.relations:
            if relation.name in body:
                ids = only_links(relation, body[relation.name])
                for each in ids:
                    self.must_be(SETS[relation.target], each)
                if not relation.many:
                    values[relation.column] = ids[0]
                else:
                    pairs.append((relation, ids))
        self._own(entities, id)
        if values:
            words = {f"v{i}": v for i, v in enumerate(values.values())}
            changes = ", ".join(f'"{n}" = $v{i}' for i, n in enumerate(values))
            self._cursor.execute(f'update own."{entities.name}" set {changes} where id = $id', {**words, "id": id})
        if entities is LOCATIONS and "location" in values:
            self._cursor.execute("delete from own.generated where location = $id", {"id": id})
        for relation, ids in pairs:
            if relation.link is not None:
                self.pair(entities, id, relation, ids)
            else:
                self._adopt(relation, id, ids)

    def _own(self, entities: Entities, id: int) -> None:
        """Make sure that there is a row of our own for what is to be changed."""
        if self._cursor.execute(f'select 1 from own."{entities.name}" where id = $id', {"id": id}).fetchone():
            return
        names = [n for n, *_ in self._cursor.execute(f'describe own."{entities.name}"').fetchall()]
        if entities is OBSERVATIONS:
            row = self._asking.one(self._cursor, entities, id)
            number = row["number"]
            result = {"result": row["result"] or repr(number), "number": number, "text": None}
            self._insert(entities, {n: result.get(n, row.get(n)) for n in names})
        else:
            listed = ", ".join(f'"{n}"' for n in names)
            self._cursor.execute(
                f'insert into own."{entities.name}" select {listed} from ({VIEWS[entities.name]}) where id = $id',
                {"id": id},
            )
        self._hide(entities.name, id, gone=False)

    def _hide(self, what: str, id: int, gone: bool) -> None:
        words = {"what": what, "id": id}
        self._cursor.execute("delete from own.hidden where entities = $what and id = $id", words)
        self._cursor.execute("insert into own.hidden values ($what, $id, $gone)", {**words, "gone": gone})

    # -- delete -------------------------------------------------------------------------------------------------------

    def delete(self, entities: Entities, id: int) -> None:
        """Delete an entity and what cannot be without it. Raises MissingError."""
        self._asking.one(self._cursor, entities, id)
        self._remove(entities, [id])

    def _remove(self, entities: Entities, ids: list[int]) -> None:
        if not ids:
            return
        for name in CASCADES.get(entities.name, ()):
            self._remove_with(entities, SETS[name], ids)
        words = {"ids": ids}
        chosen = "in (select unnest($ids::bigint[]))"
        self._cursor.execute(f'delete from own."{entities.name}" where id {chosen}', words)
        for link, column in LINKS.get(entities.name, ()):
            self._cursor.execute(f"delete from own.{link} where {column} {chosen}", words)
        for id in ids:
            if self._asking.mirror.has(entities.name, id):
                self._hide(entities.name, id, gone=True)
                for link, _ in LINKS.get(entities.name, ()):
                    if link != "generated":
                        self._hide(link, id, gone=True)

    def _remove_with(self, parents: Entities, entities: Entities, ids: list[int]) -> None:
        words: dict[str, Any] = {"ids": ids}
        chosen = "in (select unnest($ids::bigint[]))"
        if entities is OBSERVATIONS:  # those of the city's devices are out of sight with their Datastream or feature
            self._cursor.execute(f'delete from own."Observations" where "{parents.one}" {chosen}', words)
            return
        if parents is LOCATIONS:
            query = f"select distinct historical from ({VIEWS['was_located']}) where location {chosen}"
        else:
            query = f'select id from ({VIEWS[entities.name]}) where "{parents.one}" {chosen}'
        self._remove(entities, [int(n) for (n,) in self._cursor.execute(query, words).fetchall()])


LINKS: dict[str, Iterable[tuple[str, str]]] = {
    "Things": (("located", "thing"),),
    "Locations": (("located", "location"), ("was_located", "location"), ("generated", "location")),
    "HistoricalLocations": (("was_located", "historical"),), "FeaturesOfInterest": (("generated", "feature"),),
}  # fmt: skip
