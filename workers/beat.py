"""What beat sends: one wake-up a minute. The schedules themselves are rows; each worker sweeps for itself as well."""

from typing import Any

ENTRIES: dict[str, dict[str, Any]] = {
    "sweep": {"task": "workers.tasks.sweep", "schedule": 60.0, "options": {"queue": "control"}},
}
