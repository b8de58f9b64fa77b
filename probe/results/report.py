"""The report: everything that a reader of a study needs on one page, and the command behind every number.

The same data give the same bytes: nothing here knows the time, and all rows have an order.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from probe.asking.baselines import RANDOM_SAMPLES
from probe.asking.judging import FEASIBLE, UNSCORED
from probe.errors import RequestError, WorkError
from probe.results import plots
from probe.results.cells import Cell, ResultTable, result_table
from probe.results.columns import Catalogue, catalogue, human_size
from probe.results.counting import Shards, selected
from probe.results.documents import Block, Document, Figure, Items, Listing, Section, Table, Text, markdown, page
from probe.results.files import write
from probe.results.findings import findings
from probe.results.findings.deciding import RULES_VERSION
from probe.results.findings.rendering import HEADINGS, LEAD, facts, filled, shown, summary
from probe.results.formats import UNDEFINED, grid, percent
from probe.results.plots.frame import sizes_in_order, svg
from probe.results.statistics import EXACT_CLUSTERS, FEWEST_CLUSTERS, PERMUTATIONS
from probe.store.queries import KEYS
from probe.store.sessions import in_groups
from probe.store.tables import Batch, Call, FamilyVersion, Model, Shard
from probe.store.tables import Block as BlockRow
from solvers.problem import SIZES

TITLE = "How well language models solve optimization problems by themselves"
TABLES: tuple[tuple[str, str, tuple[str, ...]], ...] = (  # anchor, heading, columns
    ("by-model", "By model", ("model", "params")),
    ("by-family", "By family", ("model", "family")),
    ("by-class", "By constraint class", ("model", "constraint_class")),
    ("by-size", "By size of instance", ("model", "size")),
)
PLOTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("size", {}),
    ("kinds", {"by": "constraint_class"}),
    ("kinds", {}),
    ("outcomes", {}),
    ("novelty", {}),
    ("survival", {}),
    ("attractors", {}),
    ("compare", {}),
    ("nights", {}),
)
COMPARED = 2  # models of which a report draws the paired comparison by itself
LONGEST_ERROR = 300
MOST_ERRORS = 5  # shown of a batch
OF_QUESTIONS = {"kind": "kind", "variant": "variants", "modules": "modules", "mode": "modes"}  # fact -> heading
BASELINE_MEANS = {
    "blank": "the empty answer",
    "random": "well-formed answers drawn at random",
    "greedy": "the obvious heuristic of a family, where it has one",
    "template": "what its template suggests, where it has one: a flat start, the converged value",
    "exact": "the proven answer, which must score 100 %",
}
SHOW = "probe show TRIAL"


@dataclass(frozen=True)
class Asked:
    """What a report speaks of: the session it reads, one batch or all, and conditions as of result tables."""

    session: Session
    batch: int | None
    where: Mapping[str, str]

    @cached_property
    def batch_name(self) -> str | None:
        """The name of the batch, None for all."""
        return None if self.batch is None else self.session.get_one(Batch, self.batch).name

    @cached_property
    def known(self) -> Catalogue:
        """What shards speak of."""
        return catalogue(self.session)

    @cached_property
    def shards(self) -> Shards:
        """The shards of the models, and those of the baselines that answered the same questions."""
        every, _ = selected(self.session, self.known, self.where, self.batch)
        return every.only((every.batch > 0) | np.isin(every.question, every.question[every.batch > 0]))

    @cached_property
    def models(self) -> list[Model]:
        """The models that were asked, by size."""
        ids = np.unique(self.shards.model[self.shards.batch > 0]).tolist()
        found = self.session.scalars(select(Model).where(Model.id.in_(ids)))
        return sorted(found, key=lambda m: (m.params is None, m.params or 0, m.name, m.id))

    @cached_property
    def batches(self) -> list[Batch]:
        """The batches that asked them, in order of id."""
        ids = np.unique(self.shards.batch[self.shards.batch > 0]).tolist()
        return list(self.session.scalars(select(Batch).where(Batch.id.in_(ids)).order_by(Batch.id)))

    def table(self, by: Sequence[str]) -> ResultTable:
        """Return a result table."""
        return result_table(self.session, by, self.where, self.batch)

    def command(self, *words: str, own: Sequence[str] = ()) -> str:
        """Return the command that shows the same; ``own``: conditions of its own, as key=value."""
        return _command(words, self.batch_name, [*(f"{key}={value}" for key, value in self.where.items()), *own])

    def trials(self, *own: str) -> str:
        """Return the command that lists trials; it knows fewer keys than tables do."""
        kept = [f"{key}={value}" for key, value in self.where.items() if key in KEYS]
        return _command(["trials"], self.batch_name, [*kept, *own])


def _command(words: Sequence[str], batch: str | None, conditions: Iterable[str]) -> str:
    """Return a command as a shell takes it; a later condition on a key takes the place of an earlier one."""
    by_key = {text.partition("=")[0]: text for text in conditions}
    more = [] if batch is None else ["--batch", batch]
    return " ".join(
        map(quote, ["probe", *words, *more, *(word for text in by_key.values() for word in ("--where", text))])
    )


def report(
    session: Session, batch: int | None = None, where: Mapping[str, str] | None = None, title: str | None = None
) -> Document:
    """Return the report of everything answered, or of one batch, kept by ``where`` as in result tables.

    Raises RequestError for what it doesn't know in ``where``, WorkError where no model has answered anything or judge
    versions would be mixed.
    """
    asked = Asked(session, batch, dict(where or {}))
    by_model = asked.table(("model", "params"))
    if not any(cell.kind == "endpoint" for cell in by_model.cells):
        raise WorkError("report: no model has answered anything here; ask some with `probe run`")
    sections = [
        _summary(asked, by_model),
        *_tables(asked),
        *_plots(asked),
        *_findings(asked),
        *_methods(asked, by_model.judge_version),
        *_batches(asked),
    ]
    return Document(title or TITLE, sections)


def save(document: Document, path: Path) -> list[Path]:
    """Write a report as what its name ends with, .html or .md, and return the files written.

    A page holds its plots; beside markdown they lie in a folder of its name. Raises RequestError for another ending or
    a file that can't be written.
    """
    if check_ending(path) == ".html":
        write(path, page(document).encode())
        return [path]
    figures = [block for section in document.sections for block in section.blocks if isinstance(block, Figure)]
    folder = path.with_name(f"{path.stem}-plots")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RequestError(f"output {folder}: can't be made ({error.strerror}); choose another place") from None
    files = {figure.name: folder / f"{figure.name}.svg" for figure in figures}
    for figure in figures:
        write(files[figure.name], figure.svg.encode())
    write(path, markdown(document, {name: f"{folder.name}/{file.name}" for name, file in files.items()}).encode())
    return [path, *files.values()]


def check_ending(path: Path) -> str:
    """Return what a file's name ends with. Raises RequestError where no report is written so."""
    ending = path.suffix.lower()
    if ending not in (".html", ".md"):
        raise RequestError(f"output {path}: the name must end with .html or .md")
    return ending


