"""What requests and answers look like: the source of the OpenAPI document."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from probe.api.pages import LARGEST
from probe.asking.presentation import COVERAGES
from probe.batches import BOUNDS, EFFORTS, LISTS, LONGEST_NAME, MOST_LIMIT, Arm, BatchSpec
from probe.models import TRAINING
from probe.schedules import CATCH_UP, MOST_CANARIES, OVERLAP

T = TypeVar("T")
Id = Annotated[int, Path(ge=1, le=LARGEST)]
Time = Annotated[str, Field(description="UTC, RFC 3339.", examples=["2026-11-24T02:00:00.000+00:00"])]


def when(seconds: float | None) -> str | None:
    """Return a time of the database as text."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class Paged(BaseModel, Generic[T]):
    """A page of a list, the newest first."""

    items: list[T]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null: this is the last one.")


# --- batches ----------------------------------------------------------------------------------------------------------

SAID = {
    "families": "Names, `all`, `optimization` or `numerics`.",
    "modules": "`default`, `none`, `all`, or names.",
    "models": "Names, `all` or `none`.",
    "instances": "The first so many indexes of the seed.",
    "samples": "Answers of a model to each instance.",
    "examples": "Worked examples in the prompt.",
    "coverage": "Modules that each example shows.",
    "temperature": "Where the model takes one.",
    "seed": "Which instances.",
    "warning": "Warn that the problem may differ from a well-known one.",
    "effort": "Reasoning effort, where the model knows it.",
    "answer_tokens": "Cap of one answer.",
    "max_calls": "Stop cleanly at this many calls.",
    "max_total_tokens": "Stop cleanly at this many tokens.",
    "max_cost": "Stop cleanly at this many USD; every model needs a price.",
    "concurrency": "Calls open at once at each endpoint.",
}
CHOICES: dict[str, tuple[str, ...]] = {"coverage": COVERAGES, "effort": EFFORTS}


def _schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON schemas of a spec's fields: their types, bounds and defaults are those of `probe.batches`."""
    return {field.name: _field(field.name, field.default) for field in fields(kind) if field.name != "arms"}


def _field(name: str, default: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if isinstance(default, tuple):
        names = {"enum": list(LISTS[name])} if name in LISTS else {}
        schema = {"type": "array", "items": {"type": "string", **names}, "minItems": 1, "default": list(default)}
    elif default is not None:
        kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
        schema = {"type": kinds[type(default)], "default": default}
    if name in BOUNDS:
        schema["minimum"], schema["maximum"] = BOUNDS[name]
    if name in CHOICES:
        schema["enum"] = list(CHOICES[name])
    about = SAID.get(name) or (f"Some of {', '.join(LISTS[name])}." if name in LISTS else None)
    return schema if about is None else {**schema, "description": about}


SPEC_EXAMPLE = {
    "name": "first-look",
    "models": ["none"],
    "baselines": ["random", "greedy"],
    "arm": [{"families": ["knapsack"], "sizes": ["xs"], "instances": 10}],
}
SPEC_SCHEMA: dict[str, Any] = {
    "title": "Spec",
    "type": "object",
    "description": "What `probe spec` prints, as JSON: everything may be left out. Keys of an arm that stand outside of"
    " `arm` hold for every arm.",
    "additionalProperties": False,
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_NAME,
            "pattern": r"\S",
            "description": "The same name and spec is the same batch.",
        },
        **_schema(BatchSpec),
        "arm": {
            "type": "array",
            "description": "Each is one set of instances: every combination of its lists.",
            "items": {"type": "object", "additionalProperties": False, "properties": _schema(Arm)},
        },
        **_schema(Arm),
        **{
            name: {"type": kind, "exclusiveMinimum": 0, "maximum": MOST_LIMIT, "description": SAID[name]}
            for name, kind in {
                "max_calls": "integer",
                "max_total_tokens": "integer",
                "max_cost": "number",
                "concurrency": "integer",
            }.items()
        },
    },
    "examples": [SPEC_EXAMPLE],
}
Spec = Annotated[dict[str, Any], WithJsonSchema(SPEC_SCHEMA)]


