"""``token``, ``refresh`` and ``rename``: what is done with a connection that lives."""

import asyncio
import sys
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from pydantic import BaseModel, Field

from moorline.cli.arguments import LONGEST_S, AsJson, ConnectionId, checked_alias


class Printed(BaseModel):
    """What ``token --json`` prints."""

    access_token: str = Field(repr=False)
    token_type: str = "Bearer"
    expires_at: datetime | None
    generation: int
    min_ttl_s: float


def token(
    connection_id: ConnectionId,
    min_ttl: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=LONGEST_S,
            help="How long it must still live (at most half its lifetime can be promised).",
        ),
    ] = 60,
    json: AsJson = False,
) -> None:
    """Print an access token that works now, and nothing else: the only secret ever printed."""
    asyncio.run(_token(connection_id, timedelta(seconds=min_ttl), json))


def refresh(connection_id: ConnectionId, json: AsJson = False) -> None:
    """Have a new access token made now, whatever is left of the present one."""
    asyncio.run(_refresh(connection_id, json))


def rename(
    connection_id: ConnectionId,
    alias: Annotated[
        str | None,
        typer.Argument(help="The new name.", callback=checked_alias, show_default=False),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the name away.")] = False,
    json: AsJson = False,
) -> None:
    """Give a connection another name."""
    if (alias is None) is not none or (alias is not None and not alias.strip()):
        raise typer.BadParameter("give either a name or --none")
    asyncio.run(_rename(connection_id, alias, json))


async def _token(connection_id: UUID, min_ttl: timedelta, json: bool) -> None:
    from moorline.cli.leasing import lease
    from moorline.cli.output import Output

    given = await lease(connection_id, min_ttl)
    if not json:
        sys.stdout.write(given.access_token.reveal() + "\n")
        return
    Output(json=True).emit(
        Printed(
            access_token=given.access_token.reveal(),
            expires_at=given.expires_at,
            generation=given.generation,
            min_ttl_s=given.min_ttl.total_seconds(),
        )
    )


async def _refresh(connection_id: UUID, json: bool) -> None:
    from moorline.cli.opening import everything, naming_the_way_back
    from moorline.cli.output import Output
    from moorline.cli.pictures import distance

    out = Output(json=json)
    async with everything() as parts, naming_the_way_back(connection_id):
        with out.waiting("asking the provider"):
            view = await parts.connections.refresh(connection_id)
    if json:
        out.emit(view)
        return
    ends = f"ends {distance(view.expires_at)}" if view.expires_at else "has no known end"
    out.say(f"Refreshed: access token {view.generation} {ends}.")


async def _rename(connection_id: UUID, alias: str | None, json: bool) -> None:
    from moorline.cli.opening import everything
    from moorline.cli.output import Output, line

    out = Output(json=json)
    async with everything() as parts:
        view = await parts.connections.rename(connection_id, alias)
    if json:
        out.emit(view)
    elif view.alias is None:
        out.say("It has no name now.")
    else:
        out.say(f"It is called {line(view.alias)} now.")
