"""Query options read into plain data, by a grammar (`grammar.lark`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from citytwin.errors import InputError, nearest

MOST = 10_000  # entities of a page
USUAL = 100
DEEPEST = 12  # expansions within expansions
WIDEST = 40  # expansions of one question
NESTED = 150  # levels of an expression as it is parsed; a pair of brackets makes two
ORDERINGS = 20  # expressions to order by
LONGEST = 20_000  # characters of an option
ELSEWHERE = ("$search", "$format", "$compute", "$levels", "$index", "$skiptoken", "$deltatoken", "$schemaversion")  # of OData
OPTIONS = ("$filter", "$orderby", "$select", "$expand", "$top", "$skip", "$count", "$apply", "$resultFormat")

Node = Tree[Any]


class UnsupportedError(InputError):
    """Something that OData has and this service does not (answered with 501)."""


@dataclass(frozen=True)
class Options:
    """What is asked of a collection. `text`: the options as they were written, for links to further pages."""

    filter: Node | None = None
    orderby: tuple[tuple[Node, bool], ...] = ()  # expression, and whether it goes down
    select: tuple[str, ...] | None = None
    expand: tuple[Expansion, ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool | None = None
    apply: Node | None = None
    arrays: bool = False
    text: tuple[tuple[str, str], ...] = ()

    @property
    def page(self) -> int:
        """The most entities of an answer."""
        return min(self.top, MOST) if self.top is not None else USUAL


@dataclass(frozen=True)
class Expansion:
    """A relation to be answered inline, with options of its own."""

    name: str
    options: Options


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    text = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    starts = ["filter", "orderby", "select", "expand", "apply"]
    return Lark(text, parser="lalr", start=starts, propagate_positions=True, maybe_placeholders=True)


def _parse(text: str, start: str) -> Node:
    if len(text) > LONGEST:
        raise InputError(f"{len(text)} characters are too many", f"${start}", f"at most {LONGEST}")
    try:
        tree = _grammar().parse(text, start=start)
    except UnexpectedInput as error:
        at = getattr(error, "pos_in_stream", None)
        rest = text[at : at + 30] if isinstance(at, int) and 0 <= at < len(text) else ""
        said = f'not understood at "{rest}"' if rest else "it ends too early"
        raise InputError(said, f"${start}", f"in {text[:200]}") from error
    if _depth(tree) > NESTED:
        raise InputError("it is too deep", f"${start}", f"at most {NESTED // 2} pairs of brackets within each other")
    return tree


def _depth(tree: Node) -> int:
    """How many levels a tree has."""
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [c for node in level for c in node.children if isinstance(c, Tree)]
    return depth


def read_options(pairs: Iterable[tuple[str, str]]) -> Options:
    """The options of a query string. Raises InputError with the nearest name; what has no $ is left to others."""
    said: dict[str, str] = {}
    for name, value in pairs:
        name = "$resultFormat" if name == "resultFormat" else name
        if not name.startswith("$"):
            continue
        if name in ELSEWHERE:
            raise UnsupportedError(f"{name} is not offered here", "query", f"there are {', '.join(OPTIONS)}")
        if name not in OPTIONS:
            raise InputError(f'no query option "{name}"', "query", nearest(name, OPTIONS))
        if name in said:
            raise InputError(f"{name} is given twice", "query")
        said[name] = value.strip()
    return Options(
        filter=_first(said, "$filter"),
        orderby=_orderings(_parse(said["$orderby"], "orderby")) if "$orderby" in said else (),
        select=_names(_parse(said["$select"], "select")) if said.get("$select") else None,
        expand=_all_expansions(said.get("$expand", "")),
        top=_whole(said["$top"], "$top") if "$top" in said else None,
        skip=_whole(said.get("$skip", "0"), "$skip"),
        count=_yes(said["$count"]) if "$count" in said else None,
        apply=_parse(said["$apply"], "apply") if "$apply" in said else None,
        arrays=_arrays(said.get("$resultFormat", "")),
        text=tuple(said.items()),
    )


def _first(said: dict[str, str], name: str) -> Node | None:
    return _parse(said[name], name[1:]).children[0] if name in said else None


def _arrays(text: str) -> bool:
    if text not in ("", "dataArray"):
        raise InputError(f'no format "{text}"', "$resultFormat", "dataArray")
    return bool(text)


def _whole(text: str, where: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise InputError(f'"{text}" is not a number of entities', where, "a whole number from 0")
    return int(text)


def _yes(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InputError(f'"{text}" is neither true nor false', "$count")
    return text.lower() == "true"


def _orderings(tree: Node) -> tuple[tuple[Node, bool], ...]:
    if len(tree.children) > ORDERINGS:
        raise InputError(f"{len(tree.children)} expressions are too many", "$orderby", f"at most {ORDERINGS}")
    return tuple((each.children[0], str(each.children[1] or "asc").lower() == "desc") for each in tree.children)


def _names(tree: Node) -> tuple[str, ...]:
    return tuple("id" if str(each.children[0]) == "@iot.id" else str(each.children[0]) for each in tree.children)


def _all_expansions(text: str) -> tuple[Expansion, ...]:
    found = _expansions(_parse(text, "expand"), text, 1) if text else ()
    if (number := _many(found)) > WIDEST:
        raise InputError(f"{number} expansions are too many", "$expand", f"at most {WIDEST}")
    return found


def _expansions(tree: Node, text: str, depth: int) -> tuple[Expansion, ...]:
    if depth > DEEPEST:
        raise InputError("too many expansions within expansions", "$expand", f"at most {DEEPEST}")
    found: dict[str, Expansion] = {}
    for item in tree.children:
        names = [str(c) for c in item.children if isinstance(c, Token)]
        if depth + len(names) - 1 > DEEPEST:
            raise InputError("too many expansions within expansions", "$expand", f"at most {DEEPEST}")
        options = _own_options([c for c in item.children if isinstance(c, Tree)], text, depth + len(names) - 1)
        for name in reversed(names):
            each = Expansion(name, options)
            options = Options(expand=(each,), text=())
        found[each.name] = _joined(found[each.name], each) if each.name in found else each
    return tuple(found.values())


def _joined(first: Expansion, second: Expansion) -> Expansion:
    """Two expansions of one relation, as in `Datastreams/Sensor,Datastreams/Thing`."""
    inner = {e.name: e for e in first.options.expand}
    for each in second.options.expand:
        inner[each.name] = _joined(inner[each.name], each) if each.name in inner else each
    richer = first.options if first.options.text else second.options
    return Expansion(first.name, replace(richer, expand=tuple(inner.values())))


def _own_options(trees: list[Node], text: str, depth: int) -> Options:
    options = Options()
    raw: list[tuple[str, str]] = []
    for tree in trees:
        name, value = str(tree.children[0]), tree.children[1]
        raw.append((name, text[_start(value) : _end(value)]))
        options = replace(options, **_option(name, value, text, depth))
    return replace(options, text=tuple(raw))


def _option(name: str, value: Any, text: str, depth: int) -> dict[str, Any]:
    match name:
        case "$filter":
            return {"filter": value}
        case "$orderby":
            return {"orderby": _orderings(value)}
        case "$select":
            return {"select": _names(value)}
        case "$expand":
            return {"expand": _expansions(value, text, depth + 1)}
        case "$count":
            return {"count": _yes(str(value))}
        case _:
            return {name[1:]: _whole(str(value), name)}


def _many(expansions: tuple[Expansion, ...]) -> int:
    return len(expansions) + sum(_many(e.options.expand) for e in expansions)


def _start(node: Any) -> int:
    return int((node.start_pos if isinstance(node, Token) else node.meta.start_pos) or 0)


def _end(node: Any) -> int:
    return int((node.end_pos if isinstance(node, Token) else node.meta.end_pos) or 0)
