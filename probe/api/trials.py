"""Trials and instances: what was asked, what came back, what was counted."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from probe.api.access import Reader
from probe.api.pages import LARGEST, Page
from probe.api.problems import ProblemError, documented, missing
from probe.api.schemas import Id, InstanceDetail, InstanceRow, Paged, TrialDetail, TrialRow
from probe.errors import RequestError
from probe.store import queries

LIST = "One or several, parted by commas."

router = APIRouter()


def batch_id_of(session: Session, batch: str | None) -> int | None:
    """Return the id of a batch that a parameter names. Raises ProblemError."""
    if batch is None:
        return None
    try:
        return queries.find_batch(session, batch).id
    except RequestError as error:
        raise ProblemError(422, str(error), "batch") from None


@router.get("/trials", tags=["trials"], response_model=Paged[TrialRow])
def list_trials(
    store: Reader,
    page: Page,
    batch: Annotated[str | None, Query(description="Id or name.")] = None,
    model: Annotated[str | None, Query(description=LIST)] = None,
    family: Annotated[str | None, Query(description=LIST)] = None,
    size: Annotated[str | None, Query(description=LIST)] = None,
    mode: Annotated[str | None, Query(description=LIST)] = None,
    channel: Annotated[str | None, Query(description=LIST)] = None,
    outcome: Annotated[str | None, Query(description=LIST, examples=["infeasible,malformed"])] = None,
    position: Annotated[str | None, Query(description="Numbers, parted by commas.")] = None,
    sample: Annotated[str | None, Query(description="Numbers, parted by commas.")] = None,
) -> dict[str, Any]:
    """List trials, the newest first."""
    given = {"model": model, "family": family, "size": size, "mode": mode, "channel": channel, "outcome": outcome}
    given |= {"position": position, "sample": sample}
    where = {key: value for key, value in given.items() if value is not None}
    with store.reading() as session:
        batch_id = batch_id_of(session, batch)
        rows = queries.trials_before(session, batch_id, where, page.limit + 1, page.before)
    return page.page([(row["id"], row) for row in rows])


@router.get("/trials/{trial_id}", tags=["trials"], response_model=TrialDetail, responses=documented(404, 409))
def show_trial(store: Reader, trial_id: Id) -> dict[str, Any]:
    """Show one trial: the prompt, the raw reply, what was read in it, each constraint with its slack."""
    with store.reading() as session:
        found = queries.describe_trial(session, trial_id)
    if found is None:
        raise missing(f"trial {trial_id}", "/api/v1/trials")
    return found | {"failed": [check["id"] for check in found["checks"] if not check["satisfied"]]}


@router.get("/instances", tags=["instances"], response_model=Paged[InstanceRow])
def list_instances(
    store: Reader,
    page: Page,
    key: Annotated[str | None, Query(description="The instance of this key.")] = None,
    family: Annotated[str | None, Query()] = None,
    size: Annotated[str | None, Query()] = None,
    seed: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    variant: Annotated[str | None, Query()] = None,
    modules: Annotated[str | None, Query(description="Names joined by +; empty: without modules.")] = None,
) -> dict[str, Any]:
    """List instances, the newest first."""
    given = {"key": key, "family": family, "size": size, "seed": seed, "variant": variant, "modules": modules}
    where = {name: value for name, value in given.items() if value is not None}
    with store.reading() as session:
        rows = queries.instances_before(session, where, page.limit + 1, page.before)
    return page.page([(row["id"], row) for row in rows])


@router.get(
    "/instances/{instance_id}", tags=["instances"], response_model=InstanceDetail, responses=documented(404, 409)
)
def show_instance(
    store: Reader,
    instance_id: Id,
    mode: Annotated[str | None, Query(json_schema_extra={"enum": ["final", "trace"]})] = None,
) -> dict[str, Any]:
    """Show one instance: its statement, its constraints, and the exact answer."""
    with store.reading() as session:
        found = queries.describe_instance(session, instance_id, mode)
    if found is None:
        raise missing(f"instance {instance_id}", "/api/v1/instances")
    return found
