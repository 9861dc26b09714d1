"""What can only be checked between elements: references, inheritance, nesting, siblings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from citytwin.errors import nearest
from citytwin.io.importers.dtdl.conforming import conforms
from citytwin.io.importers.dtdl.extensions import Cotype
from citytwin.io.importers.dtdl.grammar import (
    COMPLEX,
    CONTENT_COUNT,
    EARLIER,
    EXTENDS_COUNT,
    EXTENDS_DEPTH,
    GEOSPATIAL,
)
from citytwin.io.importers.dtdl.quantities import UNITS_3
from citytwin.io.importers.dtdl.reader import Element, Reader, Reference
from citytwin.io.importers.dtdl.refusal import refuse


class Graph:
    """The elements of a model with their references resolved. Raises ModelError where they do not fit together."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.elements = reader.elements

    def follow(self, value: Any) -> Element:
        """The element that a value of a property is or names."""
        return self.elements[value.id] if isinstance(value, Reference) else value

    def children(self, element: Element, name: str) -> list[Element]:
        """The elements that are or are named by the values of a property."""
        return [self.follow(value) for value in element.elements(name)]

    def missing(self) -> list[str]:
        """Identifiers that are named and not defined, in order."""
        return sorted({reference.id for _, _, _, reference in self.reader.named if reference.id not in self.elements})

    def check(self) -> None:
        """Every rule between elements."""
        self._references()
        for element in self.reader.everything:
            if element.kind == "Interface":
                self._extends(element)
        for element in self.reader.everything:
            for rule in RULES.get(element.kind, ()):
                rule(self, element)
            self._cotypes(element)
            self._fields(element)

    def _references(self) -> None:
        for parent, name, rule, reference in self.reader.named:
            target = self.elements[reference.id]
            classes = COMPLEX if rule.classes == ("Schema",) else rule.classes
            if target.kind not in classes:
                refuse("badType", f"{name} names {target.id}, a {target.kind}", parent.where, nearest(target.kind, classes))
            if target.language not in EARLIER[parent.language]:
                refuse("disallowedVersionReference", f"{name} names {target.id}, of DTDL {target.language}", parent.where)
            if target.kind != "Interface" and target.owner != parent.owner:
                refuse("crossPartitionReference", f"{name} names {target.id}, which lies in {target.owner}", parent.where)

    def _extends(self, interface: Element) -> None:
        most, deepest = EXTENDS_COUNT[interface.language], EXTENDS_DEPTH[interface.language]
        reached = {interface.id}
        level = [interface]
        for depth in range(len(self.elements) + 1):
            if not level:
                break
            if depth > deepest:
                refuse("excessiveDepthNarrow", f"extends goes deeper than {deepest} levels", interface.where)
            above = [parent for child in level for parent in self.children(child, "extends")]
            if any(parent is interface for parent in above):
                refuse("recursiveStructureNarrow", "extends leads back to itself", interface.where)
            level = list({parent.id: parent for parent in above}.values())
            reached |= {parent.id for parent in level}
        if most is not None and len(reached) - 1 > most:
            refuse("excessiveCount", f"extends {len(reached) - 1} interfaces, {most} allowed", interface.where)

    def ancestors(self, interface: Element) -> list[Element]:
        """The interfaces that `interface` extends, directly or not, nearest first."""
        found: dict[str, Element] = {}
        level = self.children(interface, "extends")
        while level:
            fresh = [parent for parent in level if parent.id not in found]
            found |= {parent.id: parent for parent in fresh}
            level = [above for parent in fresh for above in self.children(parent, "extends")]
        return list(found.values())

    def contents(self, interface: Element) -> list[tuple[Element, Element]]:
        """(owner, content) of everything an interface holds, what it inherits included."""
        owners = [interface, *self.ancestors(interface)]
        return [(owner, content) for owner in owners for content in self.children(owner, "contents")]

    def below(self, schema: Element) -> Iterator[Element]:
        """The schemas that a schema is directly made of."""
        for value in schema.elements("elementSchema"):
            yield self.follow(value)
        for part in [*self.children(schema, "fields"), *self.children(schema, "mapValue")]:
            yield from self.children(part, "schema")

    def schemas_under(self, element: Element) -> Iterator[Element]:
        """Every schema in the hierarchy under an element's `schema`, each once."""
        seen: set[int] = set()
        stack = self.children(element, "schema")
        while stack:
            schema = stack.pop()
            if id(schema) not in seen:
                seen.add(id(schema))
                yield schema
                stack.extend(self.below(schema))

    def _cotypes(self, element: Element) -> None:
        for term, cotype in element.cotypes.items():
            schemas = self.children(element, "schema")
            if cotype.schemas and schemas and schemas[0].kind not in cotype.schemas:
                refuse("notRequiredType", f"{term} does not go with schema {schemas[0].kind}", element.where,
                       nearest(schemas[0].kind, cotype.schemas))  # fmt: skip
            if cotype.fixed and element.one("writable", False):
                refuse("notRequiredBooleanValue", f"{term} does not go with writable", element.where)
            if cotype.sibling:
                sibling = self._sibling(element, term, str(element.one(cotype.sibling)), cotype.on)
                if "overrides" in element.values:
                    self._override(element, sibling)

            self._inside(element, term, cotype)

    def _inside(self, element: Element, term: str, cotype: Cotype) -> None:
        """What a co-type asks of an Object's fields and of an element's schema."""
        for schema in self.children(element, "schema"):
            if cotype.inner and not cotype.inner & schema.cotypes.keys():
                refuse("notRequiredType", f"{term} needs a schema that is {' or '.join(sorted(cotype.inner))}", element.where)
            for name in cotype.measured:
                value = element.one(name)
                if value is not None and not conforms(value, schema, self.children):
                    refuse("nonConformantPropertyValue", f"{name} {value!r} is no value of {schema.kind}", element.where)
        fields = self.children(element, "fields")
        for part in fields:
            if cotype.fields and not cotype.fields & part.cotypes.keys():
                refuse("notRequiredType", f"a field of {term} is none of {', '.join(sorted(cotype.fields))}", element.where)

    def _fields(self, element: Element) -> None:
        """Co-types of fields that belong into certain Objects, once in each."""
        seen: set[str] = set()
        for part in self.children(element, "fields"):
            for term, cotype in part.cotypes.items():
                if cotype.within and not cotype.within & element.cotypes.keys():
                    refuse("parentMissingCotype", f"{term} lies in no {' or '.join(sorted(cotype.within))}", element.where)
                if cotype.within and term in seen:
                    refuse("nonUniqueAdjunctType", f"two fields are {term}", element.where)
                seen.add(term)

    def _override(self, element: Element, sibling: Element) -> None:
        """An Override gives a property that the annotated sibling has, in the schema of that property."""
        name = element.context.term(str(element.one("overrides")))
        given = {name: rule for cotype in sibling.cotypes.values() for name, rule in cotype.properties.items()}
        if name not in given:
            refuse("noMatchingSupplementalProperty", f'overrides "{name}", which "{sibling.one("name")}" has not',
                   element.where, nearest(name, given))  # fmt: skip
        wanted = [kind for kind, units in UNITS_3.items() if units == set(given[name].only)]
        for schema in self.children(element, "schema"):
            if wanted and schema.kind not in wanted:
                refuse("notRequiredValue", f"schema is {schema.kind}, not {wanted[0]}", element.where)

    def _sibling(self, element: Element, term: str, name: str, on: tuple[str, ...]) -> Element:
        known = {str(content.one("name")): content for _, content in self.contents(self.elements[element.owner])}
        if name not in known:
            refuse("notSiblingRequiredType", f'{term} names "{name}", which is not here', element.where, nearest(name, known))
        if known[name].kind not in on:
            refuse("notSiblingRequiredType", f'{term} names "{name}", a {known[name].kind}', element.where)
        if term in known[name].cotypes:
            refuse("disallowedType", f'{term} names "{name}", which is a {term} itself', element.where)
        return known[name]


