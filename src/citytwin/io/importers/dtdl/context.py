"""`@context`: which version of the language and which extensions apply to an element and what is within it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from citytwin.errors import nearest
from citytwin.io.importers.dtdl import dtmi
from citytwin.io.importers.dtdl.extensions import CONTEXTS, LIMITS, Vocabulary, vocabularies
from citytwin.io.importers.dtdl.grammar import LANGUAGES, SCHEMA_DEPTH, TERMS
from citytwin.io.importers.dtdl.refusal import refuse

LANGUAGE = "dtmi:dtdl:context"
IMPLIED = {"dtmi:iotcentral:context;2": f"{LANGUAGE};2"}
STEMS = {name.partition(";")[0] for name in CONTEXTS}


@dataclass(frozen=True)
class Options:
    """How strictly to read. `undefined`: whether contexts that nobody here knows may be named (None: as the language says,
    yes in DTDL 2, no from 3 on); `newest`: the newest version of the language to accept; `limits`: the custom limits of
    DTDL 4 to accept; `tolerant`: let pass what DTDL 2 models of old got wrong.
    """

    undefined: bool | None = None
    newest: int = LANGUAGES[-1]
    limits: frozenset[str] = frozenset()
    tolerant: bool = False


@dataclass(frozen=True)
class Context:
    """What applies to one element: version of the language, known extensions, and whether unknown ones are in use."""

    options: Options = field(default_factory=Options)
    language: int = 0
    extensions: tuple[str, ...] = ()
    undefined: bool = False
    depth: int = 0

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        """The vocabularies that apply."""
        return vocabularies(self.language, self.extensions)

    @property
    def open(self) -> bool:
        """Whether types and properties that are not listed here may be meant."""
        return self.undefined or any(v.open for v in self.vocabularies)

    @property
    def reserved(self) -> tuple[str, ...]:
        """The beginnings of identifiers that a model may not define."""
        return (*dtmi.RESERVED, *(prefix for v in self.vocabularies for prefix in v.reserved))

    @property
    def tolerant(self) -> bool:
        """Whether old mistakes of DTDL 2 pass."""
        return self.options.tolerant and self.language == 2

    def knows(self, term: str) -> bool:
        """Whether `term` is defined by any context that applies."""
        return term in TERMS[self.language] or any(
            term in v.terms or term in v.cotypes or term in v.schemas or any(term in c.properties for c in v.cotypes.values())
            for v in self.vocabularies
        )

    def term(self, text: str) -> str:
        """The term that `text` stands for, if it is the DTMI of one that a context defines; else `text` unchanged."""
        extension = text.startswith(("dtmi:dtdl:extension:", "dtmi:iotcentral:"))
        term = dtmi.last_name(text) if extension else dtmi.of_language(text, self.language)
        return term if self.knows(term) else text

    def within(self, written: Any) -> Context:
        """The context of an element that writes `written` as its own `@context`. Raises ModelError."""
        names = _names(written)
        inner = self
        rest = names
        if names[0].startswith(LANGUAGE + ";") or names[0] == LANGUAGE:
            inner, rest = self._language(names[0]), names[1:]
        elif not self.language and names[0] in IMPLIED:
            inner = self._language(IMPLIED[names[0]])
            rest = [name for name in names if name != IMPLIED[names[0]]]
        elif not self.language:
            refuse("missingDtdlContext", f'"{names[0]}" does not come after a DTDL context', hint=f"begin with {LANGUAGE};3")
        for name in rest:
            inner = inner._extension(name)
        return inner

    def _language(self, name: str) -> Context:
        number, _, fragment = name.removeprefix(LANGUAGE).lstrip(";").partition("#")
        if not number:
            refuse("missingContextVersion", f'"{name}" has no version')
        known = {str(language): language for language in LANGUAGES}
        if number not in known or (fragment and (fragment != "limitless" or known[number] < 4)):
            refuse("unrecognizedContextVersion", f'"{name}" is no known version of DTDL', hint=nearest(number, known))
        language = known[number]
        if language > self.options.newest:
            refuse("disallowedContextVersion", f'"{name}" is newer than version {self.options.newest}')
        return replace(self, language=language, extensions=(), undefined=False, depth=SCHEMA_DEPTH[language])

    def _extension(self, name: str) -> Context:
        stem, _, version = name.partition(";")
        _well_formed(name, stem, version)
        if stem in LIMITS:
            if stem not in self.options.limits or self.language < 4:
                refuse("disallowedLimitContext", f'"{name}" asks for limits that are not accepted')
            return replace(self, depth=LIMITS[stem])
        if name in CONTEXTS:
            return replace(self, extensions=(*self.extensions, name))
        if self.language == 2 and not version.isdigit():
            refuse("invalidContextSpecifierForVersion", f'"{name}" is not a valid DTMI for DTDL 2')
        if stem in STEMS:
            refuse("unresolvableContextVersion", f'"{name}" is no known version', hint=nearest(name, CONTEXTS))
        allowed = self.options.undefined if self.options.undefined is not None else self.language == 2
        if not allowed:
            refuse("unresolvableContextSpecifier", f'"{name}" is unknown', hint=nearest(name, CONTEXTS))
        return replace(self, undefined=True)


def _well_formed(name: str, stem: str, version: str) -> None:
    if stem == LANGUAGE:
        refuse("dtdlContextFollowsAffiliate", f'"{name}" comes after an extension', hint="write DTDL contexts first")
    if not name.startswith("dtmi:"):
        refuse("nonDtmiContextSpecifier", f'"{name}" is not a DTMI')
    if not dtmi.is_dtmi(name):
        refuse("invalidContextSpecifier", f'"{name}" is not a legal DTMI')
    if not version:
        refuse("missingContextVersion", f'"{name}" has no version')


def _names(written: Any) -> list[str]:
    values = written if isinstance(written, list) else [written]
    if not values or values == [""] or values == [None]:
        refuse("emptyContext", "@context is empty")
    for value in values:
        if isinstance(value, dict):
            refuse("disallowedLocalContext", "@context defines terms of its own", hint="name contexts by their DTMI")
        if not isinstance(value, str):
            refuse("contextNotString", f"@context holds {value!r}, which is not a string")
    return values


def options(
    words: Iterable[str] = (), limits: Iterable[str] = (), tolerant: bool = False, newest: int = LANGUAGES[-1]
) -> Options:
    """Options from the words that the DTDL parser uses: AllowUndefinedExtensions, DisallowUndefinedExtensions."""
    said = {"AllowUndefinedExtensions": True, "DisallowUndefinedExtensions": False}
    undefined = next((said[word] for word in words if word in said), None)
    return Options(undefined, newest, frozenset(limits), tolerant)


__all__ = ["Context", "Options", "options"]
