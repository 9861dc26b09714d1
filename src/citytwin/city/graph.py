"""The spatial graph of a city, indexed once and asked often: answers a `Query` with the rows of its table.

Each part of a query is a few array operations: text is factorised, places lie in an STR tree (Leutenegger, Lopez and
Edgington 1997, https://doi.org/10.1109/ICDE.1997.582015) made by GEOS, relations are pairs of node numbers over all tables.
Distances are in the city's own metric CRS. The same query runs on the live state, a past one and a fork.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import reduce
from typing import Any, ClassVar, Protocol

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city.cells import Touch, along, around
from citytwin.city.conditions import numbers_that, texts_that, with_codes
from citytwin.city.model import City
from citytwin.city.query import Condition, Query, Related, Within
from citytwin.city.tables import FACILITY_KINDS, RELATIONS
from citytwin.columns import Columns
from citytwin.errors import InputError, MissingError, nearest

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]
Shape = shapely.geometry.base.BaseGeometry

KIND_FIELDS = ("kind", "use", "class")
FEW = 64  # things around which boxes are drawn before distances are taken
MARGIN = 0.01  # degrees
SHOWN = 2000  # values that a hint looks through


class Moment(Protocol):
    """What a graph asks of a state: `citytwin.state.State` is one."""

    columns: Columns

    def __contains__(self, name: object) -> bool:
        """Whether anybody has written the column."""

    def __getitem__(self, name: str) -> Values:
        """The column's values, one for each row of its table."""


