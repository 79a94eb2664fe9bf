"""Starts that were refused, so that people see afterwards what they were told.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refused_starts",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("kernelspec", sa.String(100), primary_key=True),
        sa.Column("code", sa.String(40), primary_key=True),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("lines", sa.JSON(none_as_null=True), nullable=False),
    )
    op.create_index("refused_starts_at", "refused_starts", ["at"])


def downgrade() -> None:
    op.drop_table("refused_starts")
