"""Result tables."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from probe.api.access import Reader
from probe.api.problems import ProblemError, documented
from probe.api.schemas import Results
from probe.api.trials import batch_id_of
from probe.asking.baselines import BASELINES
from probe.results.cells import result_table
from probe.results.columns import BY
from probe.results.comparing import compare as compared
from probe.results.comparing import default_by
from probe.results.counting import MEASURES
from probe.results.formats import plain

router = APIRouter(tags=["results"])


@router.get("/results", response_model=Results, response_model_exclude_unset=True, responses=documented(409))
def show_results(
    store: Reader,
    batch: Annotated[str | None, Query(description="Id or name; all batches without it.")] = None,
    by: Annotated[
        str | None, Query(description=f"What a row is, parted by commas: {', '.join(BY)}; model without it.")
    ] = None,
    where: Annotated[
        list[str] | None,
        Query(description="column=value[,value…], repeatable; columns as in `by`.", max_length=50),
    ] = None,
    compare: Annotated[
        str | None,
        Query(description="A,B: two models, or column=A,B: two values of a column, compared on the same instances."),
    ] = None,
    measure: Annotated[str, Query(json_schema_extra={"enum": list(MEASURES)})] = "satisfaction_micro",
    baseline: Annotated[
        str, Query(description="What chance means.", json_schema_extra={"enum": list(BASELINES)})
    ] = "random",
) -> dict[str, Any]:
    """Give a result table: rates with intervals, denominators and chance levels; or a paired comparison.

    It is what `probe results --format json` prints.
    """
    conditions = {}
    for text in where or []:
        column, equals, value = text.partition("=")
        if not equals:
            raise ProblemError(422, f"where: {text!r} is not column=value, such as family=knapsack", "where")
        conditions[column.strip()] = value.strip()
    columns = None if by is None else tuple(name.strip() for name in by.split(",") if name.strip())
    with store.reading() as session:
        rest = conditions, batch_id_of(session, batch), baseline, measure
        if compare is None:
            return plain(result_table(session, ("model",) if columns is None else columns, *rest))
        return plain(compared(session, compare, default_by(compare) if columns is None else columns, *rest))
