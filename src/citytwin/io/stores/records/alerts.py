"""Alerts in SQL: what a `citytwin.incidents.alerts.Book` wants recorded, with its journal and notices in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from citytwin.errors import MissingError
from citytwin.incidents.alerts import Alert, Changes, Silence
from citytwin.incidents.digest import Notice, Policy, composed, due
from citytwin.incidents.journal import Entry
from citytwin.incidents.message import Message
from citytwin.io.stores.records.database import Records
from citytwin.io.stores.records.journal import SqlJournal
from citytwin.io.stores.records.rows import append, put
from citytwin.io.stores.records.tables import alert, notice, outbox, silence

AT_ONCE = 500  # values of one `in`


@dataclass(frozen=True)
class Wanted:
    """Which alerts; all that is given must hold. state: open (also acknowledged ones), unacknowledged, closed or ""."""

    state: str = ""
    rule: str = ""
    table: str = ""
    key: str = ""
    severities: tuple[str, ...] = ()
    begin: float | None = None
    end: float | None = None
    before: int | None = None
    limit: int = 100


class AlertStore:
    """Alerts, notices and silences, in a database of records."""

    def __init__(self, records: Records, journal: SqlJournal) -> None:
        self.records, self.journal = records, journal

    def record(self, changes: Changes) -> None:
        """Keep everything of `changes`, or nothing. Raises OutsideError."""
        with self.records.write() as connection:
            self._put_alerts(connection, changes.alerts)
            rows = [{**asdict(n), "alerts": json.dumps(n.alerts)} for n in changes.notices]
            if rows:
                connection.execute(notice.insert(), [{k: v for k, v in row.items() if k != "id"} for row in rows])
            kept = append(connection, changes.entries)
        self.journal.tell(kept)

    @staticmethod
    def _put_alerts(connection: sa.Connection, alerts: Sequence[Alert]) -> None:
        newest = {a.id: a for a in alerts}  # an alert may have changed twice in one step
        if newest:
            # what closes goes first: only one alert of a rule and thing may be open
            rows = [dict(vars(a)) for a in sorted(newest.values(), key=lambda a: a.closed is None)]
            made = postgresql.insert(alert) if connection.dialect.name == "postgresql" else sqlite.insert(alert)
            changed = {c.name: made.excluded[c.name] for c in alert.c if c.name != "id"}
            connection.execute(made.on_conflict_do_update(index_elements=["id"], set_=changed), rows)

    def open(self) -> list[Alert]:
        """All open alerts."""
        with self.records.read() as connection:
            found = connection.execute(sa.select(alert).where(alert.c.closed.is_(None)).order_by(alert.c.id))
            return [Alert(**row) for row in found.mappings()]

    def next_id(self) -> int:
        """The id that the next alert gets."""
        with self.records.read() as connection:
            return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(alert.c.id), 0))).scalar_one()) + 1

    def get(self, number: int) -> Alert:
        """One alert. Raises MissingError."""
        with self.records.read() as connection:
            row = connection.execute(sa.select(alert).where(alert.c.id == number)).mappings().one_or_none()
        if row is None:
            raise MissingError(f"no alert {number}")
        return Alert(**row)

    def find(self, wanted: Wanted) -> tuple[list[Alert], int | None]:
        """Alerts, newest first, and the id before which the next page begins (None at the end)."""
        query = sa.select(alert).where(*_holds(wanted)).order_by(alert.c.id.desc()).limit(wanted.limit + 1)
        with self.records.read() as connection:
            found = [Alert(**row) for row in connection.execute(query).mappings()]
        return found[: wanted.limit], found[wanted.limit - 1].id if len(found) > wanted.limit else None

    # -- silences ------------------------------------------------------------------------------------------------------

    def silences(self, now: float) -> list[Silence]:
        """Silences that hold at `now` or later."""
        with self.records.read() as connection:
            found = connection.execute(sa.select(silence).where(silence.c.until > now).order_by(silence.c.id))
            return [Silence(**row) for row in found.mappings()]

    def put_silence(self, asked: Silence, entries: Sequence[Entry]) -> Silence:
        """Keep a silence with what the journal says of it."""
        row = {k: v for k, v in asdict(asked).items() if k != "id"}
        with self.records.write() as connection:
            number = connection.execute(silence.insert().values(**row)).inserted_primary_key
            kept = append(connection, entries)
        self.journal.tell(kept)
        return Silence(**row, id=int(number[0]) if number else 0)

    def end_silence(self, number: int, now: float, entries: Sequence[Entry]) -> None:
        """End a silence early. Raises MissingError."""
        with self.records.write() as connection:
            chosen = silence.update().where(silence.c.id == number, silence.c.until > now)
            if not connection.execute(chosen.values(until=now)).rowcount:
                raise MissingError(f"no silence {number} holds")
            kept = append(connection, entries)
        self.journal.tell(kept)

    # -- digests -------------------------------------------------------------------------------------------------------

    def digest(self, city: str, policies: Mapping[str, Policy], now: float) -> list[Message]:
        """Make messages of the notices that are due: into the outbox, in the transaction that takes the notices away."""
        with self.records.read() as connection:
            if connection.execute(sa.select(notice.c.id).limit(1)).first() is None:
                return []
        made: list[Message] = []
        with self.records.write() as connection:
            for name in connection.execute(sa.select(notice.c.channel).distinct()).scalars().all():
                policy = policies.get(name)
                message = self._digest(connection, city, policy, now) if policy else None
                if message is not None:
                    made.append(message)
                if policy is None:  # the channel is no longer declared
                    connection.execute(notice.delete().where(notice.c.channel == name))
            put(connection, made)
        return made

    @staticmethod
    def _digest(connection: sa.Connection, city: str, policy: Policy, now: float) -> Message | None:
        found = connection.execute(sa.select(notice).where(notice.c.channel == policy.name).order_by(notice.c.id)).mappings()
        waiting = [Notice(**{**row, "alerts": tuple(json.loads(row["alerts"]))}) for row in found]
        recent = sa.select(outbox.c.made, outbox.c.urgent).where(
            outbox.c.channel == policy.name, outbox.c.made > now - max(policy.span, policy.urgent_gap)
        )
        sent = [(float(made), bool(urgent)) for made, urgent in connection.execute(recent)]
        if now < due(policy, waiting, [made for made, _ in sent], [made for made, urgent in sent if urgent]):
            return None
        meant = sorted({number for each in waiting for number in each.alerts})
        known: dict[int, Alert] = {}
        for start in range(0, len(meant), AT_ONCE):
            rows = connection.execute(sa.select(alert).where(alert.c.id.in_(meant[start : start + AT_ONCE]))).mappings()
            known |= {int(row["id"]): Alert(**row) for row in rows}
        connection.execute(notice.delete().where(notice.c.channel == policy.name, notice.c.id <= waiting[-1].id))
        return composed(city, policy, waiting, known, now)


def _holds(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    c = alert.c
    held: list[sa.ColumnElement[bool]] = []
    for column, value in ((c.rule, wanted.rule), (c.table, wanted.table), (c.key, wanted.key)):
        if value:
            held.append(column == value)
    if wanted.severities:
        held.append(c.severity.in_(wanted.severities))
    if wanted.state in ("open", "unacknowledged"):
        held.append(c.closed.is_(None))
    if wanted.state == "unacknowledged":
        held.append(c.acknowledged.is_(None))
    if wanted.state == "closed":
        held.append(c.closed.is_not(None))
    if wanted.begin is not None:
        held.append(c.opened >= wanted.begin)
    if wanted.end is not None:
        held.append(c.opened < wanted.end)
    if wanted.before is not None:
        held.append(c.id < wanted.before)
    return held