def _inherited(graph: Graph, interface: Element) -> None:
    seen: dict[str, Element] = {}
    contents = graph.contents(interface)
    for owner, content in contents:
        name = str(content.one("name"))
        if seen.setdefault(name, content) is not content:
            if owner is interface:
                refuse("nonUniquePropertyValue", f'contents has two elements named "{name}"', interface.where)
            refuse("nonUniqueImportedPropertyValue", f'"{name}" comes again from {owner.id}', interface.where)
    most = CONTENT_COUNT[interface.language]
    if interface.language == 2 and len(contents) > most:
        refuse("objectCountAboveMax", f"holds {len(contents)} contents, {most} allowed", interface.where)
    if interface.language > 2 and _count(graph, interface) > most:
        refuse("excessiveCount", f"holds more than {most} elements", interface.where)


COUNTED = ("contents", "fields", "enumValues", "request", "response", "properties", "schema", "elementSchema", "mapValue")


def _count(graph: Graph, interface: Element) -> int:
    stack, seen = [content for _, content in graph.contents(interface)], set()
    while stack:
        element = stack.pop()
        if id(element) not in seen:
            seen.add(id(element))
            stack.extend(child for name in COUNTED for child in graph.children(element, name))
    return len(seen)


def _component(graph: Graph, component: Element) -> None:
    for interface in graph.children(component, "schema"):
        for owner, content in graph.contents(interface):
            if content.kind == "Component":
                refuse("excludedType", f'component "{component.one("name")}" holds a component itself, of {owner.id}',
                       component.where)  # fmt: skip


