"""How work is distributed: the Celery app and its tasks (thin; correctness rests on the database)."""
