"""The tree of commands. Each group of commands is a module; its functions import what they need when they run."""

import typer

from probe.cli import (
    api,
    catalogue,
    control,
    drawing,
    export,
    findings,
    operations,
    problems,
    results,
    runs,
    schedules,
    service,
    top_up,
)

app = typer.Typer(
    name="probe",
    help="Measures how well language models solve optimization problems by themselves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
runs.register(app)
control.register(app)
service.register(app)
schedules.register(app)
operations.register(app)
results.register(app)
drawing.register(app)
findings.register(app)
export.register(app)
problems.register(app)
catalogue.register(app)
api.register(app)
top_up.register(app)
