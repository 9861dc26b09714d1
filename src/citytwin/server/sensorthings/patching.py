"""Changes as JSON Patch (RFC 6902), which FROST's clients send (OGC 18-088, requirement update-entity-jsonpatch)."""

from __future__ import annotations

from typing import Any

import jsonpatch
import msgspec

from citytwin.errors import InputError
from citytwin.server.encoding import dumps
from citytwin.server.sensorthings.asking import Row
from citytwin.server.sensorthings.model import Entities
from citytwin.server.sensorthings.telling import value_of

MOST = 1000  # operations of one patch
LARGEST = 1 << 20  # bytes of an entity while it is patched: `copy` can double it each time
NOT_PATCHED = (
    jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError, KeyError, IndexError, RecursionError,
)  # fmt: skip
EXAMPLE = 'as in [{"op": "replace", "path": "/properties/colour", "value": "red"}]'


def document(entities: Entities, row: Row) -> dict[str, Any]:
    """An entity as the object that a patch is made to: its properties, and links to the one end of its relations."""
    out: dict[str, Any] = {}
    for each in entities.properties:
        value = value_of(row, each.name, each.type)
        if isinstance(value, msgspec.Raw):
            value = msgspec.json.decode(value)
        if value is not None:
            out[each.name] = value
    return out | {r.name: {"@iot.id": row[r.column]} for r in entities.relations if not r.many}


def patched(entities: Entities, row: Row, said: Any) -> dict[str, Any]:
    """What a patch changes: properties by name, null where they are removed. Raises InputError."""
    if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
        raise InputError("a JSON Patch is a list of operations", "body", EXAMPLE)
    if len(said) > MOST:
        raise InputError(f"{len(said)} operations are too many", "body", f"at most {MOST}")
    before = document(entities, row)
    after: Any = document(entities, row)
    for each in said:
        try:
            after = jsonpatch.apply_patch(after, [each], in_place=True)
        except (
            jsonpatch.JsonPatchException,
            jsonpatch.JsonPointerException,
            TypeError,
            ValueError,
            KeyError,
            IndexError,
        ) as error:
            raise InputError(f"the patch cannot be made: {str(error).splitlines()[0][:200]}", "body", EXAMPLE) from error
        if len(dumps(after)) > LARGEST:
            raise InputError(f"the entity becomes larger than {LARGEST} bytes", "body")
    if not isinstance(after, dict):
        raise InputError(f"a {entities.one} is a JSON object", "body")
    changed = {name: value for name, value in after.items() if name not in before or value != before[name]}
    return changed | {name: None for name in before if name not in after}
