"""The tables of the records. A change here needs a migration in `migrations/versions`; a test compares the two.

Times are seconds since 1970 (UTC); documents are canonical JSON text, so that what was hashed is what is kept.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s",
})  # fmt: skip

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up only a plain INTEGER
TIME: sa.Double[float] = sa.Double()
NAME = sa.String(300).with_variant(sa.String(300, collation="C"), "postgresql")  # compared by its characters, as in SQLite

journal = sa.Table(
    "journal", metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("time", TIME, nullable=False, index=True),
    sa.Column("kind", NAME, nullable=False),
    sa.Column("actor", NAME, nullable=False),
    sa.Column("subject", NAME, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Index(None, "kind", "id"),
    sa.Index(None, "subject", "id"),
)  # fmt: skip

journal_head = sa.Table(  # one row: where the chain ends; whoever appends holds it
    "journal_head", metadata,
    sa.Column("one", sa.Integer, sa.CheckConstraint("one = 1", name="one"), primary_key=True, autoincrement=False),
    sa.Column("last", NUMBER, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)  # fmt: skip

outbox = sa.Table(
    "outbox", metadata,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("key", NAME, nullable=False, unique=True),
    sa.Column("channel", NAME, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("made", TIME, nullable=False),
    sa.Column("due", TIME, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("urgent", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()),
    sa.Index(None, "state", "due"),
)  # fmt: skip

alert = sa.Table(
    "alert", metadata,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("rule", NAME, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("table", NAME, nullable=False),
    sa.Column("key", NAME, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("opened", TIME, nullable=False, index=True),
    sa.Column("changed", TIME, nullable=False),
    sa.Column("value", TIME),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("limit", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("closed", TIME),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("acknowledged", TIME),
    sa.Column("acknowledged_by", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index(None, "rule", "id"),
)  # fmt: skip
sa.Index("one_open_alert", alert.c.rule, alert.c.table, alert.c.key, unique=True,
         sqlite_where=alert.c.closed.is_(None), postgresql_where=alert.c.closed.is_(None))  # fmt: skip

notice = sa.Table(  # what waits to be told to a channel
    "notice", metadata,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("channel", NAME, nullable=False, index=True),
    sa.Column("event", sa.String(20), nullable=False),
    sa.Column("rule", NAME, nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("alerts", sa.Text, nullable=False),
    sa.Column("time", TIME, nullable=False),
)  # fmt: skip

silence = sa.Table(
    "silence", metadata,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("rule", NAME, nullable=False),
    sa.Column("table", NAME, nullable=False),
    sa.Column("key", NAME, nullable=False),
    sa.Column("begin", TIME, nullable=False),
    sa.Column("until", TIME, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)  # fmt: skip
