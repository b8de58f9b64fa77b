"""Commands about what can be asked: families, sample, solve, import."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from probe.cli import common
from probe.errors import RequestError, WorkError

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command()(families)
    app.command()(sample)
    app.command()(solve)
    app.command("import")(import_files)


def families(as_json: Annotated[bool, Option("--json")] = False) -> None:
    """List the families of problems: constraint kinds, modules, variants and ladder of sizes."""
    from solvers import registry

    rows: list[dict[str, Any]] = [
        {
            "name": family.name,
            "kind": family.kind,
            "title": family.title,
            "version": family.version,
            "constraint_kinds": list(family.constraint_kinds),
            "modules": list(family.module_names),
            "modes": list(family.modes),
            "variants": list(family.variants),
            "formats": list(family.formats),
            "sizes": {size: knobs.plain() for size, knobs in family.sizes.items()},
        }
        for family in registry.families()
    ]
    if as_json:
        common.print_json({"families": rows})
        return
    for row in rows:
        print(f"{row['name']}  ({row['kind']}: {row['title']})")
        print(f"  constraint kinds  {', '.join(row['constraint_kinds'])}")
        if row["modules"]:
            print(f"  modules           {', '.join(row['modules'])}")
        print(f"  modes             {', '.join(row['modes'])}   variants  {', '.join(row['variants'])}")
        if row["formats"]:
            print(f"  public formats    {', '.join(row['formats'])}")
        for size, knobs in row["sizes"].items():
            print(f"  {size:<4}              " + ", ".join(f"{name} {value}" for name, value in knobs.items()))


def sample(
    family: str,
    size: Annotated[str, Option()] = "s",
    seed: Annotated[int, Option()] = 7,
    index: Annotated[int, Option(help="which instance of the seed")] = 0,
    mode: Annotated[str, Option(help="final, or trace (numerics)")] = "final",
    channel: Annotated[str, Option(help="text, json or tool")] = "text",
    modules: Annotated[str, Option(metavar="NAME,…", help="default, none, all or names")] = "default",
    variant: Annotated[str, Option(help="fresh, or another one that the family has")] = "fresh",
    answer: Annotated[bool, Option("--answer", help="show the exact answer too")] = False,
    plot: Annotated[Path | None, Option(help="draw the exact answer: FILE.png, FILE.svg or FILE.html")] = None,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """Show an instance as a model sees it."""
    from probe.asking.posed import Posed
    from probe.asking.presentation import CHANNELS, Presentation, messages
    from solvers.problem import Hole
    from solvers.procedure import decimal

    kind = common.family_named(family)
    if mode not in kind.modes_of(variant):
        raise RequestError(f"--mode {mode!r}: {family} can be asked for {', '.join(kind.modes_of(variant))}")
    if channel not in CHANNELS:
        raise RequestError(f"--channel {channel!r}: one of {', '.join(CHANNELS)}")
    if seed < 0 or index < 0:
        raise RequestError("--seed and --index: give whole numbers from 0")
    chosen = {"default": None, "all": None, "none": ()}.get(modules, common.names(modules))
    try:
        found, _ = kind.instance(size, seed, index, chosen, variant)
    except ValueError as error:
        raise RequestError(str(error)) from None
    if isinstance(found, Hole):
        raise WorkError(f"index {index} is a hole: {json.dumps(dict(found.reasons))}; try another --index")
    if plot is not None:
        from probe.results import pictures, plots

        plots.save(pictures.picture(found), plot)
        common.say(f"wrote {plot}")
    posed = Posed(found, mode)  # type: ignore[arg-type]
    presentation = Presentation(channel=channel)  # type: ignore[arg-type]
    exact = posed.shape.write(kind.exact(found, mode), found.names) if answer else None
    asked = [dict(message) for message in messages(posed, presentation)]
    if as_json:
        common.print_json(
            {"family": family, "key": found.key, "messages": asked, "schema": posed.schema, "answer": exact}
        )
        return
    for message in asked:
        print(message["content"])
    if answer:
        print(f"\nExact answer ({found.proof.solver}, {found.proof.status}): {json.dumps(exact)}")
        if found.optimum is not None:
            print(f"Objective {decimal(found.optimum)}, target {found.target}")


def solve(
    family: str,
    file: Path,
    format_: Annotated[
        str | None, Option("--format", help="of the file; needed where the family reads several")
    ] = None,
    problem: Annotated[int, Option(help="which problem of a file that holds several, from 1")] = 1,
    time_limit: Annotated[float, Option(metavar="SECONDS", help="of the search; all processors are used")] = 60,
    as_json: Annotated[bool, Option("--json")] = False,
) -> None:
    """Solve a public instance exactly; "optimal" only where it is proven."""
    from probe.importing import problems_of
    from solvers.constrained import Optimization
    from solvers.exact import search
    from solvers.names import Names

    kind = common.family_named(family)
    problems = problems_of(kind, file, format_)
    if not isinstance(kind, Optimization):
        raise RequestError(f"{family}: its instances are judged, not solved; see `probe import`")
    if not 1 <= problem <= len(problems):
        raise RequestError(f"--problem {problem}: {file} holds {len(problems)}")
    if not time_limit > 0:
        raise RequestError(f"--time-limit {time_limit}: give a number of seconds above 0")
    d = problems[problem - 1]
    shape = kind.form(d)
    found = search(shape, kind.core(d), kind.objective(d), time_limit)
    answer = None if found.answer is None else shape.write(found.answer, Names())
    if as_json:
        row = {"objective": found.objective, "status": found.status, "bound": found.bound}
        common.print_json(
            {
                key: value if value is None or isinstance(value, str) else common.plain_number(value)
                for key, value in row.items()
            }
            | {"seconds": round(found.seconds, 3), "answer": answer}
        )
    else:
        print(f"objective  {'none' if found.objective is None else found.objective}")
        print(f"status     {found.status}")
        print(f"bound      {'none' if found.bound is None else found.bound}")
        print(f"time       {found.seconds:.2f} s")
        if answer is not None:
            print(f"answer     {json.dumps(answer)}")
    if found.status == "unknown":
        raise WorkError(f"nothing was found in {time_limit:g} s; give more time with --time-limit")


def import_files(
    family: Annotated[str, typer.Argument(metavar="FAMILY|ARCHIVE.zip", help="of the files; or what to restore")],
    files: Annotated[list[Path] | None, typer.Argument(help="public instances; none with an archive")] = None,
    format_: Annotated[
        str | None, Option("--format", help="of the files; needed where the family reads several")
    ] = None,
    size: Annotated[str, Option(help="the size under which they are asked")] = "m",
    seed: Annotated[int, Option(help="the seed under which they are asked")] = 7,
) -> None:
    """Store public instances with their proven answers, which are asked as variant imported; or restore an archive."""
    from probe.importing import import_problems, problems_of

    if family.endswith(".zip"):
        _restore(Path(family), files)
        return
    if not files:
        raise RequestError(f"import {family}: name the files to be read, or ARCHIVE.zip alone")
    kind = common.family_named(family)
    if size not in kind.sizes:
        raise RequestError(f"--size {size!r}: {family} has {', '.join(kind.sizes)}")
    if seed < 0:
        raise RequestError("--seed: give a whole number from 0")
    problems = [
        (f"{file.name}, problem {k}", d) for file in files for k, d in enumerate(problems_of(kind, file, format_), 1)
    ]
    store = common.store()
    done = import_problems(store, kind, problems, size, seed)
    for name, position in done.stored:
        print(f"{position}  {name}")
    for name, reason in done.left_out:
        print(f"left out {name}: {reason}", file=sys.stderr)
    if not done.stored:
        raise WorkError("nothing was imported")
    common.say(
        f"ask them: probe run --families {family} --sizes {size} --variants imported --seed {seed}"
        f" --instances {done.stored[-1][1] + 1}"
    )


def _restore(file: Path, others: list[Path] | None) -> None:
    """Store what an archive holds."""
    from probe.results.restoring import restore

    if others:
        raise RequestError(f"import {file}: an archive is restored alone; leave out {others[0]}")
    done = restore(common.store(), file)
    for name in done.stored:
        print(f"restored {name}")
    for name in done.known:
        print(f"here already {name}")
    common.say(f"{done.trials} trials; the archive's digest is {done.digest}")
