"""The journal in SQL: append only (the database itself refuses to change or delete a line), chained by digests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa

from citytwin.incidents.journal import START, Asked, Entry, Page
from citytwin.incidents.message import Message
from citytwin.io.stores.records.database import Records
from citytwin.io.stores.records.rows import append, entry_of, put
from citytwin.io.stores.records.tables import journal, journal_head

log = logging.getLogger("citytwin.records")
AT_ONCE = 5000  # entries read in one step


class SqlJournal:
    """A `citytwin.incidents.Journal` in a database of records."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.told: list[Callable[[Sequence[Entry]], None]] = []

    def append(self, entries: Iterable[Entry], messages: Iterable[Message] = ()) -> list[Entry]:
        """Keep entries, and messages to send, all or none; the entries come back with id and digest. Raises OutsideError."""
        with self.records.write() as connection:
            kept = append(connection, entries)
            put(connection, messages)
        self.tell(kept)
        return kept

    def tell(self, kept: Sequence[Entry]) -> None:
        """Tell those who follow of entries that another part of the records has kept."""
        for listener in list(self.told) if kept else ():
            try:
                listener(kept)
            except Exception:  # what is kept is kept
                log.exception("a listener of the journal failed")

    def read(self, asked: Asked) -> Page:
        """A page of entries."""
        order = journal.c.id.asc() if asked.oldest_first else journal.c.id.desc()
        query = sa.select(journal).where(*_wanted(asked)).order_by(order).limit(asked.limit + 1)
        with self.records.read() as connection:
            found = [entry_of(row) for row in connection.execute(query).mappings()]
        more = len(found) > asked.limit
        return Page(found[: asked.limit], found[asked.limit - 1].id if more else None)

    def verify(self) -> int | None:
        """The id of the first entry that was changed, or before which one is missing; None where the journal is whole."""
        before, number = START, 0
        with self.records.read() as connection:
            head = connection.execute(sa.select(journal_head)).mappings().one_or_none()
            last, digest = (int(head["last"]), str(head["digest"])) if head else (0, START)
            while True:
                query = sa.select(journal).where(journal.c.id > number).order_by(journal.c.id).limit(AT_ONCE)
                found = [entry_of(row) for row in connection.execute(query.where(journal.c.id <= last)).mappings()]
                for entry in found:
                    number += 1
                    if entry != entry.chained(number, before):
                        return number
                    before = entry.digest
                if not found:
                    return None if (number, before) == (last, digest) else number + 1


def _wanted(asked: Asked) -> list[sa.ColumnElement[bool]]:
    c = journal.c
    said: list[sa.ColumnElement[bool]] = []
    if asked.kind:
        said.append(below(c.kind, asked.kind, "."))
    if asked.subject:
        said.append(below(c.subject, asked.subject, "/"))
    if asked.actor:
        said.append(c.actor == asked.actor)
    if asked.begin is not None:
        said.append(c.time >= asked.begin)
    if asked.end is not None:
        said.append(c.time < asked.end)
    if asked.words:
        said.append(c.text.icontains(asked.words, autoescape=True))
    if asked.before is not None:
        said.append(c.id < asked.before)
    if asked.after is not None:
        said.append(c.id > asked.after)
    return said


def below(column: sa.ColumnElement[str], name: str, mark: str) -> sa.ColumnElement[bool]:
    """Whether `column` is `name`, or `name`, `mark` and more: a comparison that an index serves."""
    return sa.or_(column == name, sa.and_(column >= name + mark, column < name + chr(ord(mark) + 1)))
