"""Where a command's words go: text for people, or JSON alone on standard output.

With ``--json`` everything said to people goes to standard error. What users typed (an alias) is
stripped of what would steer a terminal.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import BaseModel, JsonValue, TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.status import ConnectionStatus
from domain.view import ConnectionView

COLOURS = {
    ConnectionStatus.PENDING: "yellow",
    ConnectionStatus.ACTIVE: "green",
    ConnectionStatus.EXPIRED: "red",
    ConnectionStatus.REVOKED: "red",
    ConnectionStatus.FAILED: "red",
    ConnectionStatus.DISCONNECTED: "dim",
}
WIDE = 240
"""Columns where nobody's terminal sets a limit: nothing is cut or folded in a pipe."""
WIDEST = 10_000
"""Columns of which no table wants more."""

_json: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_views = TypeAdapter(list[ConnectionView])


class Output:
    """One command's output."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        stream = sys.stderr if json else sys.stdout
        width = None if stream.isatty() or "COLUMNS" in os.environ else WIDE
        self._console = Console(file=stream, width=width, highlight=False, emoji=False)

    def say(self, what: str | Text) -> None:
        """Tell people. Long lines are left to the terminal, so that an address can be copied."""
        text = Text(plain(what)) if isinstance(what, str) else what
        self._console.print(text, soft_wrap=True)

    def table(self, table: Table, narrow: Text | None = None) -> None:
        """Show a table to people; ``narrow`` in its place where it does not fit."""
        wanted = self._console.measure(table, options=self._console.options.update(width=WIDEST))
        if narrow is None or wanted.maximum <= self._console.width:
            self._console.print(table)
        else:
            self.say(narrow)

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that something is waited for, and how far it is; only where somebody watches."""
        with self._console.status(Text(what)) as status:
            yield lambda now: status.update(Text(now))

    def emit(self, value: BaseModel | JsonValue) -> None:
        """The JSON answer; at once, since more may follow."""
        if isinstance(value, BaseModel):
            text = value.model_dump_json()
        else:
            text = _json.dump_json(value).decode()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def emit_views(self, views: list[ConnectionView]) -> None:
        """Views as one JSON array."""
        sys.stdout.write(_views.dump_json(views).decode() + "\n")


def plain(text: str) -> str:
    """Text without what would steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def line(text: str) -> str:
    """The same on one line: what somebody typed must not look like another row."""
    return plain(text).replace("\n", "\N{REPLACEMENT CHARACTER}")


def status_text(status: ConnectionStatus) -> Text:
    """A status in its colour."""
    return Text(status.value.upper(), COLOURS[status])
