"""Kernels that are started before anybody asks for them, and who wants that.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("kernels", sa.Column("warm_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "warm_starts",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("wanted", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("warm_starts")
    with op.batch_alter_table("kernels") as kernels:
        kernels.drop_column("warm_until")
