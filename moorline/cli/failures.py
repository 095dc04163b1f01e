"""What went wrong, as one line on standard error and an exit code.

What a person can act on is said in our own words; anything else is a bug, named by its type and
place only, because its message or its variables may hold what nobody should see.
"""

import os
import sys
import traceback
from collections.abc import Iterator

DEBUG = "MOORLINE_LOG_LEVEL"


def report(error: Exception) -> int:
    """Say it; the exit code."""
    (*_, cause) = _chain(error)
    sys.stderr.write(f"Error: {_line(cause)}\n")
    if os.environ.get(DEBUG, "").upper() == "DEBUG":
        traceback.print_exception(error)
    return 1


def _chain(error: Exception) -> Iterator[Exception]:
    """The error, and what is wrapped in it: task groups raise groups."""
    yield error
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
        yield error


def _line(error: Exception) -> str:
    from domain.errors import MoorlineError, NotFresh, StorageFault, Unreachable
    from domain.words import instant
    from moorline.settings import DEV_ENVIRONMENT, STATE
    from moorline.stack.errors import StackError

    match error:
        case Unreachable() if "not answer" in str(error) and (STATE / DEV_ENVIRONMENT).exists():
            return f"{error} (is `moorline dev` running?)"
        case NotFresh(retry_at=at) if at is not None:
            return f"{error}; try again at {instant(at)}"
        case StorageFault():
            return f"{error}; `moorline doctor` says what is wrong with the keys"
        case MoorlineError():
            return " ".join(str(error).splitlines())
        case StackError():
            return str(error)  # the end of a part's log may follow its first line
        case TimeoutError():
            return str(error) or "it took too long"
        case _:
            return f"unexpected error: {type(error).__name__}{_place(error)}; {_hint()}"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _hint() -> str:
    return f"set {DEBUG}=DEBUG to see where it comes from"