def _property(graph: Graph, element: Element) -> None:
    if element.language == 2:
        for schema in graph.schemas_under(element):
            if schema.kind == "Array" or schema.kind in GEOSPATIAL:
                refuse("excludedType", f'property "{element.one("name")}" holds {schema.kind}', element.where,
                       "DTDL 3 allows it")  # fmt: skip


def _nesting(graph: Graph, schema: Element) -> None:
    limit, level, depth = schema.context.depth, [schema], 1
    while level:
        if depth > limit:
            refuse("excessiveDepthWide", f"{schema.kind} nests schemas deeper than {limit} levels", schema.where)
        inner = {id(s): s for outer in level for s in graph.below(outer) if s.kind in COMPLEX}
        if id(schema) in inner:
            if schema.language < 4 or not _through_object(graph, schema):
                refuse("recursiveStructureWide", f"{schema.kind} {schema.id} holds itself", schema.where)
            return
        level, depth = list(inner.values()), depth + 1


def _through_object(graph: Graph, schema: Element) -> bool:
    """Whether a schema that holds itself does so by way of an Object; arrays and maps alone may not, in no version."""
    if schema.kind == "Object":
        return True
    level, seen = [schema], {id(schema)}
    while level:
        level = [inner for outer in level for inner in graph.below(outer) if inner.kind in COMPLEX and inner.kind != "Object"]
        if any(inner is schema for inner in level):
            return False
        level = [inner for inner in level if id(inner) not in seen]
        seen |= {id(inner) for inner in level}
    return True


VALUES: Mapping[str, type] = {"integer": int, "string": str}


def _enum(graph: Graph, enum: Element) -> None:
    wanted = enum.one("valueSchema").kind
    for value in graph.children(enum, "enumValues"):
        if not isinstance(value.one("enumValue"), VALUES[wanted]):
            refuse("nonConformantDatatype", f"enumValue {value.one('enumValue')!r} is not of kind {wanted}", enum.where)


RULES: Mapping[str, tuple[Callable[[Graph, Element], None], ...]] = {
    "Interface": (_inherited,),
    "Component": (_component,),
    "Property": (_property,),
    "Array": (_nesting,),
    "Map": (_nesting,),
    "Object": (_nesting,),
    "Enum": (_enum,),
}
