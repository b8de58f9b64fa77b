"""The service."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency")),
        sa.UniqueConstraint("who", "key", name=op.f("uq_idempotency_who_key")),
    )
    op.create_table(
        "schedule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("canary_instances", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("max_calls", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("max_tokens", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("max_cost", sa.Float(precision=53), nullable=True),
        sa.Column("day_calls", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("day_tokens", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("day_cost", sa.Float(precision=53), nullable=True),
        sa.Column("concurrency", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("webhook", sa.Text(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("since", sa.Float(precision=53), nullable=False),
        sa.CheckConstraint("catch_up IN ('latest','skip')", name=op.f("ck_schedule_catch_up")),
        sa.CheckConstraint("overlap IN ('skip','queue')", name=op.f("ck_schedule_overlap")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("name", name=op.f("uq_schedule_name")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=True),
        sa.Column("revoked_at", sa.Float(precision=53), nullable=True),
        sa.Column("used_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_token_name")),
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("seen_at", sa.Float(precision=53), nullable=False),
        sa.Column("skew", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("name", name=op.f("uq_worker_name")),
    )
    op.create_table(
        "ration",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("requests", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tokens", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name=op.f("fk_ration_endpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ration")),
    )
    with op.batch_alter_table("ration") as table:
        table.create_index(table.f("ix_ration_endpoint_id_at"), ["endpoint_id", "at"], unique=False)

    op.create_table(
        "seat",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.Column("wish", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slots", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoint.id"], name=op.f("fk_seat_endpoint_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seat")),
    )
    with op.batch_alter_table("seat") as table:
        table.create_index(table.f("ix_seat_endpoint_id"), ["endpoint_id"], unique=False)

    op.create_table(
        "schedule_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("schedule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("due", sa.Float(precision=53), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("canary_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("started_at", sa.Float(precision=53), nullable=True),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("tellings", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False),
        sa.Column("tell_at", sa.Float(precision=53), server_default="0", nullable=False),
        sa.CheckConstraint("state IN ('waiting','submitted','skipped','finished')", name=op.f("ck_schedule_run_state")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_schedule_run_batch_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["canary_id"], ["batch.id"], name=op.f("fk_schedule_run_canary_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_run_schedule_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_run")),
        sa.UniqueConstraint("schedule_id", "due", name=op.f("uq_schedule_run_schedule_id_due")),
    )
    with op.batch_alter_table("schedule_run") as table:
        table.create_index(table.f("ix_schedule_run_batch_id"), ["batch_id"], unique=False)
        table.create_index(table.f("ix_schedule_run_canary_id"), ["canary_id"], unique=False)

    op.create_table(
        "batch_question",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("question_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Float(precision=53), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('pending','prepared','complete','failed')", name=op.f("ck_batch_question_state")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_batch_question_batch_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["question_id"], ["question.id"], name=op.f("fk_batch_question_question_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_question")),
        sa.UniqueConstraint("batch_id", "question_id", name=op.f("uq_batch_question_batch_id_question_id")),
    )
    with op.batch_alter_table("batch_question") as table:
        table.create_index(
            "ix_batch_question_open",
            ["batch_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending','prepared')"),
            postgresql_where=sa.text("state IN ('pending','prepared')"),
        )
        table.create_index(table.f("ix_batch_question_question_id"), ["question_id"], unique=False)

    op.create_table(
        "batch_outcome",
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("trials", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_batch_outcome_batch_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "outcome", name=op.f("pk_batch_outcome")),
    )

    with op.batch_alter_table("batch") as table:
        table.add_column(sa.Column("concurrency", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        table.add_column(
            sa.Column(
                "used_calls", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False
            )
        )
        table.add_column(
            sa.Column(
                "used_tokens", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False
            )
        )
        table.add_column(sa.Column("used_cost", sa.Float(precision=53), server_default="0", nullable=False))
        table.add_column(sa.Column("schedule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        table.add_column(sa.Column("canary", sa.Boolean(), server_default=sa.false(), nullable=False))
        table.create_index(table.f("ix_batch_schedule_id"), ["schedule_id"], unique=False)
        table.create_foreign_key(
            table.f("fk_batch_schedule_id"), "schedule", ["schedule_id"], ["id"], ondelete="SET NULL"
        )

    with op.batch_alter_table("endpoint") as table:
        table.add_column(sa.Column("slots", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        table.add_column(sa.Column("slots_at", sa.Float(precision=53), server_default="0", nullable=False))
        table.add_column(sa.Column("paused_until", sa.Float(precision=53), server_default="0", nullable=False))
        table.add_column(sa.Column("open_until", sa.Float(precision=53), server_default="0", nullable=False))
        table.add_column(
            sa.Column(
                "opened", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False
            )
        )
        table.add_column(sa.Column("reason", sa.Text(), nullable=True))
        table.add_column(sa.Column("internal", sa.Boolean(), server_default=sa.true(), nullable=False))

    with op.batch_alter_table("shard") as table:
        table.drop_index("ix_shard_pending")
        table.create_index(
            "ix_shard_pending",
            ["batch_id", "model_id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        table.create_index(
            "ix_shard_leased",
            ["batch_id"],
            unique=False,
            sqlite_where=sa.text("lease_token IS NOT NULL"),
            postgresql_where=sa.text("lease_token IS NOT NULL"),
        )

    count_use()


def count_use() -> None:
    """Count what the calls of batches have used, and how their trials ended, as every write does from now on."""
    prompt, answer = "call.charged_prompt_tokens", "call.charged_answer_tokens"
    for column, expression in (
        ("used_calls", "count(*)"),
        ("used_tokens", f"coalesce(sum({prompt} + {answer}), 0)"),
        (
            "used_cost",
            f"coalesce(sum({prompt} * coalesce(model.price_in, 0) + {answer} * coalesce(model.price_out, 0)), 0)"
            " / 1000000.0",
        ),
    ):
        op.execute(
            f"UPDATE batch SET {column} = (SELECT {expression} FROM call JOIN shard ON call.shard_id = shard.id"
            " JOIN model ON shard.model_id = model.id WHERE shard.batch_id = batch.id)"
        )
    op.execute(
        "INSERT INTO batch_outcome (batch_id, outcome, trials) SELECT shard.batch_id, trial.outcome, count(*)"
        " FROM trial JOIN shard ON trial.shard_id = shard.id WHERE shard.batch_id IS NOT NULL"
        " GROUP BY shard.batch_id, trial.outcome"
    )


def downgrade() -> None:
    with op.batch_alter_table("shard") as table:
        table.drop_index("ix_shard_leased")
        table.drop_index("ix_shard_pending")
        table.create_index(
            "ix_shard_pending",
            ["batch_id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )

    with op.batch_alter_table("endpoint") as table:
        table.drop_column("internal")
        table.drop_column("reason")
        table.drop_column("opened")
        table.drop_column("open_until")
        table.drop_column("paused_until")
        table.drop_column("slots_at")
        table.drop_column("slots")

    with op.batch_alter_table("batch") as table:
        table.drop_constraint(table.f("fk_batch_schedule_id"), type_="foreignkey")
        table.drop_index(table.f("ix_batch_schedule_id"))
        table.drop_column("canary")
        table.drop_column("schedule_id")
        table.drop_column("used_cost")
        table.drop_column("used_tokens")
        table.drop_column("used_calls")
        table.drop_column("concurrency")

    op.drop_table("batch_outcome")
    op.drop_table("batch_question")
    op.drop_table("schedule_run")
    op.drop_table("seat")
    op.drop_table("ration")
    op.drop_table("worker")
    op.drop_table("token")
    op.drop_table("schedule")
    op.drop_table("idempotency")
