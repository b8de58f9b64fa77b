"""What worked examples show of a question's modules."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("presentation") as table:
        table.add_column(sa.Column("coverage", sa.Text(), server_default="joint", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("presentation") as table:
        table.drop_column("coverage")
