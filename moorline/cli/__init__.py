"""The command line. ``main`` is what the ``moorline`` command runs.

Commands say what they do and ask others to do it: no rule about connections stands here. What is
heavy to load is loaded by the command that needs it, so that help and mistakes are answered fast.
"""

import gc
import sys

SELDOM = 20_000


def main() -> None:
    """Run one command and leave with its exit code: 0 done, 1 not done, 2 wrong usage."""
    # What is loaded stays: looking through it for garbage meanwhile takes an eighth of the time.
    gc.set_threshold(SELDOM)
    from moorline.cli.app import app
    from moorline.cli.failures import report

    try:
        app(prog_name="moorline")
    except Exception as error:  # noqa: BLE001 -- whatever it is, nobody is shown a traceback
        sys.exit(report(error))