class Graph:
    """The indices of one city. Methods may be called from several threads; an index is made when it is first needed."""

    _of: ClassVar[weakref.WeakKeyDictionary[City, Graph]] = weakref.WeakKeyDictionary()
    _making = threading.RLock()

    def __init__(self, city: City) -> None:
        self._city = weakref.ref(city)
        self._lock = threading.RLock()
        self._made: dict[tuple[str, ...], Any] = {}

    @classmethod
    def of(cls, city: City) -> Graph:
        """The graph of `city`, the same one each time."""
        with cls._making:
            return cls._of.setdefault(city, cls(city))

    @property
    def city(self) -> City:
        """The city, which the caller keeps."""
        city = self._city()
        if city is None:
            raise MissingError("the city of this graph is gone", hint="keep the city while you ask")
        return city

    def _once(self, name: tuple[str, ...], make: Callable[[], Any]) -> Any:
        if name not in self._made:
            with self._lock:
                if name not in self._made:
                    self._made[name] = make()
        return self._made[name]

    # -- answers ---------------------------------------------------------------------------------------------------

    def find(self, query: Query, state: Moment | None = None, columns: tuple[str, ...] = ()) -> pd.DataFrame:
        """The things that `query` asks for, as rows of their table with the asked `columns` of `state` beside them."""
        rows = self.rows(query, state)
        found = self.city.table(query.table).iloc[rows]
        return found.assign(**{name: self.values(query.table, name, state)[rows] for name in columns}) if columns else found

    def rows(self, query: Query, state: Moment | None = None) -> Rows:
        """Rows of `query.table` for which all of `query` holds, ascending. Raises MissingError, InputError."""
        self.city.table(query.table)
        steps: list[Callable[[], Marks]] = []
        if query.kind is not None:
            kinds = [query.kind] if isinstance(query.kind, str) else query.kind
            steps.append(lambda: self._kinds(query.table, kinds, state))
        steps += [lambda c=c: self._meets(query.table, c, state) for c in query.where]  # type: ignore[misc]
        steps += [lambda r=r: self._related(query.table, r, state) for r in query.related]  # type: ignore[misc]
        marks = reduce(lambda held, step: held & step(), steps, np.ones(self.city.size(query.table), dtype=np.bool_))
        if query.within is not None:
            marks &= self._inside(query.table, query.within, marks, state)
        return np.flatnonzero(marks)

    # -- properties and columns ------------------------------------------------------------------------------------

    def kind_field(self, table: str) -> str | None:
        """The attribute that says what sort of thing a thing of `table` is."""
        frame = self.city.table(table)
        return next((f for f in KIND_FIELDS if f in frame), None)

    def _kinds(self, table: str, kinds: list[str], state: Moment | None) -> Marks:
        name = self.kind_field(table)
        if name is None:
            raise InputError(f"things in table {table} have no kinds", "kind")
        codes, known = self._text(table, name)
        columns = state.columns if state is not None else self.city.columns
        usual = {"facility": FACILITY_KINDS, "device": tuple(columns.kinds)}.get(table, ())
        for kind in kinds:
            if kind not in known and kind not in usual:
                raise MissingError(f'no {table} is a "{kind}"', "kind", nearest(kind, [*list(known)[:SHOWN], *usual]))
        return with_codes(codes, [known[k] for k in kinds if k in known], len(known))

    def _text(self, table: str, name: str) -> tuple[npt.NDArray[np.int64], dict[str, int]]:
        """A text attribute as a code for each row (-1 unknown) and the code of each text."""

        def make() -> tuple[npt.NDArray[np.int64], dict[str, int]]:
            values = self.city.table(table)[name].astype(object)
            text = values.where(values.isna(), values.map(str)).to_numpy(dtype=object)
            codes, known = pd.factorize(text, use_na_sentinel=True)
            return codes.astype(np.int64), {str(k): i for i, k in enumerate(known)}

        made: tuple[npt.NDArray[np.int64], dict[str, int]] = self._once(("text", table, name), make)
        return made

    def _numbers(self, table: str, name: str) -> Values:
        made: Values = self._once(
            ("number", table, name), lambda: self.city.table(table)[name].to_numpy(dtype=np.float64, na_value=np.nan)
        )
        return made

    def properties(self, table: str) -> dict[str, bool]:
        """The attributes of `table` that can be asked, and whether each is a number."""
        frame = self.city.table(table)
        shape = frame.geometry.name if isinstance(frame, gpd.GeoDataFrame) else None
        numeric = pd.api.types.is_numeric_dtype
        return {str(n): bool(numeric(frame[n].dtype)) for n in frame.columns if n != shape}

    def _meets(self, table: str, condition: Condition, state: Moment | None) -> Marks:
        if condition.column is not None:
            return numbers_that(self.values(table, condition.column, state), condition, condition.column)
        name = str(condition.property)
        known = self.properties(table)
        if name not in known:
            more = {c.name for c in state.columns.of(table)} if state is not None else set()
            hint = "it is a column: ask for column instead of property" if name in more else nearest(name, known)
            raise MissingError(f'{table} has no property "{name}"', "where", hint)
        if known[name]:
            return numbers_that(self._numbers(table, name), condition, name)
        codes, texts = self._text(table, name)
        return with_codes(codes, texts_that(texts, condition, name), len(texts))

    def values(self, table: str, name: str, state: Moment | None) -> Values:
        """A column of `state` for each thing of `table`; of a ground column, the highest in the cells that it touches."""
        if state is None:
            raise InputError(f'column "{name}" needs a state', "where", "ask with a state")
        if name not in state.columns:
            own = [c.name for c in state.columns if c.table in (table, "cell")]
            raise MissingError(f'no column "{name}"', "where", nearest(name, own))
        column = state.columns[name]
        if column.table not in (table, "cell"):
            raise InputError(f'column "{name}" is on table {column.table}, not on {table}', "where")
        if name not in state:  # never written: do not make it now, another thread may
            start: Values = np.full(self.city.size(table), column.start, dtype=np.float64)
            return start
        if column.table == table:
            return state[name]
        highest = self._touch(table).highest(state[name], -np.inf)
        return np.where(np.isneginf(highest), np.nan, highest)

    def _touch(self, table: str) -> Touch:
        """The ground cells that each thing of `table` touches."""

        def make() -> Touch:
            shapes = self._shapes(table)
            lines = np.isin(shapely.get_type_id(shapes), (1, 5)).any()
            if lines:
                return along(self.city.ground, shapes)
            found = around(self.city.ground, shapes)
            return found.touch.only(found.under)

        made: Touch = self._once(("touch", table), make)
        return made

    # -- place -----------------------------------------------------------------------------------------------------

    def _shapes(self, table: str) -> npt.NDArray[np.object_]:
        frame = self.city.table(table)
        if not isinstance(frame, gpd.GeoDataFrame):
            raise InputError(f"table {table} has no places", "within", "ask without a place")
        shapes: npt.NDArray[np.object_] = frame.geometry.to_numpy()
        return shapes

    def tree(self, table: str) -> shapely.STRtree:
        """The things of `table` by place. Raises InputError for a table without places."""
        made: shapely.STRtree = self._once(("tree", table), lambda: shapely.STRtree(self._shapes(table)))
        return made

    def _degrees(self, table: str) -> tuple[Values, Values] | None:
        """Longitude and latitude of each thing of a table of points; None for other tables."""

        def make() -> tuple[Values, Values] | None:
            shapes = self._shapes(table)
            if not np.isin(shapely.get_type_id(shapes), (-1, 0)).all():
                return None
            return self.city.to_lonlat(shapely.get_x(shapes), shapely.get_y(shapes))

        made: tuple[Values, Values] | None = self._once(("degrees", table), make)
        return made

    def in_box(self, table: str, west: float, south: float, east: float, north: float, among: Marks | None = None) -> Marks:
        """Which things of `table` touch a box of degrees; of tables without points only those marked in `among`."""
        points = self._degrees(table)
        if points is not None:
            lon, lat = points
            return (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        return self._touching(table, shapely.box(west, south, east, north), among)

    def _reach(self, table: str) -> Shape:
        """A box of degrees around all things of `table`; what is asked beyond it need not be projected."""

        def make() -> Shape:
            bounds = shapely.total_bounds(self._shapes(table))
            if not np.isfinite(bounds).all():
                return shapely.Polygon()
            edge = shapely.get_coordinates(shapely.segmentize(shapely.box(*bounds), max(np.ptp(bounds[::2]), 1.0) / 16))
            lon, lat = self.city.to_lonlat(edge[:, 0], edge[:, 1])
            reach: Shape = shapely.box(lon.min() - MARGIN, lat.min() - MARGIN, lon.max() + MARGIN, lat.max() + MARGIN)
            return reach

        made: Shape = self._once(("reach", table), make)
        return made

    def _touching(self, table: str, shape: Shape, among: Marks | None = None) -> Marks:
        """Which things of `table`, or of those marked in `among`, touch a shape of degrees.

        Its straight sides are bent in the city's CRS: they get points on their way.
        """
        marks = np.zeros(self.city.size(table), dtype=np.bool_)
        inside: Shape = shapely.intersection(shape, self._reach(table))
        if not shapely.is_empty(inside):
            west, south, east, north = shapely.bounds(inside)
            dense = shapely.segmentize(inside, max(east - west, north - south, 1e-9) / 16)
            local = shapely.transform(dense, lambda p: np.column_stack(self.city.from_lonlat(p[:, 0], p[:, 1])))
            shapely.prepare(local)
            boxed = self.tree(table).query(local)
            boxed = boxed if among is None else boxed[among[boxed]]
            marks[boxed[shapely.intersects(local, self._shapes(table)[boxed])]] = True
        return marks

    def _inside(self, table: str, place: Within, marks: Marks, state: Moment | None) -> Marks:
        self._shapes(table)
        held = marks.copy()
        if place.bbox is not None:
            held &= self.in_box(table, *place.bbox, held)
        if place.polygon is not None:
            outer, *holes = place.polygon
            shape = shapely.Polygon(outer, holes)
            if not shape.is_valid:
                raise InputError("the polygon crosses itself", "within.polygon", shapely.is_valid_reason(shape))
            held &= self._touching(table, shape, held)
        if place.around is not None:
            x, y = self.city.from_lonlat(place.around.lon, place.around.lat)
            held &= self._close(table, held, shapely.points([[float(x), float(y)]]), place.around.metres)
        if place.near is not None:
            others = self.rows(place.near.things, state)
            held &= self._close(table, held, self._shapes(place.near.things.table)[others], place.near.metres)
        return held

    def _close(self, table: str, marks: Marks, others: npt.NDArray[np.object_], metres: float) -> Marks:
        """Which of the marked things of `table` are at most `metres` from any of `others`."""
        others = others[~(shapely.is_missing(others) | shapely.is_empty(others))]
        others = others[np.isfinite(shapely.bounds(others)).all(axis=1)]
        if len(others) <= FEW:
            boxes = shapely.bounds(others).reshape(-1, 4) + np.array([-metres, -metres, metres, metres]) * (1 + 1e-9)
            boxed = np.zeros_like(marks)
            for box in [shapely.box(*sides) for sides in boxes]:
                boxed[self.tree(table).query(box)] = True
            marks = marks & boxed
        out = np.zeros_like(marks)
        rows = np.flatnonzero(marks)
        if len(rows) and len(others):
            shapes = self._shapes(table)[rows]
            at, far = shapely.STRtree(others).query_nearest(
                shapes, max_distance=metres * (1 + 1e-9) + 1e-9, return_distance=True, all_matches=False
            )
            out[rows[at[0][far <= metres]]] = True
        return out

    # -- relations -------------------------------------------------------------------------------------------------

    def _starts(self) -> dict[str, int]:
        """The number of the first node of each table: nodes count through all tables."""

        def make() -> dict[str, int]:
            sizes = [self.city.size(t) for t in self.city.tables]
            ends = np.cumsum([0, *sizes]).tolist()
            return dict(zip([*self.city.tables, ""], ends, strict=True))

        made: dict[str, int] = self._once(("starts",), make)
        return made

    def _ends(self, kind: str) -> tuple[Rows, Rows]:
        """Nodes from which and to which the relations of `kind` go. Those of things that are not there are left out."""
        relations = self.city.relations
        codes, known = self._once(("kinds",), lambda: pd.factorize(relations["kind"].astype(object).to_numpy()))
        if kind not in known:
            if kind in RELATIONS:
                return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
            raise MissingError(f'no relation "{kind}"', "related", nearest(kind, {*RELATIONS, *map(str, known)}))

        def make() -> tuple[Rows, Rows]:
            own = relations[codes == list(known).index(kind)]
            out, into = self._nodes(own["from_table"], own["from_key"]), self._nodes(own["to_table"], own["to_key"])
            there = (out >= 0) & (into >= 0)
            return out[there], into[there]

        made: tuple[Rows, Rows] = self._once(("ends", kind), make)
        return made

    def _nodes(self, tables: pd.Series[Any], keys: pd.Series[Any]) -> Rows:
        out = np.full(len(keys), -1, dtype=np.int64)
        table, key = tables.to_numpy(dtype=object), keys.to_numpy(dtype=object)
        for name in pd.unique(table):
            if name in self.city.tables:
                chosen = np.flatnonzero(table == name)
                rows = self.city.rows(name, key[chosen])
                out[chosen] = np.where(rows >= 0, rows + self._starts()[name], -1)
        return out

    def _related(self, table: str, related: Related, state: Moment | None) -> Marks:
        """Which things of `table` are joined to any of the things asked for, by at most `related.steps` relations."""
        out, into = self._ends(related.kind)
        starts = self._starts()
        held = np.zeros(starts[""], dtype=np.bool_)
        fresh = self.rows(related.to, state) + starts[related.to.table]
        seen = np.zeros_like(held)
        for _ in range(related.steps):
            front = np.zeros_like(held)
            front[fresh] = True
            reached = np.zeros_like(held)
            if related.direction in ("out", "any"):
                reached[out[front[into]]] = True
            if related.direction in ("in", "any"):
                reached[into[front[out]]] = True
            fresh = np.flatnonzero(reached & ~seen)
            seen |= reached
            if not len(fresh):
                break
        return seen[starts[table] : starts[table] + self.city.size(table)]
