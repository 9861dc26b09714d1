"""Rows of the records and what they stand for: entries and messages, written within a transaction that the caller holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from citytwin.incidents.journal import Entry
from citytwin.incidents.message import Message
from citytwin.io.stores.records.tables import journal, journal_head, outbox


def append(connection: sa.Connection, entries: Iterable[Entry]) -> list[Entry]:
    """Append entries to the journal; they come back with id and digest."""
    given = list(entries)
    if not given:
        return []
    head = connection.execute(sa.select(journal_head).with_for_update()).mappings().one()
    number, before = int(head["last"]), str(head["digest"])
    kept: list[Entry] = []
    for entry in given:
        number += 1
        kept.append(entry.chained(number, before))
        before = kept[-1].digest
    connection.execute(journal.insert(), [_entry_row(entry) for entry in kept])
    connection.execute(journal_head.update().values(last=number, digest=before))
    return kept


def put(connection: sa.Connection, messages: Iterable[Message]) -> None:
    """Put messages into the outbox; one whose key is known is there already."""
    rows = [_message_row(m) for m in messages]
    if rows:
        insert = postgresql.insert(outbox) if connection.dialect.name == "postgresql" else sqlite.insert(outbox)
        connection.execute(insert.on_conflict_do_nothing(index_elements=["key"]), rows)


def entry_of(row: sa.RowMapping) -> Entry:
    """The entry that a row of `journal` keeps."""
    return Entry(**{**row, "data": json.loads(row["data"])})


def message_of(row: sa.RowMapping) -> Message:
    """The message that a row of `outbox` keeps."""
    return Message(**{**row, "data": json.loads(row["data"])})


def _entry_row(entry: Entry) -> dict[str, Any]:
    return {"id": entry.id, "time": entry.time, "kind": entry.kind, "actor": entry.actor, "subject": entry.subject,
            "text": entry.text, "data": entry.written, "digest": entry.digest}  # fmt: skip


def _message_row(message: Message) -> dict[str, Any]:
    return {"key": message.key, "channel": message.channel, "title": message.title, "text": message.text,
            "data": json.dumps(dict(message.data), sort_keys=True, allow_nan=False), "made": message.made, "due": message.due,
            "state": message.state, "attempts": message.attempts, "problem": message.problem,
            "urgent": message.urgent}  # fmt: skip
