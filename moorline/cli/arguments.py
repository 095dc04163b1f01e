"""Arguments and options that several commands share, and what of them is refused at once."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from domain.connection import MAX_ALIAS, is_valid_alias
from domain.errors import NotConfigured

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


def slugs_like(incomplete: str) -> list[str]:
    """Slugs of the catalogue that begin like this: for the shell's completion."""
    from moorline.settings import TemporalSettings, load_as
    from providers.catalogue import Catalogue

    with suppress(NotConfigured):  # a shell that completes is no place for an error
        slugs = Catalogue.read(load_as(TemporalSettings).providers).slugs()
        return [slug for slug in slugs if slug.startswith(incomplete)]
    return []


ConnectionId = Annotated[
    UUID, typer.Argument(metavar="ID", help="The connection.", show_default=False)
]
Provider = Annotated[
    str,
    typer.Argument(
        help="The provider, as the catalogue names it.",
        autocompletion=slugs_like,
        show_default=False,
    ),
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
        help="How long to wait for the user; half an hour unless given.",
        show_default=False,
    ),
]
