"""The doctor on a running service: it sees workers and work; a message through the broker leaves nothing behind."""

import socket
import threading

import pytest

from probe.doctor import examine
from probe.doorbell import round_trip
from probe.settings import Settings
from tests.endpoint import Endpoint
from tests.runs import known, varied
from tests.services.service import ended, queued, service


def test_a_running_worker_is_found(pg_store, valkey, tmp_path):
    """It lives, looks for lost work, and everything else is well while and after it works."""
    url = pg_store.engine.url.render_as_string(hide_password=False)
    settings = Settings(home=tmp_path, database_url=url, broker_url=valkey)
    with Endpoint(varied, {"data": [{"id": "tiny"}]}) as endpoint:
        known(pg_store, endpoint.url)
        with service(pg_store, valkey, tmp_path / "log"):
            batch_id = queued(pg_store, valkey)
            assert ended(pg_store, batch_id) == "complete"
            checks = list(examine(settings))
    assert [check for check in checks if check.state != "ok"] == []
    assert [check.what[:8] for check in checks if check.name == "workers"] == ["1 lives:"]
    assert {"server", "sweep", "broker", "endpoint"} <= {check.name for check in checks}


def test_a_message_through_valkey(valkey, valkey_server):
    """It comes back, and no key is left."""
    assert round_trip(valkey) > 0
    assert valkey_server.client().keys("*") == []


def test_a_message_through_rabbitmq(rabbitmq):
    """It comes back."""
    assert round_trip(rabbitmq) > 0


def test_a_broker_that_takes_connections_and_says_nothing():
    """The time-out ends the wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        done = []

        def trip():
            with pytest.raises(Exception, match=r"(?i)time"):
                round_trip(f"redis://127.0.0.1:{port}/0", seconds=1.0)
            done.append(True)

        thread = threading.Thread(target=trip, daemon=True)
        thread.start()
        thread.join(60)
    assert done
