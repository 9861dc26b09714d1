"""The form of a question to the city: which things of one table, told by kind, properties, columns, place and relations.

A `Query` is plain data, the same in Python and as JSON. All that it says must hold of a thing at once. Where it names other
things (`within.near`, `related.to`) these are a `Query` themselves, so that a question reads as it is spoken: devices that
observe roads within 500 m of hospitals that depend on bus S3. `citytwin.city.graph.Graph` answers it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from citytwin.errors import InputError, nearest

DEEPEST = 8  # queries within queries
MOST_POINTS = 10_000  # of a polygon

Scalar = StrictBool | StrictFloat | StrictStr
Text = Annotated[str, Field(max_length=500)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Metres = Annotated[float, Field(ge=0, le=1e6)]
Point = tuple[Longitude, Latitude]


class Form(BaseModel):
    """A part of a question: nothing else than its fields may be said, and a wrong name is answered with the nearest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, said: Any) -> Any:
        for name in said if isinstance(said, dict) else ():
            if name not in cls.model_fields:
                raise _wrong(f'no field "{name}"', nearest(str(name), cls.model_fields))
        return said


def _wrong(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{said}", {"said": f"{message} ({hint})"})


class Condition(Form):
    """One comparison: a property of the table, or a column of the state, with a value.

    `=`, `!=`, `<`, `<=`, `>`, `>=` with one value, `in` with a list, `like` with text in which `%` stands for anything and
    `_` for one character (case does not matter), `known` with true or false. What is not known meets no other comparison.
    A column of the ground raster is the highest value in the cells that the thing touches.
    """

    property: Text | None = None
    column: Text | None = None
    test: Literal["=", "!=", "<", "<=", ">", ">=", "in", "like", "known"] = "="
    value: Scalar | Annotated[list[Scalar], Field(max_length=10_000)]

    @model_validator(mode="after")
    def _whole(self) -> Condition:
        if (self.property is None) == (self.column is None):
            raise _wrong("a condition is on a property or on a column", "give one of the two")
        if (self.test == "in") != isinstance(self.value, list):
            raise _wrong(f'"{self.test}" does not go with this value', '"in" takes a list, every other test one value')
        if (self.test == "like") != (self.test == "like" and isinstance(self.value, str)):
            raise _wrong('"like" compares with text', "as in Carrer %")
        if (self.test == "known") and not isinstance(self.value, bool):
            raise _wrong('"known" is true or false', "as in true")
        return self


class Around(Form):
    """Within `metres` of a place in longitude and latitude (degrees)."""

    lon: Longitude
    lat: Latitude
    metres: Metres


class Near(Form):
    """Within `metres` of any of other things, from outline to outline."""

    things: Query
    metres: Metres


class Within(Form):
    """A place that the thing must touch; all that are given. Longitude and latitude (WGS 84, degrees).

    bbox: west, south, east, north. polygon: rings as in GeoJSON, the outer one first. around: a disc. near: other things.
    """

    bbox: tuple[Longitude, Latitude, Longitude, Latitude] | None = None
    polygon: Annotated[list[Annotated[list[Point], Field(min_length=4, max_length=MOST_POINTS)]],
                       Field(min_length=1, max_length=100)] | None = None  # fmt: skip
    around: Around | None = None
    near: Near | None = None

    @model_validator(mode="after")
    def _whole(self) -> Within:
        if not self.model_fields_set:
            raise _wrong("where?", "give bbox, polygon, around or near")
        if self.bbox is not None and (self.bbox[0] > self.bbox[2] or self.bbox[1] > self.bbox[3]):
            raise _wrong(f"{list(self.bbox)} is not a box", "west, south, east, north in degrees")
        return self


class Related(Form):
    """A relation that the thing must have: of `kind`, with one of the things `to`.

    direction: `out` (the thing observes, feeds, contains ...), `in` (it is observed, fed, contained ...), `any`.
    steps: over at most this many relations of the kind in a row, whatever lies between.
    """

    kind: Text
    direction: Literal["out", "in", "any"] = "any"
    to: Query
    steps: Annotated[int, Field(ge=1, le=100)] = 1


class Query(Form):
    """Things of `table` for which all of the rest holds; `kind` is a kind, use or class, or a list of them."""

    table: Text
    kind: Text | Annotated[list[Text], Field(max_length=1000)] | None = None
    where: Annotated[tuple[Condition, ...], Field(max_length=50)] = ()
    within: Within | None = None
    related: Annotated[tuple[Related, ...], Field(max_length=10)] = ()

    @property
    def inner(self) -> list[Query]:
        """The queries that this one names."""
        near = [self.within.near.things] if self.within is not None and self.within.near is not None else []
        return [*near, *(r.to for r in self.related)]

    @model_validator(mode="after")
    def _bounded(self) -> Query:
        level, depth = list(self.inner), 1
        while level:
            depth += 1
            if depth > DEEPEST:
                raise _wrong("too many queries within queries", f"at most {DEEPEST}")
            level = [q for each in level for q in each.inner]
        return self


def query_of(said: Any) -> Query:
    """The query that `said` (a dict of JSON values) describes. Raises InputError with the place of the first mistake."""
    try:
        return Query.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(str(first["msg"]), ".".join(str(part) for part in first["loc"]) or "query") from error