class Limits(BaseModel):
    """Limits of a batch. Left out: as it was; null: no limit."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"max_calls": 20000}]})

    max_calls: int | None = Field(None, gt=0, le=MOST_LIMIT, description=SAID["max_calls"])
    max_total_tokens: int | None = Field(None, gt=0, le=MOST_LIMIT, description=SAID["max_total_tokens"])
    max_cost: float | None = Field(None, gt=0, le=MOST_LIMIT, description=SAID["max_cost"])
    concurrency: int | None = Field(None, gt=0, le=MOST_LIMIT, description=SAID["concurrency"])

    def columns(self) -> dict[str, Any]:
        """Return those that are given, by column of the batch."""
        return columns(self.model_dump(exclude_unset=True))


def columns(limits: dict[str, Any]) -> dict[str, Any]:
    """Return limits by column of the batch; keys may be written as flags are."""
    names = {"max-calls": "max_calls", "max-total-tokens": "max_tokens", "max-cost": "max_cost"}
    names["concurrency"] = "concurrency"
    given = {key.replace("_", "-"): value for key, value in limits.items()}
    return {column: given[key] for key, column in names.items() if key in given}


class BatchRow(BaseModel):
    """A batch in a list."""

    id: int
    name: str
    state: str = Field(description="queued, running, paused, complete, cancelled, failed or budget_reached")
    created_at: Time
    finished_at: Time | None
    limits: Limits
    schedule: str | None = Field(description="The schedule that made it.")
    canary: bool = Field(description="Asked unchanged by a schedule, to see models drift.")


class BatchDetail(BatchRow):
    """How a batch stands."""

    planned: int = Field(description="Trials in all; positions known to have no instance are left out.")
    trials: int = Field(description="Trials so far.")
    shards: dict[str, int] = Field(description="Shards by state.")
    discards: dict[str, int] = Field(description="Discarded attempts at instances, by reason.")
    holes: int = Field(description="Positions without an instance.")
    outcomes: dict[str, int] = Field(description="Trials by outcome.")
    calls: int
    tokens: int
    cost: float | None = Field(description="USD; null where a model that was called has no price.")
    notes: list[str] = Field(description="What must be known of its results.")
    spec: dict[str, Any] = Field(description="What it asks, complete.")


class Retried(BaseModel):
    """What a retry took back."""

    taken: int = Field(description="Trials that will be asked again.")
    left: int = Field(description="Trials in the hands of a process that asks: try again when it has ended.")
    batch: BatchDetail


# --- trials and instances ---------------------------------------------------------------------------------------------


class TrialRow(BaseModel):
    """A trial in a list."""

    id: int
    model: str
    family: str
    size: str
    seed: int
    index: int
    mode: str
    channel: str | None = Field(description="null: a baseline's")
    sample: int
    outcome: str
    satisfied: int
    constraints: int
    batch: str | None = Field(description="null: a baseline's, which all batches share")


class TrialDetail(BaseModel):
    """One trial with everything that led to its verdict."""

    id: int
    model: str
    key: str = Field(description="The instance.")
    family: str
    size: str
    mode: str
    sample: int
    prompt: str
    reply: dict[str, Any] | None = Field(description="text, tool_arguments and reasoning of the raw reply; null: none")
    calls: list[dict[str, Any]] = Field(description="Every attempt: time, tokens, what the endpoint said it is.")
    outcome: str
    error: str | None
    answer: str | None = Field(description="The JSON that was read in the reply.")
    repairs: list[str]
    exact: str = Field(description="The exact answer, as JSON.")
    objective: str | None
    optimum: str | None
    gap: float | None
    satisfied: int
    checks: list[dict[str, Any]] = Field(description="Each constraint: id, class, sentence, satisfied, slack.")
    failed: list[str] = Field(description="Ids of the constraints that are not satisfied.")
    written: list[dict[str, Any]] = Field(description="Components of a procedure's answer.")


class InstanceRow(BaseModel):
    """An instance in a list."""

    id: int
    key: str
    family: str
    version: int
    size: str
    seed: int
    index: int
    variant: str
    modules: str = Field(description="Names joined by +.")
    greedy_fails: bool | None


class InstanceDetail(InstanceRow):
    """One instance: what is asked, what is counted, and the exact answer."""

    mode: str
    statement: str
    answer_schema: dict[str, Any] = Field(alias="schema", description="JSON schema of an answer.")
    constraints: list[dict[str, Any]] = Field(description="id, kind, class and sentence of each.")
    optimum: str | None = Field(description="The proven objective; null where the family has none.")
    exact: Any = Field(description="The exact answer, as a model would write it.")


# --- models and endpoints ---------------------------------------------------------------------------------------------

Whole = Annotated[int | None, Field(ge=1, le=10**18)]
Price = Annotated[float | None, Field(ge=0, le=10**9)]


class NewModel(BaseModel):
    """A model at an OpenAI-compatible endpoint: the flags of `probe models add`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "tiny",
                    "url": "http://127.0.0.1:8080/v1",
                    "model": "SmolLM2-135M-Instruct",
                    "params": 135000000,
                    "allow_internal": True,
                }
            ]
        },
    )

    name: str = Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")
    url: str = Field(max_length=2000, description="Base URL of the endpoint, such as https://api.example.com/v1.")
    model: str = Field(min_length=1, max_length=300, description="What the endpoint calls it.")
    key_env: str = Field("", max_length=100, description="Environment variable of the workers that holds the key.")
    params: Whole = Field(None, description="Total parameters.")
    active_params: Whole = Field(None, description="Parameters used for one token.")
    layers: Whole = Field(None, description="Depth.")
    width: Whole = Field(None, description="Hidden size.")
    reasoning: bool = Field(False, description="It thinks before it answers.")
    training: str | None = Field(None, description=", ".join(TRAINING), json_schema_extra={"enum": [*TRAINING, None]})
    lineage: str | None = Field(None, max_length=100, description="What models trained alike share, such as Qwen2.5.")
    price_in: Price = Field(None, description="USD per million prompt tokens.")
    price_out: Price = Field(None, description="USD per million answer tokens.")
    rpm: Whole = Field(None, description="Requests a minute that the endpoint allows.")
    tpm: Whole = Field(None, description="Tokens a minute that the endpoint allows.")
    max_concurrency: Whole = Field(None, description="Calls open at once that the endpoint allows.")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Fields merged into every request.")
    allow_internal: bool = Field(
        False, description="The endpoint may lie at an internal address (loopback, private, link-local). Scope: admin."
    )


