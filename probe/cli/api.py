"""Commands of the HTTP API: api, token."""

from functools import partial
from typing import Annotated, Any

import typer

from probe.cli import common

Option = typer.Option


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command()(api)
    token = typer.Typer(help="Tokens of the HTTP API.", no_args_is_help=True)
    token.command("create")(token_create)
    token.command("list")(token_list)
    token.command("revoke")(token_revoke)
    app.add_typer(token, name="token")


def api(
    host: Annotated[str, Option(help="address to serve at; others than loopback need a token")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="0: any free one")] = 8000,
) -> None:
    """Serve the HTTP API until it is stopped (docs/api.md)."""
    from probe.api.app import serve
    from probe.doorbell import Doorbell
    from probe.settings import settings

    bell = Doorbell(settings().broker_url)
    serve(
        common.store(),
        host,
        port,
        ring=partial(bell.ring, "prepare", "ask"),
        started=lambda url: common.say(f"serving {url}"),
    )


def token_create(
    name: str,
    scopes: Annotated[str, Option(metavar="read,submit,admin", help="what it opens; each includes those before it")],
    expires: Annotated[
        str | None, Option(metavar="30d", help="how long it is valid: s, m, h, d or w  [for ever]")
    ] = None,
) -> None:
    """Make a token and print it: this once, the database holds only its hash."""
    from probe import tokens

    lifetime = None if expires is None else tokens.lifetime(expires)
    store = common.store()
    with store.writing() as session:
        text = tokens.create(session, store.now(session), name, common.names(scopes), lifetime)
    print(text)
    common.say("keep it: it is not shown again. Use: curl -H 'Authorization: Bearer …'")


def token_list(as_json: Annotated[bool, Option("--json")] = False) -> None:
    """List the tokens, those that are over too."""
    from datetime import UTC, datetime

    from probe import tokens

    store = common.store()
    with store.reading() as session:
        now = store.now(session)
        rows: list[dict[str, Any]] = [
            {
                "name": token.name,
                "scopes": token.scopes.split(","),
                "state": tokens.standing(token, now),
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "used_at": token.used_at,
            }
            for token in tokens.listing(session)
        ]
    if as_json:
        common.print_json({"tokens": rows})
        return
    if not rows:
        common.say("no tokens yet: probe token create NAME --scopes read")
    for row in rows:
        times = {"until": row["expires_at"], "last used": row["used_at"]}
        told = [f", {what} {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" for what, at in times.items() if at]
        print(f"{row['name']}  {','.join(row['scopes'])}  {row['state']}{''.join(told)}")


def token_revoke(name: str) -> None:
    """Let a token open nothing any more."""
    from probe import tokens

    store = common.store()
    with store.writing() as session:
        tokens.revoke(session, store.now(session), name)
    common.say(f"revoked {name}")