# --- summary ----------------------------------------------------------------------------------------------------------


def _summary(asked: Asked, by_model: ResultTable) -> Section:
    cells = [cell for cell in by_model.cells if cell.kind == "endpoint"]
    total = [cell for cell in asked.table(()).cells if cell.kind == "endpoint"]
    kept = ", ".join(f"{key}={value}" for key, value in asked.where.items())
    rows = [
        ("models", f"{len(cells)}: {', '.join(cell.group['model'] for cell in cells)}"),
        ("trials", f"{sum(cell.n_trials for cell in cells):,} of {sum(c.n_instances for c in total):,} instances"),
        ("unscored", f"{sum(sum(cell.unscored.values()) for cell in cells):,} trials: failures of the instrument"),
        ("batches", ", ".join(batch.name for batch in asked.batches)),
        ("kept", kept or "everything"),
        ("judge", f"version {by_model.judge_version}"),
    ]
    blocks: list[Block] = [
        Text(
            "What models answer to constrained-optimization and iterative-numerics problems, every constraint of every"
            " answer checked. Rates stand beside what answers without thought score on the same instances (chance),"
            " with 95 % intervals clustered by instance. Under each table and plot stand the command that shows it"
            f" and the one that lists its trials; {SHOW} shows the problem, the reply and every constraint of one."
            " Baselines belong to no batch: their trials are listed without --batch."
        ),
        Items(rows),
    ]
    for cell in cells:
        rate = cell.rates["satisfaction_micro"]
        if cell.chance is not None and rate is not None and cell.corrected is not None:
            low, high = cell.corrected.low, cell.corrected.high
            if low is None or high is None:
                continue
            stands = "above" if low > 0 else "below" if high < 0 else "not told apart from"
            text = (
                f"{percent(rate.rate)} of its constraints are satisfied, {stands} chance ({percent(cell.chance.rate)})"
            )
            blocks.append(Items([(str(cell.group["model"]), text)]))
    return Section("Summary", "summary", _joined(blocks))


