"""The doctor sends a message through the broker and fetches it back; nothing of it stays."""

import socket
import threading

import pytest

from probe.doorbell import round_trip
from tests.services.conftest import reachable


def test_a_message_through_valkey(valkey, valkey_server):
    """It comes back, and no key is left."""
    assert round_trip(valkey) > 0
    assert valkey_server.client().keys("*") == []


def test_a_message_through_rabbitmq(rabbitmq):
    """It comes back."""
    if not reachable(rabbitmq):
        pytest.skip("no RabbitMQ answers at PROBE_TEST_RABBITMQ")
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
