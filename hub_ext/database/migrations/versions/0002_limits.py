"""Limits, their history and requests; what a kernel holds of them.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("kernels") as kernels:
        kernels.add_column(sa.Column("memory_mb", sa.Integer, nullable=False, server_default="0"))
        kernels.add_column(sa.Column("cores", sa.Integer, nullable=False, server_default="0"))
        kernels.add_column(sa.Column("queue", sa.String(255), nullable=False, server_default=""))
        kernels.add_column(sa.Column("leased_until", TIME))
        kernels.add_column(sa.Column("stop_at", TIME))
        kernels.add_column(sa.Column("stop_reason", sa.String(500), nullable=False, server_default=""))
    op.create_table(
        "limit_subjects",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "limit_values",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("field", sa.String(40), primary_key=True),
        sa.Column("value", JSON),
        sa.Column("until", TIME),
        sa.Column("value_after", JSON),
    )
    op.create_table(
        "limit_changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("batch", sa.String(32), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("field", sa.String(40), nullable=False),
        sa.Column("before", JSON),
        sa.Column("before_until", TIME),
        sa.Column("after", JSON),
        sa.Column("after_until", TIME),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("undoes", sa.String(32), nullable=False),
    )
    op.create_index("limit_changes_subject", "limit_changes", ["scope", "name"])
    op.create_index("limit_changes_batch", "limit_changes", ["batch"])
    op.create_index("limit_changes_undoes", "limit_changes", ["undoes"])
    op.create_table(
        "limit_requests",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("user_name", sa.String(255), nullable=False),
        sa.Column("field", sa.String(40), nullable=False),
        sa.Column("wanted", JSON),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(255), nullable=False),
        sa.Column("decided_at", TIME),
        sa.Column("granted", JSON),
        sa.Column("until", TIME),
        sa.Column("answer", sa.String(1000), nullable=False),
    )
    op.create_index("limit_requests_state", "limit_requests", ["state"])
    op.create_index("limit_requests_user", "limit_requests", ["user_name"])
    op.create_table(
        "people",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("groups", JSON, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("last_kernel_at", TIME),
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("value", JSON),
    )


def downgrade() -> None:
    for table in ("settings", "people", "limit_requests", "limit_changes", "limit_values", "limit_subjects"):
        op.drop_table(table)
    with op.batch_alter_table("kernels") as kernels:
        for column in ("stop_reason", "stop_at", "leased_until", "queue", "cores", "memory_mb"):
            kernels.drop_column(column)
