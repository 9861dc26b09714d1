"""The journal, append only, and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(300).with_variant(sa.String(300, collation="C"), "postgresql")
REFUSAL = "the journal is only appended to"


def upgrade() -> None:
    """Make the tables, and what refuses a change of the journal."""
    op.create_table(
        "journal",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("subject", NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    for columns in (("time",), ("kind", "id"), ("subject", "id")):
        op.create_index(f"ix_journal_{'_'.join(columns)}", "journal", list(columns))
    head = op.create_table(
        "journal_head",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", NUMBER, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.CheckConstraint("one = 1", name="ck_journal_head_one"),
        sa.PrimaryKeyConstraint("one", name="pk_journal_head"),
    )
    op.bulk_insert(head, [{"one": 1, "last": 0, "digest": "0" * 64}])
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("channel", NAME, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("made", sa.Double(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
    )
    op.create_index("ix_outbox_state_due", "outbox", ["state", "due"])
    for statement in _guards(op.get_bind().dialect.name):
        op.execute(statement)


def _guards(dialect: str) -> list[str]:
    """What makes the database itself refuse to change or delete a line of the journal."""
    if dialect == "sqlite":
        return [
            f"create trigger journal_no_{act} before {act} on journal begin select raise(abort, '{REFUSAL}'); end"
            for act in ("update", "delete")
        ]
    return [
        f"create function journal_refuses() returns trigger language plpgsql as $$ begin raise exception '{REFUSAL}'; end $$",
        "create trigger journal_no_change before update or delete or truncate on journal "
        "for each statement execute function journal_refuses()",
    ]


def downgrade() -> None:
    """Take the tables away, and the journal with them."""
    for name in ("outbox", "journal_head", "journal"):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("drop function journal_refuses()")
