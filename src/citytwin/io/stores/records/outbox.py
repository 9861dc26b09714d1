"""The outbox: messages wait in the same database, and the same transaction, as what they tell of.

A sender claims a message for a while, sends it, and says how it went. If it dies in between, the claim runs out and the
message is tried again under the same key: the receiver tells the second copy by the key. None is lost, none is doubled where
the receiver keeps keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from citytwin.incidents.journal import Entry, printable
from citytwin.incidents.message import DEAD, SENDING, SENT, WAITING, Message
from citytwin.io.stores.records.database import Records
from citytwin.io.stores.records.rows import append, message_of
from citytwin.io.stores.records.tables import outbox


class Outbox:
    """Messages to send, in a database of records."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def claim(self, most: int = 100, seconds: float = 60.0, now: float | None = None, channel: str = "") -> list[Message]:
        """Take messages that are due (of one channel), oldest first; nobody else gets them for `seconds`."""
        now = time.time() if now is None else now
        wanted = [*_due(now), outbox.c.channel == channel] if channel else _due(now)
        with self.records.read() as connection:  # looking first keeps an idle sender from writing
            if connection.execute(sa.select(outbox.c.id).where(*wanted).limit(1)).first() is None:
                return []
        with self.records.write() as connection:
            query = sa.select(outbox).where(*wanted).order_by(outbox.c.due, outbox.c.id).limit(most)
            found = [message_of(row) for row in connection.execute(query.with_for_update(skip_locked=True)).mappings()]
            if found:
                chosen = outbox.update().where(outbox.c.id.in_([m.id for m in found]))
                connection.execute(chosen.values(state=SENDING, due=now + seconds, attempts=outbox.c.attempts + 1))
        return [replace(m, state=SENDING, due=now + seconds, attempts=m.attempts + 1) for m in found]

    def sent(self, message: Message, entries: Iterable[Entry] = ()) -> list[Entry]:
        """A claimed message was taken by its receiver; `entries` go into the journal in the same transaction."""
        return self._settle(message, {"state": SENT, "problem": ""}, entries)

    def failed(self, message: Message, problem: str, again: float | None, entries: Iterable[Entry] = ()) -> list[Entry]:
        """A claimed message was not taken: try it again at `again` (s since 1970), or never (None, a dead letter)."""
        left = {"state": DEAD} if again is None else {"state": WAITING, "due": again}
        return self._settle(message, {**left, "problem": printable(problem)[:2000]}, entries)

    def _settle(self, message: Message, values: dict[str, Any], entries: Iterable[Entry]) -> list[Entry]:
        with self.records.write() as connection:
            connection.execute(outbox.update().where(outbox.c.id == message.id).values(**values))
            return append(connection, entries)

    def messages(self, state: str = "", channel: str = "", limit: int = 100, before: int | None = None) -> list[Message]:
        """Messages, newest first."""
        query = sa.select(outbox).order_by(outbox.c.id.desc()).limit(limit)
        for column, wanted in ((outbox.c.state, state), (outbox.c.channel, channel)):
            query = query.where(column == wanted) if wanted else query
        query = query if before is None else query.where(outbox.c.id < before)
        with self.records.read() as connection:
            return [message_of(row) for row in connection.execute(query).mappings()]

    def release(self, now: float) -> None:
        """Let go of all claims: for a sender that begins, and is the only one."""
        with self.records.write() as connection:
            connection.execute(outbox.update().where(outbox.c.state == SENDING).values(state=WAITING, due=now))

    def undeclared(self, channels: Sequence[str], entry: Callable[[Message], Entry]) -> list[Entry]:
        """Give up what waits for channels that are not among `channels`; `entry` says so in the journal."""
        with self.records.write() as connection:
            left = (outbox.c.state.in_((WAITING, SENDING)), outbox.c.channel.not_in(channels))
            found = [message_of(row) for row in connection.execute(sa.select(outbox).where(*left)).mappings()]
            connection.execute(outbox.update().where(*left).values(state=DEAD, problem="the channel is no longer declared"))
            return append(connection, [entry(message) for message in found])

    def dead_since(self, begin: float) -> int:
        """Number of messages made after `begin` that were given up."""
        query = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.state == DEAD, outbox.c.made > begin)
        with self.records.read() as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self) -> dict[str, int]:
        """Number of messages by state."""
        with self.records.read() as connection:
            found = connection.execute(sa.select(outbox.c.state, sa.func.count()).group_by(outbox.c.state))
            return {str(state): int(n) for state, n in found}

    def again(self, message: int, now: float) -> bool:
        """Give a dead letter another life; whether there was one."""
        with self.records.write() as connection:
            chosen = outbox.update().where(outbox.c.id == message, outbox.c.state == DEAD)
            return connection.execute(chosen.values(state=WAITING, due=now, attempts=0)).rowcount > 0


def _due(now: float) -> Sequence[sa.ColumnElement[bool]]:
    return (outbox.c.state.in_((WAITING, SENDING)), outbox.c.due <= now)