class ModelRow(BaseModel):
    """A model of the catalogue."""

    id: int
    name: str
    url: str
    model: str | None = Field(description="What the endpoint calls it.")
    key_variable: str | None
    endpoint_id: int
    params: int | None
    active_params: int | None
    layers: int | None
    width: int | None
    training: str | None
    lineage: str | None
    reasoning: bool
    price_in: float | None
    price_out: float | None
    extra_body: dict[str, Any]
    capabilities: dict[str, Any] = Field(description="What the endpoint was found to accept, by channel.")
    added_at: Time


class EndpointRow(BaseModel):
    """A server that answers: its limits, and how it is doing."""

    id: int
    url: str
    key_variable: str | None = Field(description="The environment variable that holds its key; never the key.")
    internal: bool = Field(description="It may lie at an internal address.")
    models: list[str]
    rpm: int | None
    tpm: int | None
    max_concurrency: int | None
    slots: int | None = Field(description="Calls open at once that it was found to bear; null: as many as allowed.")
    circuit: str = Field(description="closed; open: it fails, nobody asks it before `open_until`.")
    open_until: Time | None
    reason: str | None = Field(description="Why the circuit opened last.")
    paused_until: Time | None = Field(description="It asked to come later.")


# --- schedules and results --------------------------------------------------------------------------------------------


