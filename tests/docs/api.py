"""docs/api.md and the examples of the OpenAPI document: what a real server answers to real curl.

Examples run one after the other, on a database in which a model has answered a batch. Each is a shell command; what
stands in the page is the command, the status and the answer, shortened.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.api.app import EXAMPLES as OPENAPI_EXAMPLES
from probe.api.app import make_app
from probe.api.problems import DESCRIPTIONS
from probe.api.schemas import SPEC_SCHEMA
from probe.store.sessions import Store

ADDRESS = "http://127.0.0.1:8000"
LONGEST = 120  # characters of a text in an answer


@dataclass(frozen=True)
class Use:
    """One use of the API: a shell command, and the route and status that its last request has."""

    title: str
    route: str
    status: int
    command: str
    about: str = ""


def uses() -> Iterator[Use]:
    """Yield every use, in the order in which they are run."""
    api = f"{ADDRESS}/api/v1"
    spec = {
        "name": "first-look",
        "models": ["tiny"],
        "baselines": ["random", "greedy"],
        "max_calls": 100,
        "arm": [{"families": ["knapsack"], "sizes": ["xs", "s"], "instances": 10}],
    }
    model = {"name": "mine", "url": "http://127.0.0.1:8080/v1", "model": "SmolLM2-135M-Instruct", "params": 135_000_000}
    yield Use("See whether it is there", "GET /healthz", 200, f"curl {ADDRESS}/healthz")
    yield Use("See whether it can serve", "GET /readyz", 200, f"curl {ADDRESS}/readyz")
    yield Use(
        "Add a model",
        "POST /api/v1/models",
        201,
        _json(model | {"allow_internal": True}, f"{api}/models"),
        "`allow_internal` because this endpoint is on the loopback interface. A key is named by the variable of the"
        " workers' environment that holds it (`key_env`).",
    )
    yield Use("List the models", "GET /api/v1/models", 200, f"curl {api}/models")
    yield Use("Show a model", "GET /api/v1/models/{name}", 200, f"curl {api}/models/mine")
    yield Use("Remove a model", "DELETE /api/v1/models/{name}", 204, f"curl -X DELETE {api}/models/mine")
    yield Use("See how the endpoints are doing", "GET /api/v1/endpoints", 200, f"curl {api}/endpoints")
    yield Use(
        "Submit a batch",
        "POST /api/v1/batches",
        201,
        _json(spec, f"{api}/batches", "Idempotency-Key: 5c1f7a90"),
        "The body is what `probe spec` prints, as JSON. Its place is in the header `Location`. Whoever doesn't know"
        " whether a request got through sends it again with the same `Idempotency-Key`: it is done once. The same name"
        " and spec is the same batch in any case.",
    )
    yield Use("List batches", "GET /api/v1/batches", 200, f"curl '{api}/batches?state=queued&limit=10'")
    yield Use(
        "See how a batch stands",
        "GET /api/v1/batches/{batch_id}",
        200,
        f"curl {api}/batches/1",
        "Send its `ETag` back as `If-None-Match`, and the answer is 304 as long as nothing changes.",
    )
    raised = _json({"max_calls": 500}, f"{api}/batches/2", method="PATCH")
    yield Use("Raise its limits", "PATCH /api/v1/batches/{batch_id}", 200, raised)
    yield Use("Pause it", "POST /api/v1/batches/{batch_id}/pause", 202, f"curl -X POST {api}/batches/2/pause")
    yield Use(
        "Resume it",
        "POST /api/v1/batches/{batch_id}/resume",
        202,
        _json({"max_calls": 1000}, f"{api}/batches/2/resume"),
        "With new limits, or without a body.",
    )
    yield Use(
        "Ask again what got no reply",
        "POST /api/v1/batches/{batch_id}/retry",
        202,
        f"curl -X POST {api}/batches/2/retry",
    )
    yield Use("Cancel it", "POST /api/v1/batches/{batch_id}/cancel", 202, f"curl -X POST {api}/batches/2/cancel")
    yield Use("Delete it", "DELETE /api/v1/batches/{batch_id}", 204, f"curl -X DELETE {api}/batches/2")
    yield Use(
        "Read a result table",
        "GET /api/v1/results",
        200,
        f"curl '{api}/results?batch=first&by=model,family&where=size%3Dxs&measure=satisfaction_macro'",
        "As `probe results --format json`.",
    )
    yield Use(
        "Read what the results say of a published claim",
        "GET /api/v1/findings",
        200,
        f"curl '{api}/findings?claim=6'",
        "As `probe findings --format json`; without `claim`, all of them.",
    )
    yield Use(
        "Find trials",
        "GET /api/v1/trials",
        200,
        f"curl '{api}/trials?batch=first&outcome=infeasible,malformed&limit=1'",
        "The rest comes with `&cursor=` and the `next_cursor` of the page before.",
    )
    yield Use("See why a trial failed", "GET /api/v1/trials/{trial_id}", 200, f"curl {api}/trials/1")
    yield Use("Find instances", "GET /api/v1/instances", 200, f"curl '{api}/instances?family=knapsack&seed=7&limit=1'")
    yield Use("Show an instance", "GET /api/v1/instances/{instance_id}", 200, f"curl {api}/instances/1")
    nightly = {"name": "weekly", "cron": "0 3 * * 0", "tz": "Europe/Paris", "canary": 5, "day_calls": 5000}
    nightly["spec"] = {"models": ["tiny"], "families": ["knapsack"], "sizes": ["xs"], "max_calls": 1000}
    yield Use(
        "Add a schedule",
        "POST /api/v1/schedules",
        201,
        _json(nightly, f"{api}/schedules"),
        "Limits in the spec are those of one run. Each run asks fresh instances, and beside them the same canary.",
    )
    yield Use("Run it at once", "POST /api/v1/schedules/{name}/run", 202, f"curl -X POST {api}/schedules/weekly/run")
    yield Use(
        "Pause a schedule", "POST /api/v1/schedules/{name}/pause", 200, f"curl -X POST {api}/schedules/weekly/pause"
    )
    yield Use(
        "Let it go on", "POST /api/v1/schedules/{name}/resume", 200, f"curl -X POST {api}/schedules/weekly/resume"
    )
    yield Use("Remove a schedule", "DELETE /api/v1/schedules/{name}", 204, f"curl -X DELETE {api}/schedules/weekly")
    yield Use("List schedules", "GET /api/v1/schedules", 200, f"curl {api}/schedules")
    yield Use("Show a schedule", "GET /api/v1/schedules/{name}", 200, f"curl {api}/schedules/nightly")
    yield Use("See its history", "GET /api/v1/schedules/{name}/runs", 200, f"curl {api}/schedules/nightly/runs")
    yield Use("Let Prometheus scrape it", "GET /metrics", 200, f"curl {ADDRESS}/metrics")
    yield Use(
        "Understand an error",
        "POST /api/v1/batches",
        422,
        _json({"arm": [{"sizes": ["s"]}, {"sizes": ["huge"]}]}, f"{api}/batches"),
        "Every error has this form (RFC 9457).",
    )
    yield Use(
        "Use tokens",
        "GET /api/v1/batches",
        200,
        "token=$(probe token create nightly --scopes read,submit --expires 30d)\n"
        f'curl -H "Authorization: Bearer $token" {api}/batches',
        "From the first token on every request needs one. It is printed once; the database holds its hash.",
    )


def _json(body: Any, url: str, header: str | None = None, method: str | None = None) -> str:
    words = ["curl", *(["-X", method] if method else []), *(["-H", f"'{header}'"] if header else [])]
    text = json.dumps(body)
    return f"{' '.join(words)} --json '{text}' \\\n  {url}"


def run(use: Use, url: str, folder: Path, home: str) -> tuple[int, str]:
    """Run a use as a shell does, on a server at ``url``; return status and answer of its request."""
    probe = folder / "probe"
    if not probe.exists():
        probe.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m probe.cli "$@"\n', encoding="utf-8")
        probe.chmod(0o755)
    command = use.command.replace(ADDRESS, url).replace("curl ", r"curl -sS -w '\n%{http_code}' ", 1)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PROBE_DATABASE_URL": home}
    done = subprocess.run(["sh", "-ec", command], check=True, capture_output=True, text=True, env=environment)
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), answer


def shortened(value: Any) -> Any:
    """Return a JSON value with one item of each list and the beginning of each long text."""
    match value:
        case str() if len(value) > LONGEST:
            return value[:LONGEST] + " …"
        case list():
            more = ["…"] if len(value) > 1 and isinstance(value[0], str) else []
            return [shortened(item) for item in value[:1]] + more
        case dict():
            return {key: shortened(item) for key, item in value.items()}
    return value


# --- the page ---------------------------------------------------------------------------------------------------------


def document(answers: dict[str, tuple[int, str]]) -> str:
    """Return the page; ``answers``: by title of the use."""
    app = make_app(Store("sqlite:///unused"))
    lines = [
        "# HTTP API",
        "",
        "Made by `make docs`. `probe api [--host HOST] [--port PORT]` serves it; its OpenAPI document is at",
        f"`{app.openapi_url}`.",
        "",
        app.description,
        "## Uses",
        "",
    ]
    for use in uses():
        status, answer = answers[use.title]
        lines += [f"### {use.title}", "", *([use.about, ""] if use.about else []), "```sh", use.command, "```", ""]
        lines += [f"{status}" + (":" if answer else ""), ""]
        if answer:
            lines += [*_block(answer), ""]
    return "\n".join([*lines, *reference()]) + "\n"


def _block(answer: str) -> list[str]:
    if not answer.startswith("{"):
        return ["```text", *answer.strip().splitlines()[:6], "…", "```"]
    return ["```json", json.dumps(shortened(json.loads(answer)), indent=2, ensure_ascii=False), "```"]


def reference() -> list[str]:
    """Return the part of the page that is made of the OpenAPI document alone."""
    api = make_app(Store("sqlite:///unused")).openapi()
    lines = ["## Routes", "", "| route | scope | what it does | parameters |", "|---|---|---|---|"]
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            about, _, scope = operation["description"].rpartition("\n\nScope: ")
            about = " ".join(about.split("\n\n")[0].split())
            named = [p["name"] for p in operation.get("parameters", []) if p["in"] != "path"]
            names = ", ".join(f"`{name}`" for name in named)
            lines.append(f"| `{method.upper()} {path}` | {scope.rstrip('.')} | {about} | {names} |")
    models = api["components"]["schemas"]
    bodies = {"A batch to submit": SPEC_SCHEMA, "An arm of it": SPEC_SCHEMA["properties"]["arm"]["items"]}
    bodies |= {"Limits of a batch": models["Limits"], "A model to add": models["NewModel"]}
    bodies |= {"A schedule to add": models["NewSchedule"]}
    for title, schema in bodies.items():
        lines += ["", f"## {title}", "", "| key | type | default | what |", "|---|---|---|---|"]
        for name, field in schema["properties"].items():
            default = json.dumps(field["default"]) if field.get("default") is not None else ""
            lines.append(f"| `{name}` | {_type(field)} | {default} | {field.get('description', '')} |")
    lines += ["", "## Errors", "", "| status | when |", "|---|---|"]
    return lines + [f"| {status} | {about} |" for status, about in DESCRIPTIONS.items()]


def _type(field: dict[str, Any]) -> str:
    kinds = [field, *field.get("anyOf", [])]
    return " or ".join(kind["type"] for kind in kinds if "type" in kind)


def write(docs: Path) -> None:
    """Write the page, and the examples of the OpenAPI document."""
    from tests.api.conftest import example_server

    answers = {}
    examples: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, example_server(Path(folder)) as (url, home):
        for use in uses():
            status, answer = answers[use.title] = run(use, url, Path(folder), home)
            if answer.startswith("{"):
                examples.setdefault(use.route, {}).setdefault(str(status), shortened(json.loads(answer)))
            elif answer:
                examples.setdefault(use.route, {})[str(status)] = "\n".join(answer.splitlines()[:6])
    OPENAPI_EXAMPLES.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (docs / "api.md").write_text(document(answers), encoding="utf-8")


def uses_of(page: str) -> list[tuple[str, int]]:
    """Return (command, status) of every example in the page."""
    return [(command, int(status)) for command, status in re.findall(r"```sh\n(.*?)\n```\n\n(\d{3})", page, re.DOTALL)]
