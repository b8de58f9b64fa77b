"""Findings: the published claims, judged by what is stored."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from probe.api.access import Reader
from probe.api.problems import ProblemError, documented
from probe.api.schemas import Findings
from probe.api.trials import batch_id_of
from probe.errors import RequestError
from probe.results import findings
from probe.results.findings.rendering import plain

router = APIRouter(tags=["results"])


@router.get("/findings", response_model=Findings, responses=documented(409))
def show_findings(
    store: Reader,
    batch: Annotated[str | None, Query(description="Id or name; all batches without it.")] = None,
    claim: Annotated[int | None, Query(description="One claim, by its number; all without it.")] = None,
) -> dict[str, Any]:
    """Judge the published claims by what is stored: supported, refuted or undecided, with effect, interval and reason.

    It is what `probe findings --format json` prints.
    """
    if claim is not None:
        try:
            findings.of_number(claim)
        except RequestError as error:
            raise ProblemError(422, str(error), "claim") from None
    with store.reading() as session:
        found = findings.findings(session, batch_id_of(session, batch))
    return plain([one for one in found if claim in (None, one.claim.number)])
