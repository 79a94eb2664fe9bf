"""Kernels and their owners.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kernels",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("cluster_user", sa.String(63), nullable=False),
        sa.Column("kernelspec", sa.String(100), nullable=False),
        sa.Column("server", sa.String(255)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("end_reason", sa.String(500), nullable=False),
    )
    op.create_index("kernels_owner_state", "kernels", ["owner", "state"])
    op.create_index("kernels_state", "kernels", ["state"])


def downgrade() -> None:
    op.drop_table("kernels")
