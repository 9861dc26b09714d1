"""Alerts, what waits to be told of them, silences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(300).with_variant(sa.String(300, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables; mark urgent messages."""
    op.add_column("outbox", sa.Column("urgent", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()))
    op.create_table(
        "alert",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("rule", NAME, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("table", NAME, nullable=False),
        sa.Column("key", NAME, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Double(), nullable=False),
        sa.Column("changed", sa.Double(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("limit", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("closed", sa.Double()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("acknowledged", sa.Double()),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
    )
    op.create_index("ix_alert_opened", "alert", ["opened"])
    op.create_index("ix_alert_rule_id", "alert", ["rule", "id"])
    open_ones = sa.text("closed is null")
    op.create_index(
        "one_open_alert", "alert", ["rule", "table", "key"], unique=True, sqlite_where=open_ones, postgresql_where=open_ones
    )
    op.create_table(
        "notice",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("channel", NAME, nullable=False),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("rule", NAME, nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("alerts", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
    )
    op.create_index("ix_notice_channel", "notice", ["channel"])
    op.create_table(
        "silence",
        sa.Column("id", NUMBER, nullable=False),
        *(sa.Column(name, NAME, nullable=False) for name in ("rule", "table", "key")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("begin", "until")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("who", "note")),
        sa.PrimaryKeyConstraint("id", name="pk_silence"),
    )


def downgrade() -> None:
    """Take the tables away."""
    for name in ("silence", "notice", "alert"):
        op.drop_table(name)
    op.drop_column("outbox", "urgent")
