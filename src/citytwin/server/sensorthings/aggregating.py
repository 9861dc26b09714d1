"""Aggregation of Observations on the server: `$apply`, after OData's extension for data aggregation 4.0, by intervals of time.

    Observations?$apply=groupby((Datastream,every(phenomenonTime,PT1H)),aggregate(result with average as mean))

OData groups by properties only; `every(phenomenonTime,PT1H)` is ours, and so are the methods `median`, `p1` ... `p99`, `first`,
`last` and `deviation` beside OData's `average`, `min`, `max`, `sum`, `countdistinct` and `$count`. Intervals begin at whole
multiples of their length since 1970 (UTC). Only results that are numbers are taken.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import Any

import duckdb
from lark import Tree

from citytwin.errors import InputError, nearest
from citytwin.server.sensorthings.asking import ROW, Asking, Parents, Question
from citytwin.server.sensorthings.compiling import Compiler
from citytwin.server.sensorthings.expressions import cast
from citytwin.server.sensorthings.model import SETS
from citytwin.server.sensorthings.parsing import MOST, Node, Options
from citytwin.server.sensorthings.paths import Place
from citytwin.server.sensorthings.telling import next_page, span_text, time_text
from citytwin.server.sensorthings.times import period

METHODS = {
    "average": "avg({0})", "mean": "avg({0})", "min": "min({0})", "max": "max({0})", "sum": "sum({0})", "median": "median({0})",
    "countdistinct": "count(distinct {0})", "count": "count({0})", "deviation": "stddev_samp({0})",
    "first": f'arg_min({{0}}, {ROW}."begin")', "last": f'arg_max({{0}}, {ROW}."begin")',
}  # fmt: skip
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


def aggregate(
    asking: Asking, cursor: duckdb.DuckDBPyConnection, options: Options, path: str, root: str, parents: Parents | None
) -> dict[str, Any]:
    """A page of the groups that `$apply` asks for."""
    assert options.apply is not None
    *filters, last = [c for c in options.apply.children if isinstance(c, Tree)]
    wheres = [f.children[0] for f in filters] + ([options.filter] if options.filter is not None else [])
    options = replace(options, filter=Tree("all_of", wheres) if wheres else None)
    question = Question(asking, SETS["Observations"], options, parents, None)
    keys = [c for c in last.children if isinstance(c, Tree) and c.data != "aggregate"] if last.data == "groupby" else []
    told = next((c for c in last.children if isinstance(c, Tree) and c.data == "aggregate"), None)
    measures = last.children if last.data == "aggregate" else told.children if told is not None else []
    names: list[list[str]] = []
    selected: list[str] = []
    for key in keys:
        steps, sql = _key(question.compiler, key)
        names.append(steps)
        selected.append(sql)
    for measure in measures:
        name, sql = _measure(question.compiler, measure)
        if [name] in names:
            raise InputError(f'"{name}" is given twice', "$apply")
        names.append([name])
        selected.append(sql)
    page = min(options.top, MOST) if options.top is not None else MOST
    rows = question.groups(cursor, selected, len(keys), page + 1, options.skip)
    answer: dict[str, Any] = {"value": [_told(names, keys, row) for row in rows[:page]]}
    if len(rows) > page > 0:
        answer["@iot.nextLink"] = f"{root}/{path}?{next_page(replace(options, top=page))}"
    return answer


def _key(compiler: Compiler, key: Node) -> tuple[list[str], str]:
    """The names under which a key is told, and its SQL."""
    here = {"": Place(SETS["Observations"], ROW)}
    if key.data == "every":
        steps = [str(c) for c in key.children[0].children]
        if steps not in (["phenomenonTime"], ["resultTime"]):
            raise InputError("intervals are of phenomenonTime or resultTime", "$apply", "as in every(phenomenonTime,PT1H)")
        length = round(period(str(key.children[1])).total_seconds() * 1e6)
        if length <= 0:
            raise InputError("an interval has a length", "$apply", "as in PT1H")
        said = compiler.value(key.children[0], here)
        bucket = f"time_bucket(to_microseconds({length}), {said.begin or said.text}, timestamp '1970-01-01')"
        return [*steps, str(length)], bucket
    said = compiler.value(key, here)
    steps = [str(c) for c in key.children]
    if said.type == "number" and steps[-1] not in ("@iot.id", "id", "result"):
        steps.append("@iot.id")
    steps = ["@iot.id" if s == "id" else s for s in steps]
    return steps, said.begin if said.type == "span" else cast(said, "text").text if said.type == "json" else said.text


def _measure(compiler: Compiler, measure: Node) -> tuple[str, str]:
    if measure.data == "counted":
        return str(measure.children[-1]), "count(*)"
    path, method, name = measure.children[0], str(measure.children[1]), str(measure.children[2])
    number = cast(compiler.value(path, {"": Place(SETS["Observations"], ROW)}), "number").text
    if method in METHODS:
        return name, METHODS[method].format(number)
    found = PERCENTILE.fullmatch(method)
    if found is None:
        raise InputError(f'no method "{method}"', "$apply", nearest(method, [*METHODS, "p95"]))
    return name, f"quantile_cont({number}, {float(found[1]) / 100})"


def _told(names: list[list[str]], keys: list[Node], row: tuple[Any, ...]) -> dict[str, Any]:

    out: dict[str, Any] = {}
    for i, (steps, value) in enumerate(zip(names, row, strict=True)):
        if i < len(keys) and keys[i].data == "every":
            out[steps[0]] = None if value is None else span_text(value, value + dt.timedelta(microseconds=int(steps[-1])))
            continue
        into = out
        for step in steps[:-1]:
            into = into.setdefault(step, {})
        into[steps[-1]] = time_text(value) if isinstance(value, dt.datetime) else value
    return out
