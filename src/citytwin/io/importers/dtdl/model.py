"""The public face: `parse` checks DTDL models and gives typed interfaces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citytwin.errors import InputError
from citytwin.io.importers.dtdl.context import Context, Options, options
from citytwin.io.importers.dtdl.dtmi import last_name
from citytwin.io.importers.dtdl.graph import Graph
from citytwin.io.importers.dtdl.reader import Element, Reader
from citytwin.io.importers.dtdl.refusal import refuse

Resolver = Callable[[list[str]], list[Any]]


@dataclass(frozen=True)
class Schema:
    """The type of a value: `kind` is a primitive, a geospatial term, Array, Enum, Map or Object.

    values: (name, value) of an Enum. parts: (name, Schema) of an Object, ("", Schema) of an Array or Map.
    """

    kind: str
    values: tuple[tuple[str, int | str], ...] = ()
    parts: tuple[tuple[str, Schema], ...] = ()


@dataclass(frozen=True)
class Content:
    """One content of an interface, of class `kind`. `inherited` names the interface it comes from, if it does."""

    kind: str
    name: str
    title: str
    description: str
    schema: Schema | None = None
    target: str = ""
    unit: str = ""
    cotypes: tuple[str, ...] = ()
    writable: bool = False
    properties: tuple[Content, ...] = ()
    inherited: str = ""


@dataclass(frozen=True)
class Interface:
    """A DTDL interface with everything it holds, what it inherits included."""

    id: str
    name: str
    language: int
    title: str
    description: str
    extends: tuple[str, ...]
    contents: tuple[Content, ...]

    def of(self, kind: str) -> tuple[Content, ...]:
        """The contents of one class: "Property", "Telemetry", "Relationship", "Component" or "Command"."""
        return tuple(content for content in self.contents if content.kind == kind)


def parse(
    models: Iterable[Any], settings: Options | None = None, resolve: Resolver | None = None, tolerate_resolved: bool = False
) -> dict[str, Interface]:
    """The interfaces of DTDL models by their identifier.

    models: JSON objects or lists of them, or JSON texts. resolve: gives the models of identifiers that are named and not
    defined; those are read tolerantly if `tolerate_resolved`. Raises ModelError (an InputError that begins with the parser's
    word) if a model is not valid, or if something that it names is defined nowhere ("unresolved", a word of our own).
    """
    settings = settings or Options()
    reader = Reader()
    for model in models:
        reader.read(_json(model) if isinstance(model, str) else model, Context(settings))
    graph = Graph(reader)
    later = Options(settings.undefined, settings.newest, settings.limits, tolerate_resolved)
    while missing := graph.missing():
        found = resolve(missing) if resolve is not None else []
        for model in found:
            reader.read(_json(model) if isinstance(model, str) else model, Context(later))
        still = sorted(set(missing) & set(graph.missing()))
        if still:
            refuse("unresolved", f"nothing defines {', '.join(still[:5])}", hint="give the files of what is named too")
    graph.check()
    return {e.id: _interface(graph, e) for e in reader.everything if e.kind == "Interface"}


def read_models(paths: Iterable[Path]) -> list[Any]:
    """The models of files, and of every .json file in folders. Raises InputError."""
    found: list[Any] = []
    for path in paths:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not files:
            raise InputError("no .json file here", str(path))
        for file in files:
            try:
                found.append(_json(file.read_text(encoding="utf-8-sig"), str(file)))
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"cannot be read: {error}", str(file)) from error
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        refuse("duplicatePropertyName", f"{next(n for n in names if names.count(n) > 1)} is there twice")
    return found


def _json(text: str, where: str = "") -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", where) from error


def _text(element: Element, name: str) -> str:
    texts: dict[str, str] = element.one(name, {})
    return texts.get("en") or texts.get("en-US") or next(iter(texts.values()), "")


def _interface(graph: Graph, element: Element) -> Interface:
    contents = tuple(
        _content(graph, content, "" if owner is element else owner.id) for owner, content in graph.contents(element)
    )
    extends = tuple(parent.id for parent in graph.children(element, "extends"))
    name = last_name(element.id)
    title, description = _text(element, "displayName") or name, _text(element, "description")
    return Interface(element.id, name, element.language, title, description, extends, contents)


def _content(graph: Graph, content: Element, inherited: str) -> Content:
    name = str(content.one("name"))
    schemas = graph.children(content, "schema")
    component = content.kind == "Component"
    return Content(
        content.kind, name, _text(content, "displayName") or name, _text(content, "description"),
        _schema(graph, schemas[0]) if schemas and not component else None,
        schemas[0].id if component else str(content.one("target", "")),
        str(content.one("unit", "")), (*content.cotypes, *content.strange), bool(content.one("writable", False)),
        tuple(_content(graph, part, "") for part in graph.children(content, "properties")), inherited,
    )  # fmt: skip


def _schema(graph: Graph, schema: Element, within: tuple[int, ...] = ()) -> Schema:
    if id(schema) in within:  # DTDL 4 lets a schema hold itself
        return Schema(schema.kind)
    inner = (*within, id(schema))
    parts = [("", s) for s in graph.children(schema, "elementSchema")]
    parts += [("", s) for value in graph.children(schema, "mapValue") for s in graph.children(value, "schema")]
    parts += [(str(f.one("name")), s) for f in graph.children(schema, "fields") for s in graph.children(f, "schema")]
    values = tuple((str(v.one("name")), v.one("enumValue")) for v in graph.children(schema, "enumValues"))
    return Schema(schema.kind, values, tuple((name, _schema(graph, s, inner)) for name, s in parts))


__all__ = ["Content", "Interface", "Options", "Schema", "options", "parse", "read_models"]
