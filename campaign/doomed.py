"""A ``moorline`` process that kills itself at one place in our code.

``python -m campaign.doomed --at PLACE --armed FILE COMMAND ...`` wraps the function that the place
names and then runs the ordinary command. The place counts from the moment that FILE exists, which
tells afterwards whether it was reached: it then holds ``REACHED``.
"""

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from campaign.places import Place
from moorline.cli import main as moorline

REACHED = "reached"


class Doom:
    """One place, watched."""

    def __init__(self, place: Place, armed: Path) -> None:
        self._place = place
        self._armed = armed
        self._times = 0

    def await_it(self) -> None:
        """Put the wrapped function where the function was, before anyone else has looked it up."""
        owner, attribute, function = self._place.resolve()
        wrap = self._asynchronous if inspect.iscoroutinefunction(function) else self._plain
        setattr(owner, attribute, wrap(function))

    def _asynchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._come("before")
            result = await function(*args, **kwargs)
            self._come("after")
            return result

        return wrapped

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._come("before")
            result = function(*args, **kwargs)
            self._come("after")
            return result

        return wrapped

    def _come(self, side: str) -> None:
        if side != self._place.side or not self._armed.exists():
            return
        self._times += 1
        if self._times == self._place.nth:
            self._die()

    def _die(self) -> NoReturn:
        self._armed.write_text(REACHED)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives this")


def main(words: list[str]) -> NoReturn:
    """Watch the place, then run the command."""
    match words:
        case ["--at", place, "--armed", armed, *command]:
            Doom(Place.parse(place), Path(armed)).await_it()
            sys.argv = ["moorline", *command]
            moorline()
        case _:
            sys.exit("usage: python -m campaign.doomed --at PLACE --armed FILE COMMAND ...")


if __name__ == "__main__":
    main(sys.argv[1:])
