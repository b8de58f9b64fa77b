"""Keys to the HTTP API. A token is random and shown once; the database holds its SHA-256."""

import re
import secrets
from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from probe.errors import RequestError, StateError
from probe.store.tables import Token

SCOPES = ("read", "submit", "admin")  # each may do what those before it may
PREFIX = "probe_"  # so that a token is known for one when it is found in a log
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST = 100 * 366 * 86400


def create(session: Session, now: float, name: str, scopes: Iterable[str], lifetime: float | None = None) -> str:
    """Store a new token and return it; ``lifetime`` in seconds, None: it doesn't expire. Raises RequestError."""
    wanted = [scope for scope in SCOPES if scope in set(scopes)]
    if unknown := set(scopes) - set(SCOPES):
        raise RequestError(f"--scopes: unknown {', '.join(sorted(unknown))}; one or more of {', '.join(SCOPES)}")
    if not wanted:
        raise RequestError(f"--scopes: empty; give one or more of {', '.join(SCOPES)}")
    if not NAME.fullmatch(name):
        raise RequestError(f"name {name!r}: give letters, digits and . _ @ - (at most 100)")
    if session.scalar(select(Token.id).where(Token.name == name)) is not None:
        raise StateError(f"name: there is or was a token {name!r}; choose another name")
    text = PREFIX + secrets.token_urlsafe(32)
    expires = None if lifetime is None else now + lifetime
    token = Token(name=name, digest=_digest(text), scopes=",".join(wanted), created_at=now, expires_at=expires)
    session.add(token)
    return text


def listing(session: Session) -> list[Token]:
    """Return all tokens, revoked and expired ones too."""
    return list(session.scalars(select(Token).order_by(Token.id)))


def revoke(session: Session, now: float, name: str) -> None:
    """Let a token open nothing any more. Raises RequestError for an unknown name."""
    token = session.scalar(select(Token).where(Token.name == name).with_for_update())
    if token is None:
        raise RequestError(f"there is no token {name!r}; `probe token list` shows them")
    token.revoked_at = token.revoked_at or now


def exist(session: Session) -> bool:
    """Return whether there is any token, also one that is over: revoking the last one doesn't open the API."""
    return session.scalar(select(Token.id).limit(1)) is not None


def find(session: Session, now: float, text: str) -> Token | None:
    """Return the token, None where it is unknown, revoked or expired."""
    token = session.scalar(select(Token).where(Token.digest == _digest(text)))
    return token if token is not None and standing(token, now) == "valid" else None


def note_use(session: Session, now: float, token: Token) -> None:
    """Keep when a token was used last, to the hour: reading requests shouldn't each write."""
    session.execute(update(Token).where(Token.id == token.id).values(used_at=now))


def is_noted(token: Token, now: float) -> bool:
    """Return whether the use of a token was kept within the hour."""
    return token.used_at is not None and now - token.used_at < 3600


def standing(token: Token, now: float) -> str:
    """Return valid, expired or revoked."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def allows(token: Token, scope: str) -> bool:
    """Return whether a token has a scope, or one that includes it."""
    return any(SCOPES.index(own) >= SCOPES.index(scope) for own in token.scopes.split(","))


def lifetime(text: str) -> float:
    """Return the seconds in a text like 30d or 12h. Raises RequestError."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", text.strip())
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST:
        raise RequestError(f"--expires {text!r}: give a number and s, m, h, d or w, such as 30d, at most 100 years")
    return seconds


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