def _joined(blocks: Iterable[Block]) -> list[Block]:
    """Return blocks, lists that follow each other as one."""
    out: list[Block] = []
    for block in blocks:
        if isinstance(block, Items) and out and isinstance(out[-1], Items):
            out[-1] = Items([*out[-1].rows, *block.rows])
        else:
            out.append(block)
    return out


# --- tables -----------------------------------------------------------------------------------------------------------


def _tables(asked: Asked) -> list[Section]:
    out = [Section("Results", "results", [_models(asked)])]
    for anchor, heading, by in TABLES:
        table = asked.table(by)
        drawn = grid(table)
        rows = [
            [*names, *(" ".join(column.texts[i]) for column in drawn.columns)] for i, names in enumerate(drawn.names)
        ]
        headings = [*drawn.by, *(column.heading for column in drawn.columns)]
        listed = asked.trials("model=MODEL", *([f"{by[1]}={by[1].upper()}"] if by[1] in KEYS else []))
        blocks: list[Block] = [
            *map(Text, drawn.lead),
            Table(headings, rows, len(drawn.by), drawn.baselines),
            Items([("", note) for note in drawn.notes]),
            Listing([asked.command("results", "--by", ",".join(by)), listed, SHOW]),
        ]
        out.append(Section(heading, anchor, [b for b in blocks if not (isinstance(b, Items) and not b.rows)], 3))
    return [*out, _unscored(asked)]


def _models(asked: Asked) -> Table:
    headings = ["model", "served as", "parameters", "active", "layers", "width", "training", "reasoning", "lineage"]
    return Table(headings, [_facts_of(model) for model in asked.models], 2, title="The models and their size facts")


def _facts_of(model: Model) -> list[str]:
    sizes = [UNDEFINED if n is None else human_size(n) for n in (model.params, model.active_params or model.params)]
    plain = [model.layers, model.width, model.training, "yes" if model.reasoning else "no", model.lineage]
    return [model.name, model.served_id or UNDEFINED, *sizes, *(UNDEFINED if v is None else str(v) for v in plain)]


def _unscored(asked: Asked) -> Section:
    cells = [cell for cell in asked.table(("model", "channel")).cells if cell.kind == "endpoint"]
    headings = ["model", "channel", "trials", *UNSCORED, "feasible, unscored all wrong", "feasible, unscored all right"]
    rows = [
        [
            str(cell.group["model"]),
            str(cell.group["channel"]),
            f"{cell.n_trials:,}",
            *(f"{cell.unscored[cause]:,}" for cause in UNSCORED),
            *(percent(rate) for rate in _worst(cell)),
        ]
        for cell in cells
    ]
    blocks: list[Block] = [
        Text(
            "Trials that failed by the instrument count in no rate. At worst all of them would have been wrong, or"
            " right: the share of feasible answers lies between the last two columns whatever they were."
        ),
        Table(headings, rows, 2),
        Listing(
            [
                asked.command("results", "--by", "model,channel"),
                asked.trials(f"outcome={','.join(UNSCORED)}"),
                SHOW,
            ]
        ),
    ]
    return Section("Unscored", "unscored", blocks, 3)


