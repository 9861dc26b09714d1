"""Values that are not elements: strings, localizable strings, numbers, booleans, literals, identifiers, terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from citytwin.errors import nearest
from citytwin.io.importers.dtdl import dtmi
from citytwin.io.importers.dtdl.grammar import Rule
from citytwin.io.importers.dtdl.refusal import refuse

LANGUAGE_CODE = re.compile(r"[a-z]{2,4}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
DATATYPES = {"string": "xsd:string", "integer": "xsd:integer", "boolean": "xsd:boolean", "number": "xsd:decimal"}
BOUNDS = 2**31


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _whole(value) and -BOUNDS <= value < BOUNDS,
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "literal": lambda value: isinstance(value, str) or _whole(value),
    "dtmi": lambda value: isinstance(value, str),
    "term": lambda value: isinstance(value, str),
}
CALLED = {"string": "string", "integer": "integer", "boolean": "boolean", "number": "numeric", "literal": "literal",
          "dtmi": "identifier", "term": "identifier"}  # fmt: skip


def read_values(name: str, rule: Rule, written: list[Any], language: int, where: str) -> list[Any]:
    """The values of property `name`, checked against `rule`. Raises ModelError.

    A localizable string gives one dictionary {language code: text}.
    """
    if rule.kind == "language":
        return [_localized(name, rule, written, where)]
    called = CALLED[rule.kind]
    if rule.most is not None and len(written) > rule.most:
        refuse(f"{called}MultipleValues", f"{name} has {len(written)} values, one is allowed", where)
    if len(written) < rule.least:
        refuse(f"{called}CountBelowMin", f"{name} has no value", where)
    return [_value(name, rule, value, language, where) for value in written]


def _value(name: str, rule: Rule, value: Any, language: int, where: str) -> Any:
    called = CALLED[rule.kind]
    word = f"{called}Not{called.capitalize()}"
    if isinstance(value, dict):
        value, word = _plain(name, rule, value, where), f"{called}ValueNot{called.capitalize()}"
    if not KINDS[rule.kind](value):
        refuse(word, f"{name} is {value!r}, not of kind {called}", where)
    if rule.longest is not None and isinstance(value, str) and len(value) > rule.longest:
        refuse(f"{called}TooLong", f"{name} is longer than {rule.longest} characters", where)
    if rule.pattern is not None and not re.fullmatch(rule.pattern, value, re.ASCII):
        refuse(f"{called}Invalid", f'{name} "{value}" is not written as it must be', where, f"form: {rule.pattern}")
    if rule.low is not None and value < rule.low:
        refuse("valueBelowMin", f"{name} is {value}, less than {rule.low}", where)
    if rule.high is not None and value > rule.high:
        refuse("valueAboveMax", f"{name} is {value}, more than {rule.high}", where)
    if rule.kind == "dtmi" and not dtmi.is_user_dtmi(value, language):
        refuse("identifierInvalid", f'{name} "{value}" is not a DTMI that DTDL {language} allows', where)
    return _term(name, rule, value, language, where) if rule.kind == "term" else value


def _plain(name: str, rule: Rule, value: dict[str, Any], where: str) -> Any:
    called = CALLED[rule.kind]
    if "@value" not in value:
        refuse(f"{called}ObjectNoValue", f"{name} is an object without @value", where)
    datatype = DATATYPES.get(rule.kind)
    if "@type" in value and datatype is not None and value["@type"] != datatype:
        refuse(f"{called}TypeNot{called.capitalize()}", f"{name} has @type {value['@type']!r}, not {datatype}", where)
    extra = sorted(set(value) - {"@value", "@type"})
    if extra:
        refuse("keywordDisallowed", f"{name} has {extra[0]} beside @value", where)
    return value["@value"]


def _term(name: str, rule: Rule, value: str, language: int, where: str) -> str:
    term = dtmi.of_language(value, language)
    if term.startswith("dtmi:dtdl:extension:"):
        term = dtmi.last_name(term)
    if term not in rule.only:
        refuse("badType", f'{name} "{value}" is not allowed here', where, nearest(value, rule.only))
    return term


def _localized(name: str, rule: Rule, written: list[Any], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in written:
        for code, text in _pairs(name, value, where):
            if not isinstance(text, str):
                refuse("langStringValueNotString", f"{name} for {code} is {text!r}, not a string", where)
            if not LANGUAGE_CODE.fullmatch(code):
                refuse("langStringInvalidCode", f'{name} has language code "{code}"', where, "write it as in en or en-US")
            if code in found:
                refuse("langStringElementCodeNotUnique", f'{name} says "{code}" twice', where)
            if rule.longest is not None and len(text) > rule.longest:
                refuse("langStringTooLong", f"{name} is longer than {rule.longest} characters", where)
            found[code] = text
    return found


def _pairs(name: str, value: Any, where: str) -> list[tuple[str, Any]]:
    if isinstance(value, str):
        return [("en", value)]
    if not isinstance(value, dict):
        refuse("langStringNotStringOrObject", f"{name} is {value!r}, neither a string nor a map of languages", where)
    if "@value" not in value and "@language" not in value:
        for key in value:
            if key.startswith("@"):
                refuse("langMapObjKeyword", f"{name} has {key} in a map of languages", where)
        return list(value.items())
    extra = sorted(set(value) - {"@value", "@language"})
    if extra:
        refuse("langStringElementInvalidProp", f"{name} has {extra[0]} beside @value and @language", where)
    if "@value" not in value:
        refuse("langStringElementNoValue", f"{name} has an element without @value", where)
    code = value.get("@language", "en")
    if not isinstance(code, str):
        refuse("langStringElementCodeNotString", f"{name} has @language {code!r}", where)
    return [(code, value["@value"])]
