"""The Celery app. Messages are acknowledged before they are worked on and carry nothing: no redelivery, no results."""

import logging
import multiprocessing
import os
import signal
import threading
import time
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_init, worker_process_init, worker_shutting_down

from probe.doorbell import SOCKET_SECONDS, broker_options
from probe.logs import set_up
from probe.settings import settings
from workers.beat import ENTRIES

warnings.filterwarnings("ignore", category=SecurityWarning)  # in containers everything runs as root
SETTINGS = settings()
STOPPING = multiprocessing.get_context("fork").Event()  # made before the fork: the children see it at once
MB = 1024  # KB
app = Celery("workers", broker=SETTINGS.broker_url, include=["workers.tasks"])
app.conf.update(
    beat_schedule=ENTRIES,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=SOCKET_SECONDS,
    broker_transport_options=broker_options(SETTINGS.broker_url or ""),
    task_acks_late=False,
    task_create_missing_queues=True,
    task_ignore_result=True,
    timezone="UTC",
    worker_disable_prefetch=(SETTINGS.broker_url or "").startswith("redis"),  # a busy worker takes no other's message
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_max_memory_per_child=2000 * MB,
    worker_max_tasks_per_child=50,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
)


@setup_logging.connect
def _logs(**_: Any) -> None:
    set_up(logging.INFO)


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Fires in the main process as soon as SIGTERM comes: the turns in work drain and end."""
    STOPPING.set()


@worker_process_init.connect
def _begin_child(**_: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@worker_init.connect
def _follow_parent(**_: Any) -> None:
    """End with `probe worker`, however it ends: it left its number in the environment."""
    parent = os.environ.get("PROBE_SUPERVISOR")
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