def _worst(cell: Cell) -> tuple[float, float]:
    """Return the shares of feasible answers if all unscored ones were wrong, and right."""
    feasible, unscored = sum(cell.outcomes[o] for o in FEASIBLE), sum(cell.unscored.values())
    return feasible / cell.n_trials, (feasible + unscored) / cell.n_trials


# --- plots ------------------------------------------------------------------------------------------------------------


def _plots(asked: Asked) -> list[Section]:
    sections, missing = [], []
    for name, given in PLOTS:
        options = dict(given)
        if name == "compare":
            if len(asked.models) != COMPARED:
                continue
            options["compare"] = ",".join(model.name for model in asked.models)
        if name == "nights" and (asked.batch is not None or "batch" in asked.where or len(asked.batches) == 1):
            continue
        try:
            spec = plots.draw(asked.session, name, asked.batch, asked.where, **options)
        except (WorkError, RequestError) as error:  # such as two models without an instance in common
            missing.append(("", str(error)))
            continue
        anchor = "-".join(["plot", name, *(v.replace("_", "-") for k, v in options.items() if k == "by")])
        title = str(spec["title"]["text"])
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        listing = [asked.command("plot", name, *words, "-o", f"{name}.html"), asked.trials("model=MODEL"), SHOW]
        sections.append(Section(title, anchor, [Figure(anchor, svg(spec), title), Listing(listing)], 3))
    head: list[Block] = [Text("As HTML a plot shows the numbers where the pointer rests.")]
    if missing:
        head += [Text("Not drawn, for lack of data:"), Items(missing)]
    return [Section("Plots", "plots", head), *sections]


# --- findings ---------------------------------------------------------------------------------------------------------


def _findings(asked: Asked) -> list[Section]:
    found = findings(asked.session, asked.batch, asked.where)
    plain = "probe findings" + ("" if asked.batch_name is None else f" --batch {quote(asked.batch_name)}")
    blocks: list[Block] = [Text(LEAD), Table(HEADINGS, summary(found), 3), Listing([plain])]
    out = [Section("Findings", "findings", blocks)]
    for one in found:
        heading = f"{one.claim.number}. {one.claim.title}: {one.verdict}"
        parts = [
            Table(
                part.columns,
                [[shown(c, value) for c, value in zip(part.columns, row, strict=True)] for row in part.rows],
                title=part.title,
            )
            for part in filled(one)
        ]
        rows = asked.command("results", "--by", one.claim.by, own=one.claim.where)
        own = [text for text in one.claim.where if text.partition("=")[0] in KEYS]
        listing = Listing([rows, asked.trials(*own, "model=MODEL"), SHOW])
        about = [(name, text) for name, text in facts(one) if name != "rows"]
        out.append(Section(heading, f"claim-{one.claim.number}", [Items(about), *parts, listing], 3))
    return out


# --- methods ----------------------------------------------------------------------------------------------------------


def _methods(asked: Asked, judge: int | None) -> list[Section]:
    intervals = [
        (
            "rates",
            "Wilson's interval at the effective n, clusters are base instances: whatever is pooled (models, "
            "channels, samples, twins) is added per instance first; leverage-corrected variance, Student's t with "
            f"Satterthwaite's degrees of freedom; no interval below {FEWEST_CLUSTERS} instances",
        ),
        (
            "chance",
            f"the rate of the baseline random ({RANDOM_SAMPLES} answers an instance) on the same instances, "
            "weighted as the row's own trials; corrected: (rate - chance) / (1 - chance), delta method with the paired "
            "correlation",
        ),
        ("baselines", "; ".join(f"{name}: {what}" for name, what in BASELINE_MEANS.items())),
        (
            "differences",
            "paired by base instance, t interval clustered by instance; tests swap whole instances (all "
            f"ways up to {EXACT_CLUSTERS} instances, else {PERMUTATIONS:,} drawn by a fixed seed), McNemar's mid-p for "
            "one answer each; Holm and Benjamini-Hochberg over the rows",
        ),
        (
            "size",
            "the model is the unit of every statement over models: one value a model, Student's t with k - 2 "
            "degrees of freedom",
        ),
        (
            "unscored",
            f"{', '.join(UNSCORED)}: in no rate, counted beside; refusal, unparsed and malformed answers are "
            "scored: nothing satisfied",
        ),
        (
            "optimal",
            "feasible and the recomputed objective equals the proven optimum (OR-Tools; exact rational "
            "arithmetic for procedures)",
        ),
    ]
    versions = [
        ("solver-probe", version("solver-probe")),
        ("OR-Tools", version("ortools")),
        ("judge", UNDEFINED if judge is None else str(judge)),
        ("findings' rules", str(RULES_VERSION)),
    ]
    return [
        Section("Methods", "methods", [Items(intervals)]),
        Section("How it was asked", "presentations", [_presentations(asked), Listing(_presented(asked))], 3),
        Section(
            "What was asked",
            "families",
            [_families(asked), _knobs(asked), Listing([asked.command("results", "--by", "family,size")])],
            3,
        ),
        Section("Versions", "versions", [Items(versions)], 3),
    ]


