"""From JSON to elements: every rule that can be checked on an element by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from citytwin.errors import nearest
from citytwin.io.importers.dtdl import dtmi
from citytwin.io.importers.dtdl.context import Context
from citytwin.io.importers.dtdl.extensions import Cotype
from citytwin.io.importers.dtdl.grammar import (
    APOCRYPHA,
    CLASSES,
    COMMAND_TYPES,
    COMPLEX,
    EARLIER,
    GEOSPATIAL,
    INTERFACE_BYTES,
    PRIMITIVES,
    UNTYPED,
    Rule,
)
from citytwin.io.importers.dtdl.literals import read_values
from citytwin.io.importers.dtdl.refusal import ModelError, refuse

KEYWORDS = ("@id", "@type", "@context")


@dataclass
class Reference:
    """The identifier of an element that is defined elsewhere."""

    id: str


@dataclass
class Element:
    """One element of a model. `kind` is its class, or the term itself for what the language defines (double, point).

    values: for each property the list of literals, Elements or References. owner: the Interface it lies in.
    """

    kind: str
    language: int = 0
    id: str = ""
    owner: str = ""
    where: str = ""
    context: Context = field(default_factory=Context, repr=False)
    cotypes: dict[str, Cotype] = field(default_factory=dict, repr=False)
    strange: tuple[str, ...] = ()
    values: dict[str, list[Any]] = field(default_factory=dict)

    def one(self, name: str, default: Any = None) -> Any:
        """The first value of a property, or `default`."""
        values = self.values.get(name)
        return values[0] if values else default

    def elements(self, name: str) -> list[Any]:
        """The Elements and References that are values of a property."""
        return [value for value in self.values.get(name, []) if isinstance(value, (Element, Reference))]


@dataclass
class Reader:
    """Reads models one after the other into `elements` by their `@id`; `named` keeps every reference to be resolved."""

    elements: dict[str, Element] = field(default_factory=dict)
    everything: list[Element] = field(default_factory=list)
    named: list[tuple[Element, str, Rule, Reference]] = field(default_factory=list)

    def read(self, model: Any, context: Context) -> None:
        """One model: a JSON object, or a list of them. Raises ModelError."""
        for value in model if isinstance(model, list) else [model]:
            if not isinstance(value, dict):
                refuse("notJsonObject", "a model is a JSON object or a list of them")
            if "@graph" in value:
                refuse("topLevelGraphDisallowed", "@graph is not allowed")
            if "@context" not in value:
                refuse("missingContext", "@context is missing", hint='write "@context": "dtmi:dtdl:context;3"')
            try:
                self._element(value, context, Rule("element", ("Interface",)), "", None)
            except ModelError as error:
                raise error.at(str(value.get("@id", ""))) from error
            except RecursionError as error:
                raise ModelError("excessiveDepthWide", "nested too deep to read", str(value.get("@id", ""))) from error

    def _element(self, written: dict[str, Any], context: Context, rule: Rule, name: str, parent: Element | None) -> Element:
        where = parent.where if parent is not None else str(written.get("@id", ""))
        if "@context" in written:
            context = context.within(written["@context"])
        kind, cotypes, strange = self._types(written, context, rule, name, parent, where)
        if parent is not None and context.language not in EARLIER[parent.language]:
            refuse("disallowedVersionDefinition", f"{name} is defined in DTDL {context.language}", where)
        element = Element(kind, context.language, "", parent.owner if parent else "", where, context, cotypes, strange)
        self._identify(element, written, rule, name, parent)
        for key, value in written.items():
            self._property(element, key, value)
        self._required(element)
        self._unique(element)
        self.everything.append(element)
        return element

    def _types(
        self, written: dict[str, Any], context: Context, rule: Rule, name: str, parent: Element | None, where: str
    ) -> tuple[str, dict[str, Cotype], tuple[str, ...]]:
        types = written.get("@type", [])
        types = types if isinstance(types, list) else [types]
        if not all(isinstance(text, str) and text for text in types):
            refuse("typeNotString", "@type is not a string", where)
        terms = [context.term(text) for text in types]
        classes = [term for term in terms if term in CLASSES[context.language]]
        if len(set(classes)) > 1:
            refuse("multipleMaterialTypes", "@type says " + " and ".join(classes), where)
        allowed = COMPLEX if rule.classes == ("Schema",) else rule.classes
        if not classes and "@type" not in written and allowed[0] in UNTYPED and allowed[0] in CLASSES[context.language]:
            classes = [allowed[0]]
        if not classes or classes[0] not in allowed:
            word = "badType" if parent is not None else "typeNotRootable"
            refuse(word, f"{name or 'a model'} is {types or 'without @type'}", where, nearest(str(types[:1]), allowed))
        known = {term: cotype for v in context.vocabularies for term, cotype in v.cotypes.items() if term in terms}
        strange = tuple(term for term in terms if term not in known and term not in classes)
        for term in strange:
            self._strange("type", term, context, where)
        for term, cotype in known.items():
            if classes[0] not in cotype.on:
                refuse("invalidCotype", f"{term} does not go with {classes[0]}", where, nearest(classes[0], cotype.on))
        self._cotypes(known, where)
        for vocabulary in context.vocabularies:
            if context.language not in vocabulary.languages and set(vocabulary.cotypes) & set(known):
                refuse("invalidCotypeVersion", f"{terms} is not for DTDL {context.language}", where)
        return classes[0], known, strange

    def _cotypes(self, known: dict[str, Cotype], where: str) -> None:
        owners: dict[str, str] = {}
        for term, cotype in known.items():
            if cotype.needs and cotype.needs not in known:
                refuse("missingCocotype", f"{term} needs {cotype.needs} beside it", where)
            for other in cotype.excludes & known.keys():
                refuse("disallowedCocotype", f"{term} does not go with {other}", where)
            for name in cotype.properties:
                if name in owners:
                    refuse("conflictingSupplementalTypes", f"{owners[name]} and {term} both add {name}", where)
                owners[name] = term

    def _strange(self, place: str, term: str, context: Context, where: str) -> None:
        """Decide about a @type or property that means nothing here. Raises ModelError."""
        if term.startswith("dtmi:"):
            sort = "IrrelevantDtmiOrTerm" if dtmi.is_dtmi(term) else "InvalidDtmi"
        elif ":" in term:
            sort = "NotDtmiNorTerm"
        else:
            sort = "IrrelevantDtmiOrTerm" if context.knows(term) else "UndefinedTerm"
        verdict = APOCRYPHA[context.language][place, sort]
        if verdict == "valid" or (verdict == "tenable" and context.open):
            return
        refuse(f"{place}{sort}", f'"{term}" means nothing here', where, nearest(term, CLASSES[context.language]))

    def _identify(self, element: Element, written: dict[str, Any], rule: Rule, name: str, parent: Element | None) -> None:
        if "@id" in written:
            context = element.context
            element.id = dtmi.check_definition(
                written["@id"], element.kind, element.language, context.tolerant, context.reserved
            )
            if element.id in self.elements:
                refuse("duplicateDefinition", f"{element.id} is defined twice", element.where)
            self.elements[element.id] = element
        elif parent is None:
            refuse("missingTopLevelId", "a model has no @id")
        elif rule.named or element.kind == "Interface":
            refuse("missingRequiredId", f"an element of {name} has no @id", element.where)
        if element.kind == "Interface":
            element.owner = element.where = element.id
            most = INTERFACE_BYTES[element.language]
            if most is not None and len(json.dumps(written, separators=(",", ":"), ensure_ascii=False).encode()) > most:
                refuse("partitionTooLarge", f"the text is longer than {most} bytes", element.where)

    def _property(self, element: Element, key: str, value: Any) -> None:
        if key.startswith("@"):
            if key == "@graph":
                refuse("graphDisallowed", "@graph is not allowed", element.where)
            if key not in KEYWORDS and element.language > 2:
                refuse("keywordDisallowed", f"{key} is not allowed", element.where)
            return
        name = element.context.term(key)
        rule = CLASSES[element.language][element.kind].get(name)
        for cotype in element.cotypes.values():
            rule = rule or cotype.properties.get(name)
        if rule is None:
            if not element.strange and not any(v.open for v in element.context.vocabularies):
                refuse("noTypeThatAllows", f'{element.kind} has no property "{key}"', element.where,
                       nearest(key, CLASSES[element.language][element.kind]))  # fmt: skip
            self._strange("property", key, element.context, element.where)
            return
        if name in element.values:
            refuse("duplicatePropertyName", f"{name} is there twice", element.where)
        written = value if isinstance(value, list) else [value]
        if rule.kind == "json":
            element.values[name] = [value]
        elif rule.kind == "element":
            element.values[name] = self._elements(element, name, rule, written)
        else:
            element.values[name] = read_values(name, rule, written, element.language, element.where)

    def _elements(self, parent: Element, name: str, rule: Rule, written: list[Any]) -> list[Any]:
        if rule.most is not None and len(written) > rule.most:
            word = "objectMultipleValues" if rule.most == 1 else "objectCountAboveMax"
            refuse(word, f"{name} has {len(written)} values, {rule.most} allowed", parent.where)
        if len(written) < rule.least:
            refuse("objectCountBelowMin", f"{name} has no value", parent.where)
        return [self._child(parent, name, rule, value) for value in written]

    def _child(self, parent: Element, name: str, rule: Rule, value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) != {"@id"}:
                if rule.classes[0] in ("Primitive", "CommandType"):
                    refuse("refObjectNotAllowed", f"{name} is an object, not a term", parent.where)
                return self._element(value, parent.context, rule, name, parent)
            return self._wrapped(parent, name, rule, value["@id"])
        if not isinstance(value, str):
            refuse("refNotStringOrObject", f"{name} is {value!r}, neither an object nor a reference", parent.where)
        return self._reference(parent, name, rule, value)

    def _wrapped(self, parent: Element, name: str, rule: Rule, identifier: Any) -> Any:
        """`{"@id": ...}` alone: a reference as JSON-LD writes it, which only old DTDL 2 models may do."""
        if not parent.context.tolerant:
            refuse("idReference", f'{name} is an object with nothing but @id "{identifier}"', parent.where,
                   "write the identifier itself")  # fmt: skip
        if not dtmi.is_user_dtmi(identifier, parent.language):
            refuse("idRefBadDtmiOrTerm", f"{name} names {identifier!r}", parent.where)
        return self._reference(parent, name, rule, identifier)

    def _reference(self, parent: Element, name: str, rule: Rule, text: str) -> Any:
        language = parent.language
        terms = [parent.context.term(text), *(dtmi.of_language(text, earlier) for earlier in EARLIER[language])]
        term = next((term for term in terms if not term.startswith("dtmi:")), text)
        schemas = {term for v in parent.context.vocabularies for term in v.schemas}
        allowed = {
            "Schema": {*PRIMITIVES[language], *GEOSPATIAL, *schemas}, "Primitive": set(PRIMITIVES[language]),
            "CommandType": set(COMMAND_TYPES),
        }.get(rule.classes[0], set())  # fmt: skip
        if term in allowed:
            if rule.only and term not in rule.only:
                refuse("notRequiredValue", f'{name} is "{text}"', parent.where, nearest(term, rule.only))
            return Element(term, language)
        if not text.startswith("dtmi:"):
            known = parent.context.knows(term)
            refuse("badType" if known else "badDtmiOrTerm", f'{name} names "{text}"', parent.where,
                   nearest(text, allowed) if allowed else "")  # fmt: skip
        if text.startswith(dtmi.RESERVED) and not parent.context.tolerant:
            refuse("undefinedReservedId", f'{name} names "{text}", which the language does not define', parent.where)
        if not dtmi.is_user_dtmi(text, language):
            refuse("badDtmiOrTerm", f'{name} names "{text}", which is not a DTMI that DTDL {language} allows', parent.where)
        reference = Reference(text)
        self.named.append((parent, name, rule, reference))
        return reference

    def _required(self, element: Element) -> None:
        for name, rule in CLASSES[element.language][element.kind].items():
            if rule.least and name not in element.values:
                sort = {"element": "Object", "dtmi": "Identifier"}.get(rule.kind, "Literal")
                refuse(f"missing{sort}Property", f"{element.kind} needs {name}", element.where)
        for term, cotype in element.cotypes.items():
            for name, rule in cotype.properties.items():
                if rule.least and name not in element.values:
                    sort = "Object" if rule.kind == "term" else "Literal"
                    refuse(f"missingSupplemental{sort}Property", f"{term} needs {name}", element.where)

    def _unique(self, element: Element) -> None:
        for name, rule in CLASSES[element.language][element.kind].items():
            for part in (*rule.unique, "index"):
                seen: set[tuple[type, Any]] = set()
                for child in [c for c in element.elements(name) if isinstance(c, Element)]:
                    value = child.one(part)
                    if value is not None and (type(value), value) in seen:
                        self._twice(element, name, part, child)
                    seen.add((type(value), value))

    def _twice(self, element: Element, name: str, part: str, child: Element) -> None:
        if not element.context.tolerant or child.id:
            refuse("nonUniquePropertyValue", f'{name} has two elements whose {part} is "{child.one(part)}"', element.where)
        element.values[name] = [c for c in element.values[name] if c is not child]
