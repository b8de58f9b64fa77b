"""Commands about who can be asked: models."""

import asyncio
import json
from typing import Annotated

import typer

from probe.cli import common
from probe.errors import RequestError, WorkError

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    models = typer.Typer(help="The model catalogue.", no_args_is_help=True)
    models.command("list")(models_list)
    models.command("add")(models_add)
    models.command("discover")(models_discover)
    models.command("move")(models_move)
    models.command("remove")(models_remove)
    app.add_typer(models, name="models")


def models_list(as_json: Annotated[bool, Option("--json")] = False) -> None:
    """List the models, smallest first."""
    from probe.models import listing

    store = common.store()
    with store.reading() as session:
        rows = [
            {
                "name": model.name,
                "url": endpoint.url if endpoint else None,
                "model": model.served_id,
                "key_variable": (endpoint.key_variable or None) if endpoint else None,
                "params": model.params,
                "active_params": model.active_params,
                "layers": model.layers,
                "width": model.width,
                "training": model.training,
                "lineage": model.lineage,
                "reasoning": model.reasoning,
                "price_in": model.price_in,
                "price_out": model.price_out,
                "capabilities": model.capabilities,
            }
            for model, endpoint in listing(session)
        ]
    if as_json:
        common.print_json({"models": rows})
        return
    if not rows:
        common.say("no models yet: probe models add NAME --url URL --model ID, or probe models discover URL")
    for row in rows:
        size = "size unknown" if row["params"] is None else f"{row['params']:.4g} parameters"
        key = f", key in {row['key_variable']}" if row["key_variable"] else ""
        print(f"{row['name']}  {size}  {row['model']} at {row['url']}{key}")


def models_add(
    name: str,
    url: Annotated[str, Option(help="base URL of the endpoint, such as http://127.0.0.1:8080/v1")],
    model: Annotated[str, Option(help="what the endpoint calls it")],
    key_env: Annotated[str, Option(metavar="VAR", help="environment variable that holds the key")] = "",
    params: Annotated[float | None, Option(help="total parameters, such as 7e9")] = None,
    active_params: Annotated[float | None, Option(help="parameters used for one token")] = None,
    layers: Annotated[int | None, Option(help="depth")] = None,
    width: Annotated[int | None, Option(help="hidden size")] = None,
    reasoning: Annotated[bool, Option("--reasoning", help="it thinks before it answers")] = False,
    training: Annotated[str | None, Option(help="base, sft, rl, dpo, distilled, unknown")] = None,
    lineage: Annotated[str | None, Option(help="what models trained alike share, such as Qwen2.5")] = None,
    price_in: Annotated[float | None, Option(help="USD per million prompt tokens")] = None,
    price_out: Annotated[float | None, Option(help="USD per million answer tokens")] = None,
    rpm: Annotated[int | None, Option(help="requests a minute that the endpoint allows")] = None,
    tpm: Annotated[int | None, Option(help="tokens a minute that the endpoint allows")] = None,
    max_concurrency: Annotated[int | None, Option(help="calls open at once that the endpoint allows")] = None,
    extra_body: Annotated[str, Option(metavar="JSON", help="fields merged into every request")] = "{}",
) -> None:
    """Add a model at an OpenAI-compatible endpoint."""
    from probe.models import ModelFacts, add

    try:
        extra = json.loads(extra_body)
    except ValueError as error:
        raise RequestError(f"--extra-body: not JSON ({error})") from None
    if not isinstance(extra, dict):
        raise RequestError("--extra-body: give a JSON object")
    facts = ModelFacts(
        name=name,
        url=url,
        served_id=model,
        key_variable=key_env,
        params=_whole(params, "params"),
        active_params=_whole(active_params, "active-params"),
        layers=layers,
        width=width,
        training=training,
        lineage=lineage,
        reasoning=reasoning,
        price_in=price_in,
        price_out=price_out,
        rpm=rpm,
        tpm=tpm,
        max_concurrency=max_concurrency,
        extra_body=extra,
    )
    store = common.store()
    with store.writing() as session:
        add(session, facts, store.now(session))
    common.say(f"added {name}; try it: probe run --models {name} --instances 5")


def _whole(value: float | None, name: str) -> int | None:
    if value is None:
        return None
    if not (abs(value) <= 1e18) or value != int(value):
        raise RequestError(f"--{name} {value}: give a whole number, such as 7e9")
    return int(value)


def models_discover(
    url: str,
    key_env: Annotated[str, Option(metavar="VAR", help="environment variable that holds the key")] = "",
    add_all: Annotated[bool, Option("--add", help="add every model found")] = False,
) -> None:
    """Show the models that an endpoint serves."""
    from probe.asking.capabilities import served_models
    from probe.asking.connection import EndpointError
    from probe.models import ModelFacts, add, check_endpoint

    check_endpoint(url, key_env)
    try:
        found = asyncio.run(served_models(url, key_env or None))
    except (EndpointError, ValueError) as error:
        raise WorkError(str(error)) from None
    if not found:
        raise WorkError(f"{url} serves no models")
    for served in found:
        size = "" if served.n_params is None else f"  {served.n_params:.4g} parameters"
        print(f"{served.id}{size}")
    if add_all:
        store = common.store()
        added, left_out = [], []
        with store.writing() as session:
            now = store.now(session)
            for served in found:
                name = served.id.rpartition("/")[2]
                facts = ModelFacts(
                    name=name,
                    url=url,
                    served_id=served.id,
                    key_variable=key_env,
                    params=served.n_params,
                    width=served.n_embd,
                )
                try:
                    add(session, facts, now)
                except RequestError as error:  # a name that is taken, or can't be one
                    left_out.append(f"left out {served.id}: {error}")
                else:
                    added.append(f"added {name}")
        for line in (*added, *left_out):
            common.say(line)


def models_move(
    name: str,
    url: Annotated[str, Option(help="base URL of the endpoint, such as http://127.0.0.1:8080/v1")],
    key_env: Annotated[str | None, Option(metavar="VAR", help="its key's variable; '' for none  [as before]")] = None,
) -> None:
    """Give a model another URL; its batches go on there when they are resumed."""
    from probe.models import move

    store = common.store()
    with store.writing() as session:
        if not move(session, name, url, key_env):
            raise RequestError(f"there is no model {name!r}; `probe models list` shows them")
    common.say(f"moved {name}; its batches ask there from their next run on: probe resume BATCH")


def models_remove(name: str) -> None:
    """Take a model out of the catalogue; its results stay."""
    from probe.models import remove

    store = common.store()
    with store.writing() as session:
        remove(session, name, store.now(session))
    common.say(f"removed {name}; its results stay")