def _presented(asked: Asked) -> list[str]:
    return [
        asked.command("results", "--by", "model,presentation"),
        asked.trials("channel=CHANNEL"),
        SHOW,
    ]


def _presentations(asked: Asked) -> Table:
    names = ["channel", "form", "template", "examples", "coverage", "warning", "temperature", "effort", "answer_tokens"]
    asking = asked.shards.only(asked.shards.batch > 0)
    rows = []
    for row in asked.known.presentations.some(asking.presentation):
        models = np.unique(asking.model[asking.presentation == row.id])
        values = [UNDEFINED if (v := getattr(row, name)) is None else _word(v) for name in names]
        rows.append([row.label, *values, f"{models.size}"])
    return Table(["presentation", *(name.replace("_", " ") for name in names), "models"], rows, 3)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _families(asked: Asked) -> Table:
    """Return what was asked of each family: its version, sizes, variants, modules, modes and seeds."""
    questions = asked.known.questions.some(asked.shards.question[asked.shards.batch > 0])
    instances = {cell.group["family"]: cell.n_instances for cell in asked.table(("family",)).cells}
    by_block = {row.id: {"discards": sum(row.discards.values()), "holes": len(row.holes)} for row in _blocks(asked)}
    rows = []
    for name, number in sorted({(row.family, row.version) for row in questions}):
        mine = [row for row in questions if (row.family, row.version) == (name, number)]
        sizes = ", ".join(sizes_in_order(row.size for row in mine))
        listed = [", ".join(sorted({getattr(row, what) or "none" for row in mine})) for what in OF_QUESTIONS]
        seeds = ", ".join(map(str, sorted({row.seed for row in mine})))
        blocks = {row.block_id for row in mine}
        lost = [f"{sum(by_block[i][what] for i in blocks):,}" for what in ("discards", "holes")]
        rows.append(
            [name, str(number), sizes, *listed, seeds, f"{len(blocks):,}", f"{instances.get(name, 0):,}", *lost]
        )
    headings = ["family", "version", "sizes", *OF_QUESTIONS.values(), "seeds"]
    return Table([*headings, "blocks", "instances", "discarded draws", "holes"], rows, len(headings))


def _blocks(asked: Asked) -> list[Any]:
    """Return (id, family, size, knobs, discards, holes) of the blocks asked, in order."""
    questions = asked.known.questions.some(asked.shards.question[asked.shards.batch > 0])
    ids = sorted({row.block_id for row in questions})
    columns = (
        BlockRow.id,
        FamilyVersion.name,
        FamilyVersion.version,
        BlockRow.size,
        BlockRow.knobs,
        BlockRow.discards,
        BlockRow.holes,
    )
    query = select(*columns).join(FamilyVersion, BlockRow.family_version_id == FamilyVersion.id)
    return [
        row
        for some in in_groups(ids)
        for row in asked.session.execute(query.where(BlockRow.id.in_(some)).order_by(BlockRow.id))
    ]


