"""Findings: each published claim judged against the stored results, by rules fixed before data.

A claim is one public function of a module here: pure, over arms (`probe.results.evidence`), to a `Finding`. Add it to
`CLAIMS` and to `judge`. What it needs beyond tallies is loaded in `findings` and handed to it: as more arms what wrong
answers equal (`probe.results.wrong_answers`) and what the commonest answers are worth (`voting`), by shard the tokens
spent (`spending`).
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from probe import planning
from probe.batches import checked, from_table
from probe.errors import RequestError
from probe.results import evidence, wrong_answers
from probe.results.evidence import Arm
from probe.results.findings import composition, forms, priors, procedures, scaling, spending, voting
from probe.results.findings.deciding import Claim, Finding, adjusted
from probe.results.findings.spending import Spent
from probe.store.tables import Batch

CLAIMS: dict[int, Claim] = {
    claim.number: claim
    for claim in (
        composition.COMPOSITION,
        composition.MODULARITY,
        composition.BINDING,
        procedures.COMPOUNDING,
        composition.NOVEL,
        scaling.PLATEAU,
        procedures.RECALL,
        priors.PRIORS,
        scaling.DEPTH,
        scaling.THINKING,
        forms.FORMS,
    )
}
MEASURES = ("constraints", "wellformed", "feasible", "optimal", "recalled", "attractor:converged")
PREFIXES = ("outcome:", "kind:", "survives:", "follows:")  # these and `MEASURES` are what findings are made of
CONCURRENCY = 64  # that a plan's time is told for


def findings(session: Session, batch: int | None = None, where: Mapping[str, str] | None = None) -> list[Finding]:
    """Return a finding for each claim, in their order, from everything answered or from one batch.

    ``where``: as for result tables. Raises RequestError for what it doesn't know there, WorkError where two judge
    versions would be mixed.
    """
    arms = evidence.load(session, lambda name: name in MEASURES or name.startswith(PREFIXES), batch, where)
    found = judge(arms, wrong_answers.load(session, arms), spending.load(session, arms), voting.load(session, arms))
    if batch is None:
        return found
    name = session.get_one(Batch, batch).name
    return [replace(one, batch=name) for one in found]


def judge(arms: Sequence[Arm], wrong: Sequence[Arm], spent: Mapping[int, Spent], voted: Sequence[Arm]) -> list[Finding]:
    """Return a finding for each claim; p adjusted over all. For what is handed in see the head of this module."""
    return adjusted(
        [
            composition.composition(arms),
            composition.modularity(arms),
            composition.binding(arms),
            procedures.compounding(arms, wrong),
            composition.novelty(arms),
            scaling.plateau(arms),
            procedures.recall(arms, wrong),
            priors.priors(arms),
            scaling.depth(arms),
            scaling.thinking(arms, spent, voted),
            forms.forms(arms),
        ]
    )


def of_number(number: int) -> Claim:
    """Return a claim. Raises RequestError for an unknown number."""
    if number not in CLAIMS:
        raise RequestError(f"claim: there is no claim {number}; one of {', '.join(map(str, CLAIMS))}")
    return CLAIMS[number]


def plan(session: Session, number: int) -> str:
    """Return a spec file of a batch that would decide a claim, headed by what it would take with the models there are.

    Raises RequestError for an unknown number.
    """
    claim = of_number(number)
    spec = checked(from_table(tomllib.loads(claim.plan))[0])
    taken = planning.plan(session, spec, CONCURRENCY)
    each = taken.instances * spec.samples * len(spec.channels)
    lines = [
        f"To decide claim {number} ({claim.title}): probe run --spec FILE.toml",
        f"It needs {claim.needs}.",
        f"Asked of each model: {each} times. With the models there are now:",
        *planning.render_plan(taken).splitlines(),
    ]
    return "".join(f"# {line}\n" for line in lines) + claim.plan
