"""Digital twin model identifiers: `dtmi:com:example:Thermostat;1`.

Syntax and lengths: DTDL v2 and v3 specifications, "Digital Twin Model Identifier" (4096 characters in all, 2048 for what a
model may define or name, 128 for an Interface). Version 2 of the language needs a whole version number; from version 3 on it
may be missing or have two parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from citytwin.io.importers.dtdl.refusal import refuse

USER = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
SEGMENT = r"(?:[A-Za-z]|[A-Za-z_][A-Za-z0-9_]*[A-Za-z0-9])"
MAJOR = r"[1-9][0-9]{0,8}"
TWO_PART = rf"{MAJOR}(?:\.[1-9][0-9]{{0,5}})?"

ANY = re.compile(rf"dtmi:{SEGMENT}(?::{SEGMENT})*(?:;{TWO_PART})?(?:#(?:{SEGMENT})?)?", re.ASCII)
DEFINABLE: Mapping[int, re.Pattern[str]] = {
    2: re.compile(rf"dtmi:{USER}(?::{USER})*;{MAJOR}", re.ASCII),
    3: re.compile(rf"dtmi:{USER}(?::{USER})*(?:;{TWO_PART})?", re.ASCII),
    4: re.compile(rf"dtmi:{USER}(?::{USER})*(?:;{TWO_PART})?", re.ASCII),
}
RESERVED = ("dtmi:dtdl:", "dtmi:standard:")
LONGEST, LONGEST_USER, LONGEST_INTERFACE = 4096, 2048, 128


def is_dtmi(text: object) -> bool:
    """Whether `text` is an identifier of the general form (system segments and a fragment allowed)."""
    return isinstance(text, str) and len(text) <= LONGEST and ANY.fullmatch(text) is not None


def is_user_dtmi(text: object, language: int) -> bool:
    """Whether a model in that version of the language may define or name `text`."""
    return isinstance(text, str) and len(text) <= LONGEST_USER and DEFINABLE[language].fullmatch(text) is not None


def check_dtmi(text: str) -> str:
    """`text`, if it is an identifier of the general form. Raises ModelError (an InputError)."""
    if not is_dtmi(text):
        refuse("invalidId", f'"{text}" is not a DTMI', hint="write it as in dtmi:com:example:Thermostat;1")
    return text


def check_definition(text: object, kind: str, language: int, tolerant: bool, reserved: tuple[str, ...] = RESERVED) -> str:
    """The `@id` under which an element of class `kind` is defined.

    `tolerant` lets reserved prefixes pass. Raises ModelError.
    """
    if not isinstance(text, str) or not text:
        refuse("idNotString", "@id is empty or not a string")
    if "#" in text:
        refuse("disallowedIdFragment", f'"{text}" has a fragment')
    if not is_user_dtmi(text, language):
        refuse("invalidId", f'"{text}" is not a DTMI that DTDL {language} allows')
    if text.startswith(reserved) and not tolerant:
        refuse("reservedId", f'"{text}" begins with a reserved prefix', hint="reserved: " + ", ".join(reserved))
    if kind == "Interface" and len(text) > LONGEST_INTERFACE:
        refuse("idTooLong", f'"{text}" is longer than {LONGEST_INTERFACE} characters')
    return text


def last_name(identifier: str) -> str:
    """The last segment of an identifier: "Thermostat" of `dtmi:com:example:Thermostat;1`."""
    return identifier.partition(";")[0].rpartition(":")[2]


def of_language(text: str, language: int) -> str:
    """The term that a DTMI of the language itself stands for (`dtmi:dtdl:class:Field;2` is Field); else `text` unchanged."""
    stem, _, version = text.partition(";")
    if text.startswith(RESERVED) and version == str(language):
        return stem.rpartition(":")[2]
    return text
