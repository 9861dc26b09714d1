"""Records in SQL: the journal, the outbox, alerts. SQLite (WAL) in the city folder, or any PostgreSQL by its URL."""

from citytwin.io.stores.records.database import Records, open_records
from citytwin.io.stores.records.journal import SqlJournal
from citytwin.io.stores.records.outbox import Outbox

__all__ = ["Outbox", "Records", "SqlJournal", "open_records"]
