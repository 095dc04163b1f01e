"""The command line. ``main`` is what the ``moorline`` command runs.

Commands say what they do and ask others to do it: no rule about connections stands here. What is
heavy to load is loaded by the command that needs it, so that help and mistakes are answered fast.
"""

import gc
import os
import sys
from typing import NoReturn

SELDOM = 20_000


def main() -> NoReturn:
    """Run one command and leave with its exit code: 0 done, 1 not done, 2 wrong usage."""
    # What is loaded stays: looking through it for garbage meanwhile takes an eighth of the time.
    gc.set_threshold(SELDOM)
    from moorline.cli.app import app
    from moorline.cli.failures import report

    try:
        app(prog_name="moorline")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
    except Exception as error:  # noqa: BLE001 -- whatever it is, nobody is shown a traceback
        code = report(error)
    else:
        code = 0
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process without taking the interpreter apart.

    Temporal's SDK runs threads of its own that may still call Python then, and crash: a command
    that was done would end by SIGSEGV or SIGABRT (sdk-python's issue 300).
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads it any more, as with `moorline list | head -1`
        os._exit(code or 1)
    os._exit(code)
