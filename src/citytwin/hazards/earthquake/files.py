"""What the readers of earthquake files share: opening (also .gz), XML without entities, one line of error."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from lxml import etree

from citytwin.errors import InputError

LARGEST = 500_000_000
"""Bytes of text up to which a file is read."""


def content(path: Path) -> bytes:
    """The bytes of a file, unpacked if it ends in .gz. Raises InputError where it cannot be read."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                found = packed.read(LARGEST + 1)
        else:
            with path.open("rb") as plain:
                found = plain.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from None
    if len(found) > LARGEST:
        raise InputError(f"is larger than {LARGEST // 1_000_000} MB", str(path))
    return found


def xml(path: Path) -> etree._Element:
    """The root of an XML file, its names without namespaces. Raises InputError where it is not well formed."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_comments=True)
    try:
        root = etree.fromstring(content(path), parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"is not well-formed XML: {error}", str(path)) from None
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return root


def parsed_json(path: Path) -> Any:
    """The values of a JSON file. Raises InputError where it is not JSON."""
    try:
        return json.loads(content(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", str(path)) from None


def number(text: object, what: str, path: Path) -> float:
    """`text` as a number. Raises InputError that says what was wanted."""
    try:
        return float(str(text))
    except ValueError:
        raise InputError(f'{what} is "{text}", not a number', str(path)) from None
