"""The doorbell: the only place that knows a broker exists. A message says "wake up", and nothing else.

What is to be done stands in the database, so a message that is lost, late or doubled costs nothing but time.
"""

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

LOG = logging.getLogger("probe.doorbell")
QUEUES = ("prepare", "ask", "control")
TASKS = {"prepare": "workers.tasks.prepare", "ask": "workers.tasks.ask", "control": "workers.tasks.sweep"}
SOCKET_SECONDS = 10  # a half-open connection heals after about three times as long
PUBLISH_RETRY = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0}


def broker_options(url: str) -> dict[str, Any]:
    """Return the transport's options: time-outs that let a dead connection be noticed, and confirmed publishing."""
    if url.startswith("amqp"):
        return {
            "confirm_publish": True,
            "connect_timeout": SOCKET_SECONDS,
            "read_timeout": 3 * SOCKET_SECONDS,
            "write_timeout": SOCKET_SECONDS,
        }
    return {
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
        "health_check_interval": SOCKET_SECONDS,
        "socket_keepalive": True,
        "retry_on_timeout": True,
    }


def shown_broker(url: str) -> str:
    """Return a broker's URL fit to be shown: without its password."""
    from kombu.utils.url import maybe_sanitize_url

    return str(maybe_sanitize_url(url))


def round_trip(url: str, seconds: float = 5.0) -> float:
    """Send a message to a queue of its own and fetch it back; return the seconds that took.

    Raises the transport's error, or TimeoutError, where that fails; nothing is left behind.
    """
    from kombu.connection import Connection
    from kombu.entity import Queue

    options = broker_options(url)
    options |= {name: seconds for name in options if "timeout" in name and name != "retry_on_timeout"}
    name = f"probe-doctor-{secrets.token_hex(8)}"
    with Connection(url, connect_timeout=seconds, transport_options=options) as connection:  # type: ignore[no-untyped-call]
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=seconds)
        began = time.monotonic()
        with connection.channel() as channel:
            own: Any = Queue  # it has no types
            queue = own(name, durable=False, exclusive=True, auto_delete=True)(channel)
            queue.declare()
            try:
                connection.Producer(channel).publish({"from": name}, routing_key=name)
                while (message := queue.get(no_ack=True)) is None:  # a consumer would be told when the queue goes
                    if time.monotonic() - began > seconds:
                        raise TimeoutError(f"a message did not come back within {seconds:g} s")
                    time.sleep(0.01)
            finally:
                queue.delete()
        if message.payload != {"from": name}:
            raise ValueError("another message came back")
        return time.monotonic() - began


class Doorbell:
    """Rings for workers through a broker; without one it is silent: nobody works there."""

    def __init__(self, broker_url: str | None) -> None:
        self._url = broker_url
        self._app: Celery | None = None

    def ring(self, *queues: str) -> bool:
        """Wake a worker of each queue; False where the broker can't be reached: a worker's sweep finds the work."""
        if self._url is None:
            return False
        app = self._sender()
        try:
            for queue in queues:
                app.send_task(TASKS[queue], queue=queue, ignore_result=True, retry_policy=PUBLISH_RETRY)
        except Exception as error:  # noqa: BLE001  (every transport has its own; the work is safe in the database)
            LOG.warning("the broker can't be reached: %s: %s", type(error).__name__, error)
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        if self._app is not None:
            self._app.close()
            self._app = None

    def _sender(self) -> "Celery":
        if self._app is None:
            from celery import Celery

            assert self._url is not None
            self._app = Celery("probe", broker=self._url, set_as_current=False)
            self._app.conf.update(
                broker_transport_options=broker_options(self._url),
                broker_connection_timeout=SOCKET_SECONDS,
                task_ignore_result=True,
            )
        return self._app
