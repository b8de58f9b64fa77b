"""Tokens: random, shown once, kept as a hash, with scopes that include each other and an end."""

import pytest
from sqlalchemy import update

from probe import tokens
from probe.errors import RequestError
from probe.store.tables import Token


def make(store, name="ci", scopes=("read",), lifetime=None):
    with store.writing() as session:
        return tokens.create(session, store.now(session), name, scopes, lifetime)


def found(store, text):
    with store.reading() as session:
        return tokens.find(session, store.now(session), text)


def test_a_token_is_found_by_its_text_alone(store):
    """32 random bytes; nothing near it is found."""
    one, other = make(store, "one"), make(store, "other")
    assert one != other
    assert len(one) == len(tokens.PREFIX) + 43
    assert found(store, one).name == "one"
    for wrong in ("", tokens.PREFIX, one[:-1], one + "x", one.lower() if one.lower() != one else "x", f" {one}"):
        assert found(store, wrong) is None


def test_a_scope_includes_those_below(store):
    """read < submit < admin."""
    make(store, "s", ("submit",))
    with store.reading() as session:
        (token,) = tokens.listing(session)
        assert [tokens.allows(token, scope) for scope in tokens.SCOPES] == [True, True, False]


def test_an_expired_or_revoked_token_opens_nothing(store):
    """It stays in the list, and its name stays taken: what it did can be told from what others do."""
    text = make(store, lifetime=60)
    assert found(store, text) is not None
    with store.writing() as session:
        session.execute(update(Token).values(expires_at=store.now(session)))
    assert found(store, text) is None
    text = make(store, "second")
    with store.writing() as session:
        tokens.revoke(session, store.now(session), "second")
    assert found(store, text) is None
    with store.reading() as session:
        assert [tokens.standing(t, store.now(session)) for t in tokens.listing(session)] == ["expired", "revoked"]
        assert tokens.exist(session)
    with pytest.raises(RequestError, match="second"):
        make(store, "second")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scopes": ()}, "scopes"),
        ({"scopes": ("read", "write")}, "write"),
        ({"name": ""}, "name"),
        ({"name": "a b"}, "a b"),
    ],
)
def test_a_wrong_token_is_refused_by_its_field(store, wrong, named):
    """The message says what is possible."""
    with pytest.raises(RequestError, match=named):
        make(store, **wrong)


LIFETIMES = {"90s": 90, "5m": 300, "12h": 43200, "30d": 2592000, "1w": 604800}


@pytest.mark.parametrize(("text", "seconds"), LIFETIMES.items())
def test_a_lifetime_is_a_number_and_a_unit(text, seconds):
    """Days are of 24 hours."""
    assert tokens.lifetime(text) == seconds


@pytest.mark.parametrize("text", ["", "0d", "-1d", "3y", "d", "1.5d", "30", "999999999w", "٣d"])
def test_a_lifetime_that_is_none_is_refused(text):
    """With an example of one."""
    with pytest.raises(RequestError, match="30d"):
        tokens.lifetime(text)