def _knobs(asked: Asked) -> Listing:
    """Return the difficulty settings of each size that was asked."""
    lines = {
        (row.name, row.version, SIZES.index(row.size) if row.size in SIZES else len(SIZES), row.size): row.knobs
        for row in _blocks(asked)
    }
    sizes = [
        f"{name} {size}: {', '.join(f'{key} {value}' for key, value in sorted(knobs.items()))}"
        for (name, _, _, size), knobs in sorted(lines.items(), key=lambda pair: pair[0])
    ]
    return Listing(sizes, "Difficulty settings of each size", folded=True)


# --- batches ----------------------------------------------------------------------------------------------------------


def _batches(asked: Asked) -> list[Section]:
    used = _used(asked)
    names = {model.id: model for model in asked.models}
    rows = [
        [names[id_].name, f"{calls:,}", *(f"{tokens:,}" for tokens in spent), _cost(names[id_], *spent[:2])]
        for id_, calls, *spent in sorted(used, key=lambda row: asked.models.index(names[row[0]]))
    ]
    headings = ["model", "calls", "prompt tokens", "answer tokens", "of these reasoning", "USD at its present price"]
    head: list[Block] = [
        Text("Calls and tokens as the endpoints reported them, of the batches below, repeated calls included."),
        Table(headings, rows),
    ]
    return [Section("Batches", "batches", head), *(_batch(asked, batch) for batch in asked.batches)]


def _used(asked: Asked) -> list[tuple[int, ...]]:
    """Return (model id, calls, prompt tokens, answer tokens, reasoning tokens) of the models' shards."""
    ids = asked.shards.id[asked.shards.batch > 0].tolist()
    sums: dict[int, list[int]] = {model.id: [0] * 4 for model in asked.models}
    tokens = (func.sum(getattr(Call, f"{name}_tokens")) for name in ("prompt", "answer", "reasoning"))
    query = select(Shard.model_id, func.count(Call.id), *tokens).join(Shard, Call.shard_id == Shard.id)
    query = query.group_by(Shard.model_id)
    for some in in_groups(ids):
        for model, *counts in asked.session.execute(query.where(Shard.id.in_(some))):
            sums[model] = [a + int(b or 0) for a, b in zip(sums[model], counts, strict=True)]
    return [(model, *counts) for model, counts in sums.items()]


def _cost(model: Model, prompt: int, answer: int) -> str:
    if model.price_in is None and model.price_out is None:
        return UNDEFINED
    return f"{(prompt * (model.price_in or 0) + answer * (model.price_out or 0)) / 1e6:.4f}"


def _batch(asked: Asked, batch: Batch) -> Section:
    queued = datetime.fromtimestamp(batch.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    limits = {"calls": batch.max_calls, "tokens": batch.max_tokens, "USD": batch.max_cost}
    held = ", ".join(f"{value:,} {name}" for name, value in limits.items() if value is not None)
    spent = f"{batch.used_calls:,} calls, {batch.used_tokens:,} tokens, {batch.used_cost:.4f} USD"
    rows = [("queued", queued), ("state", batch.state), ("spent", spent), ("limits", held or "none")]
    if batch.notes:
        rows.append(("notes", json.dumps(batch.notes, sort_keys=True, ensure_ascii=False)))
    rows += [("error", text) for text in _errors(asked.session, batch.id)]
    spec = json.dumps(batch.spec, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
    commands = [_command([command], batch.name, []) for command in ("results", "trials")]
    commands.insert(0, f"probe status {quote(batch.name)}")
    blocks: list[Block] = [Items(rows), Listing(spec, "Its specification", folded=True), Listing([*commands, SHOW])]
    return Section(batch.name, f"batch-{batch.id}", blocks, 3)


def _errors(session: Session, batch: int) -> list[str]:
    """Return why shards of a batch failed, the most frequent reasons first."""
    query = select(Shard.error, func.count(Shard.id)).where(Shard.batch_id == batch, Shard.error.is_not(None))
    rows = sorted(session.execute(query.group_by(Shard.error)).all(), key=lambda row: (-row[1], row[0]))
    return [f"{count:,} shards: {str(error)[:LONGEST_ERROR]}" for error, count in rows[:MOST_ERRORS]]
