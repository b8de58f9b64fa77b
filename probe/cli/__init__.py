"""The command line. Results go to stdout, progress and messages to stderr; heavy imports happen inside commands."""

import sys


def main() -> None:
    """Run the command line: exit 0 done, 1 the work failed, 2 the request was wrong."""
    from probe.cli.app import app
    from probe.errors import RequestError, WorkError

    try:
        app()
    except RequestError as error:
        sys.exit(_say(error, 2))
    except WorkError as error:
        sys.exit(_say(error, 1))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _say(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code
