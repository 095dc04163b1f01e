"""Arguments and options that several commands share, and what of them is refused at once."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from domain.connection import MAX_ALIAS, is_valid_alias

LONGEST_S = 10**9


def checked_alias(alias: str | None) -> str | None:
    """The alias, if it can be one."""
    if not is_valid_alias(alias):
        raise typer.BadParameter(f"at most {MAX_ALIAS} characters")
    return alias


def instant_with_offset(text: str) -> datetime:
    """An instant that says where on earth it is meant."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("not an instant such as 2026-12-31T23:59:59Z") from None
    if at.utcoffset() is None:
        raise typer.BadParameter("needs an offset: end it with Z or +00:00")
    return at


ConnectionId = Annotated[
    UUID, typer.Argument(metavar="ID", help="The connection.", show_default=False)
]
Alias = Annotated[
    str | None,
    typer.Option(help="The user's own name for it.", callback=checked_alias, show_default=False),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Print the address to open in a browser, and leave.")
]
Timeout = Annotated[
    int | None,
    typer.Option(
        metavar="SECONDS",
        min=1,
        max=LONGEST_S,
        help="How long to wait for the user.",
        show_default="30 minutes",
    ),
]