class NewSchedule(BaseModel):
    """A spec to be asked at due times: the flags of `probe schedule add`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly",
                    "cron": "0 2 * * *",
                    "tz": "Europe/Paris",
                    "spec": {"models": ["none"], "families": ["knapsack"], "max_calls": 1000},
                }
            ]
        },
    )

    name: str = Field(max_length=64, description="Its batches are called NAME-<due time>.")
    cron: str = Field(max_length=200, description="minute hour day month weekday, or @daily, @hourly …")
    tz: str = Field(max_length=100, description="IANA time zone.", examples=["Europe/Paris"])
    spec: Spec = Field(description="What is asked; its limits are those of one run.")
    catch_up: str = Field(
        "latest",
        description="After a stop: run the latest due time if at most 6 h late, or none.",
        json_schema_extra={"enum": list(CATCH_UP)},
    )
    overlap: str = Field(
        "skip",
        description="While the last run is still going: skip this one, or let it wait.",
        json_schema_extra={"enum": list(OVERLAP)},
    )
    canary: int = Field(10, ge=0, le=MOST_CANARIES, description="Instances of each arm asked unchanged at every run.")
    day_calls: int | None = Field(None, gt=0, le=MOST_LIMIT, description="Of all runs of a day (UTC).")
    day_tokens: int | None = Field(None, gt=0, le=MOST_LIMIT, description="Of all runs of a day (UTC).")
    day_cost: float | None = Field(None, gt=0, le=MOST_LIMIT, description="Of all runs of a day (UTC), USD.")
    webhook: str | None = Field(
        None, max_length=2000, description="Gets one POST of JSON for every finished run. It takes the scope admin."
    )


class RunRow(BaseModel):
    """A due time of a schedule and what became of it."""

    schedule: str
    due: Time
    state: str = Field(description="waiting, submitted, skipped or finished")
    outcome: str | None = Field(description="The worst state of its batches.")
    reason: str | None = Field(description="Why it was skipped, or waits.")
    batch: str | None = Field(description="The name of its batch.")
    canary: str | None = Field(description="The name of the batch of its canary.")
    started_at: Time | None
    finished_at: Time | None
    seconds: float | None
    spend: dict[str, float] = Field(description="Calls, tokens and USD.")
    changed: bool
    changes: dict[str, Any] = Field(description="What moved against the schedule's own past.")


class ScheduleRow(BaseModel):
    """A spec that is asked again at due times, as `probe schedule list --json` shows it."""

    name: str
    cron: str
    tz: str
    spec: dict[str, Any]
    catch_up: str
    overlap: str
    canary_instances: int
    max_calls: int | None = Field(description="Of one run, as max_tokens and max_cost.")
    max_tokens: int | None
    max_cost: float | None
    day_calls: int | None = Field(description="Of all runs of a day, as day_tokens and day_cost.")
    day_tokens: int | None
    day_cost: float | None
    concurrency: int | None
    paused: bool
    webhook: str | None = Field(description="Its host alone: the rest may hold a secret.")
    created_at: Time
    next_due: Time | None
    last_run: RunRow | None


class Compared(BaseModel):
    """What is compared: two values of a column."""

    column: str
    a: str
    b: str


class Results(BaseModel):
    """A result table or a paired comparison, as `probe results --format json` prints it."""

    compare: Compared | None = Field(
        None, description="Where two are compared: rows then hold both and the difference."
    )
    by: list[str]
    measure: str
    baseline: str
    judge_version: int | None
    rows: list[dict[str, Any]] = Field(
        description="The columns of `by`; n_trials, n_instances, unscored, outcomes; each rate with its interval. Of a"
        " comparison: rates a and b, difference, p and adjusted p, test, and the instances left out."
    )
    notes: list[str] = Field(description="What would mislead a reader who compares rows.")


class Estimated(BaseModel):
    """A number with its 95 % interval."""

    what: str
    value: float
    low: float | None
    high: float | None
    unit: str = Field(description="`share`, `difference` (of shares), `difference per …`, or a word.")
    p: float | None = Field(description="Two-sided, for 0.")
    margin: float | None = Field(description="Within which it counts as no difference.")
    p_within: float | None = Field(description="Small: it is shown to lie within the margin (two one-sided tests).")
    p_beyond: float | None = Field(description="Small: it is shown to lie beyond the margin.")


class Rule(BaseModel):
    """What decides a claim, fixed before data."""

    supported: str
    refuted: str
    needs: str


class ExcludedData(BaseModel):
    """Data that did not count."""

    what: str
    why: str


class FindingPart(BaseModel):
    """A table of parts, such as one row a model; values are texts, numbers, estimates or null."""

    title: str
    columns: list[str]
    rows: list[list[Any]]


class FindingRow(BaseModel):
    """A published claim judged by what is stored."""

    claim: int
    title: str
    published: str = Field(description="The claim as published.")
    source: str
    verdict: Literal["supported", "refuted", "undecided"]
    reason: str
    what: str | None = Field(description="What `effect` is.")
    effect: float | None
    low: float | None
    high: float | None
    unit: str | None
    n: int = Field(description="Instances.")
    models: int
    p: float | None = Field(description="Of the test behind the verdict.")
    p_holm: float | None = Field(description="Adjusted over all claims.")
    test: str | None
    estimates: list[Estimated] = Field(description="What else the verdict rests on, and how it stands otherwise.")
    baselines: list[Estimated] = Field(description="What answers made without thought score on the same instances.")
    excluded: list[ExcludedData]
    parts: list[FindingPart]
    rule: Rule
    decides: str | None = Field(description="How much more data would decide it, where that can be told.")
    plan: str | None = Field(description="A spec file of a batch that would decide it; null: it is decided.")
    rows: str = Field(description="The command that shows the rows behind it.")


class Findings(BaseModel):
    """The published claims, as `probe findings --format json` prints them."""

    rules_version: int = Field(description="Of the rules that decide.")
    findings: list[FindingRow]


class Health(BaseModel):
    """Whether it lives."""

    status: str
