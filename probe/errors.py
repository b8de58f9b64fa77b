"""The two ways a command ends badly: the request was wrong, or the work failed."""


class RequestError(ValueError):
    """The request was wrong: the message names the field and the way out (exit code 2)."""


class StateError(RequestError):
    """The request was well formed, but what it speaks of is not in a state for it."""


class WorkError(RuntimeError):
    """The work failed: the message says what happened and how to go on (exit code 1)."""
