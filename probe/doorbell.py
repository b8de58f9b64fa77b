"""The doorbell: the only place that knows a broker exists. A message says "wake up", and nothing else.

What is to be done stands in the database, so a message that is lost, late or doubled costs nothing but time.
"""

import logging
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
