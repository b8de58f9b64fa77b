"""What models trained alike share."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("model") as table:
        table.add_column(sa.Column("lineage", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("model") as table:
        table.drop_column("lineage")
