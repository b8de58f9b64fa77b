"""The tables. Times are seconds since 1970 (UTC) by the database's clock; probabilities and rates are never stored."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in a column of type INTEGER


class Table(DeclarativeBase):
    """Base of all tables; every constraint has a name, so that migrations can drop it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: Id, float: Float(53), str: Text, bytes: LargeBinary, dict[str, Any]: JSON}  # noqa: RUF012


class Endpoint(Table):
    """A server that answers. The key's value is never stored, only the name of its environment variable."""

    __tablename__ = "endpoint"
    __table_args__ = (UniqueConstraint("url", "key_variable"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]
    key_variable: Mapped[str] = mapped_column(default="")  # empty: no key
    rpm: Mapped[int | None]  # requests a minute
    tpm: Mapped[int | None]  # tokens a minute
    max_concurrency: Mapped[int | None]
    slots: Mapped[int | None]  # calls open at once that it bears, as found out; None: as many as allowed
    slots_at: Mapped[float] = mapped_column(default=0.0, server_default="0")  # when that was last changed
    paused_until: Mapped[float] = mapped_column(default=0.0, server_default="0")  # it asked to come later
    open_until: Mapped[float] = mapped_column(default=0.0, server_default="0")  # its circuit: nobody asks before
    opened: Mapped[int] = mapped_column(default=0, server_default="0")  # how often in a row the circuit opened
    reason: Mapped[str | None]  # why the circuit opened last
    internal: Mapped[bool] = mapped_column(default=True, server_default=true())  # it may lie at an internal address


class Seat(Table):
    """A process that asks at an endpoint: how many calls it may have open there. Never more together than allowed."""

    __tablename__ = "seat"
    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id", ondelete="CASCADE"), index=True)
    token: Mapped[str]
    until: Mapped[float]
    wish: Mapped[int]  # calls that the process would have open
    slots: Mapped[int]  # that it may


class Ration(Table):
    """Calls that a process may start at an endpoint with a limit a minute, within a few seconds from ``at`` on."""

    __tablename__ = "ration"
    __table_args__ = (Index(None, "endpoint_id", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("endpoint.id", ondelete="CASCADE"))
    at: Mapped[float]
    requests: Mapped[int]
    tokens: Mapped[int]


class Model(Table):
    """Something that answers: a model at an endpoint, or a baseline. A removed model keeps its row and its results."""

    __tablename__ = "model"
    __table_args__ = (
        CheckConstraint("kind IN ('endpoint', 'baseline')", "kind"),
        CheckConstraint("(kind = 'endpoint') = (endpoint_id IS NOT NULL)", "endpoint"),
        Index(
            "uq_model_name",
            "name",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    endpoint_id: Mapped[int | None] = mapped_column(ForeignKey("endpoint.id"))
    served_id: Mapped[str | None]  # what the endpoint calls it
    params: Mapped[int | None]  # total parameters
    active_params: Mapped[int | None]  # parameters used for a token; total where None
    layers: Mapped[int | None]
    width: Mapped[int | None]  # hidden size
    training: Mapped[str | None]  # base, sft, rl …
    reasoning: Mapped[bool] = mapped_column(default=False)
    price_in: Mapped[float | None]  # USD per million prompt tokens, at added_at
    price_out: Mapped[float | None]  # USD per million answer tokens
    extra_body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    added_at: Mapped[float]
    removed_at: Mapped[float | None]
    capabilities: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by channel: what the endpoint accepts
    lineage: Mapped[str | None]  # models trained alike share one, such as "Qwen2.5"


class FamilyVersion(Table):
    """A version of a family: it covers draw and statement."""

    __tablename__ = "family_version"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    kind: Mapped[str]


class Block(Table):
    """50 consecutive indexes of one (family version, size, seed) under one variant and module set."""

    __tablename__ = "block"
    __table_args__ = (UniqueConstraint("family_version_id", "size", "seed", "number", "variant", "modules"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    family_version_id: Mapped[int] = mapped_column(ForeignKey("family_version.id"))
    size: Mapped[str]
    knobs: Mapped[dict[str, Any]]
    seed: Mapped[int]
    number: Mapped[int]
    variant: Mapped[str]
    modules: Mapped[str]  # names joined by "+"
    prepared: Mapped[int] = mapped_column(default=0)  # positions [0, prepared) are made; the rest not yet
    discards: Mapped[dict[str, Any]] = mapped_column(default=dict)  # discarded attempts by reason
    holes: Mapped[dict[str, Any]] = mapped_column(default=dict)  # position -> why it has no instance


class Instance(Table):
    """One instance of a block, as the family's `dump` (JSON, compressed with zlib)."""

    __tablename__ = "instance"
    __table_args__ = (UniqueConstraint("block_id", "position"), Index(None, "key"))
    id: Mapped[int] = mapped_column(primary_key=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"))
    position: Mapped[int]
    key: Mapped[str] = mapped_column(String(32))
    greedy_fails: Mapped[bool | None]
    document: Mapped[bytes]


class Question(Table):
    """A block and a mode: what is asked and what is counted."""

    __tablename__ = "question"
    __table_args__ = (UniqueConstraint("block_id", "mode"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"))
    mode: Mapped[str]


class Presentation(Table):
    """How a question is asked. ``channel`` and ``form`` are the ones used, ``digest`` identifies the whole."""

    __tablename__ = "presentation"
    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), unique=True)
    channel: Mapped[str]
    form: Mapped[str]  # text, json_schema, json_object or tool
    examples: Mapped[int]
    warning: Mapped[bool]
    template: Mapped[int]  # version of the prompt template
    temperature: Mapped[float | None]
    effort: Mapped[str | None]
    answer_tokens: Mapped[int]
    coverage: Mapped[str] = mapped_column(default="joint", server_default="joint")  # what the examples show


class Batch(Table):
    """What a user queued. ``spec`` is complete: the same spec expands to the same shards."""

    __tablename__ = "batch"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued','running','paused','complete','cancelled','failed','budget_reached')", "state"
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    spec: Mapped[dict[str, Any]]
    spec_digest: Mapped[str] = mapped_column(String(32))
    state: Mapped[str]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
    max_calls: Mapped[int | None]
    max_tokens: Mapped[int | None]
    max_cost: Mapped[float | None]  # USD
    notes: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the user must know: fallbacks, holes, errors
    concurrency: Mapped[int | None]  # calls open at once at each endpoint, as the user asked
    used_calls: Mapped[int] = mapped_column(default=0, server_default="0")
    used_tokens: Mapped[int] = mapped_column(default=0, server_default="0")
    used_cost: Mapped[float] = mapped_column(default=0.0, server_default="0")  # USD, of calls with a price
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedule.id", ondelete="SET NULL"), index=True)
    canary: Mapped[bool] = mapped_column(default=False, server_default=false())  # asked unchanged by a schedule


class BatchOutcome(Table):
    """How many trials of a batch ended with an outcome so far: kept with every write, so that nobody counts trials."""

    __tablename__ = "batch_outcome"
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    trials: Mapped[int]


class BatchQuestion(Table):
    """Positions [0, last) of a question that a batch asks: the unit of preparation, leased like a shard.

    ``pending``: instances are missing; ``prepared``: the baselines' answers are; then ``complete``. ``attempts``:
    leases since the last progress.
    """

    __tablename__ = "batch_question"
    __table_args__ = (
        CheckConstraint("state IN ('pending','prepared','complete','failed')", "state"),
        UniqueConstraint("batch_id", "question_id"),
        Index(
            "ix_batch_question_open",
            "batch_id",
            sqlite_where=text("state IN ('pending','prepared')"),
            postgresql_where=text("state IN ('pending','prepared')"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id", ondelete="CASCADE"))
    question_id: Mapped[int] = mapped_column(ForeignKey("question.id", ondelete="CASCADE"), index=True)
    last: Mapped[int]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[str | None]
    lease_until: Mapped[float | None]
    owner: Mapped[str | None]
    error: Mapped[str | None]


class Schedule(Table):
    """A spec that is asked again at due times. ``zone``: an IANA name; ``since``: due times up to it are dealt with."""

    __tablename__ = "schedule"
    __table_args__ = (
        CheckConstraint("catch_up IN ('latest','skip')", "catch_up"),
        CheckConstraint("overlap IN ('skip','queue')", "overlap"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    cron: Mapped[str]
    zone: Mapped[str]
    spec: Mapped[dict[str, Any]]
    catch_up: Mapped[str]
    overlap: Mapped[str]
    canary_instances: Mapped[int]  # of each arm; 0: no canary
    max_calls: Mapped[int | None]  # of one run
    max_tokens: Mapped[int | None]
    max_cost: Mapped[float | None]
    day_calls: Mapped[int | None]  # of all runs of a day (UTC)
    day_tokens: Mapped[int | None]
    day_cost: Mapped[float | None]
    concurrency: Mapped[int | None]  # of its batches
    webhook: Mapped[str | None]
    paused: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[float]
    since: Mapped[float]


class ScheduleRun(Table):
    """A due time of a schedule and what became of it; a run that was asked for by hand is due when it was."""

    __tablename__ = "schedule_run"
    __table_args__ = (
        CheckConstraint("state IN ('waiting','submitted','skipped','finished')", "state"),
        UniqueConstraint("schedule_id", "due"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    due: Mapped[float]
    state: Mapped[str]
    reason: Mapped[str | None]  # why it was skipped, or waits
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id", ondelete="SET NULL"), index=True)
    canary_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id", ondelete="SET NULL"), index=True)
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what moved against the schedule's own past
    told: Mapped[bool] = mapped_column(default=False)  # the webhook was called, or given up
    tellings: Mapped[int] = mapped_column(default=0, server_default="0")  # how often the webhook was tried
    tell_at: Mapped[float] = mapped_column(default=0.0, server_default="0")  # nobody tries it before


class Token(Table):
    """A key to the API. Only its SHA-256 is kept; ``scopes``: names joined by ","."""

    __tablename__ = "token"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    used_at: Mapped[float | None]


class Idempotency(Table):
    """A request with an Idempotency-Key and what was answered: the same key and body get the same answer."""

    __tablename__ = "idempotency"
    __table_args__ = (UniqueConstraint("who", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    who: Mapped[str]  # the token's name, empty without tokens
    key: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))  # of method, path and body
    status: Mapped[int]
    body: Mapped[dict[str, Any]]
    at: Mapped[float]


class Worker(Table):
    """A `probe worker` that lives, or lived: it says so every sweep."""

    __tablename__ = "worker"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)  # "host pid"
    version: Mapped[str]
    started_at: Mapped[float]
    seen_at: Mapped[float]
    skew: Mapped[float]  # seconds that its clock is ahead of the database's


class Shard(Table):
    """The unit of work: one model, one presentation, positions [first, last) of one question, samples
    [first_sample, last_sample). A baseline's shard belongs to no batch and has no presentation.

    A lease is a random token with a deadline; each write of its owner carries the token in its WHERE.
    """

    __tablename__ = "shard"
    __table_args__ = (
        CheckConstraint("state IN ('pending','complete','failed','cancelled')", "state"),
        CheckConstraint("(batch_id IS NULL) = (presentation_id IS NULL)", "batch"),
        UniqueConstraint(  # by convention its name would be longer than PostgreSQL allows
            "batch_id",
            "model_id",
            "presentation_id",
            "asked_channel",
            "question_id",
            "first",
            "first_sample",
            name="uq_shard_asked",
        ),
        Index(
            "uq_shard_baseline",
            "model_id",
            "question_id",
            "first",
            unique=True,
            sqlite_where=text("batch_id IS NULL"),
            postgresql_where=text("batch_id IS NULL"),
        ),
        Index(None, "question_id"),
        Index(
            "ix_shard_pending",
            "batch_id",
            "model_id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_shard_leased",
            "batch_id",
            sqlite_where=text("lease_token IS NOT NULL"),
            postgresql_where=text("lease_token IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batch.id", ondelete="CASCADE"))
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    presentation_id: Mapped[int | None] = mapped_column(ForeignKey("presentation.id"))
    asked_channel: Mapped[str | None]  # the channel the user asked for; the presentation names the one used
    question_id: Mapped[int] = mapped_column(ForeignKey("question.id"))
    first: Mapped[int]
    last: Mapped[int]
    first_sample: Mapped[int]
    last_sample: Mapped[int]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)  # leases since the last committed trial
    lease_token: Mapped[str | None]
    lease_until: Mapped[float | None]
    owner: Mapped[str | None]  # "host pid" of the lease's owner
    error: Mapped[str | None]


class Call(Table):
    """One attempt at one answer: what was sent for, what it cost, the raw reply (compressed with zlib; prunable)."""

    __tablename__ = "call"
    __table_args__ = (UniqueConstraint("shard_id", "position", "sample", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id", ondelete="CASCADE"))
    position: Mapped[int]
    sample: Mapped[int]
    number: Mapped[int]  # attempt at this answer, from 1
    kind: Mapped[str]  # ok, throttle, transient, permanent, cancelled
    started_at: Mapped[float]
    seconds: Mapped[float]
    status: Mapped[int | None]  # HTTP status
    error: Mapped[str | None]
    finish_reason: Mapped[str | None]
    prompt_tokens: Mapped[int | None]
    answer_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    charged_prompt_tokens: Mapped[int]  # what the budget counts: as used, or the worst case where nobody said
    charged_answer_tokens: Mapped[int]
    served_model: Mapped[str | None]
    fingerprint: Mapped[str | None]
    raw: Mapped[bytes | None]


class Trial(Table):
    """One answer of one model to one instance, judged. ``constraints`` and ``satisfied`` count all constraints."""

    __tablename__ = "trial"
    __table_args__ = (UniqueConstraint("shard_id", "position", "sample"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id", ondelete="CASCADE"))
    position: Mapped[int]
    sample: Mapped[int]
    outcome: Mapped[str]
    answer: Mapped[str | None]  # the JSON that was read, kept when raw replies are pruned
    repairs: Mapped[str] = mapped_column(default="")  # names joined by ","
    error: Mapped[str | None]  # why nothing was read, or what does not fit
    constraints: Mapped[int]
    satisfied: Mapped[int]
    objective: Mapped[str | None]  # exact: an integer or a fraction
    gap: Mapped[int | None]  # primal gap in parts per million, of feasible answers
    judge_version: Mapped[int]


class ConstraintResult(Table):
    """A trial's results by constraint kind: how many, how many satisfied, which failed (numbers joined by ",")."""

    __tablename__ = "constraint_result"
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    constraints: Mapped[int]
    satisfied: Mapped[int]
    failed: Mapped[str] = mapped_column(default="")


class Tally(Table):
    """What a finished shard leaves: counts (n, y) of each measure at each position of its block.

    ``matrix``: little-endian int32 of shape (measures, 50, 2); ``measures``: their names joined by newlines, in order.
    """

    __tablename__ = "tally"
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id", ondelete="CASCADE"), primary_key=True)
    judge_version: Mapped[int]
    measures: Mapped[str]
    matrix: Mapped[bytes]


class Rejudged(Table):
    """The log of rejudging: how many verdicts of a shard moved from one judge version to the next."""

    __tablename__ = "rejudged"
    id: Mapped[int] = mapped_column(primary_key=True)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id", ondelete="CASCADE"), index=True)
    at: Mapped[float]
    old_version: Mapped[int]
    new_version: Mapped[int]
    changed: Mapped[int]  # trials whose outcome or satisfied count changed
