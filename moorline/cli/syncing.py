"""``sync``: having data read now, and waiting for it."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from moorline.cli.arguments import AsJson, ConnectionId


def sync(
    connection_id: ConnectionId,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask for it, and leave.")] = False,
    json: AsJson = False,
) -> None:
    """Read a connection's accounts, holdings and transactions now, and wait until that is done."""
    done = asyncio.run(_sync(connection_id, wait=not no_wait, json=json))
    raise typer.Exit(0 if done else 1)


async def _sync(connection_id: UUID, *, wait: bool, json: bool) -> bool:
    from moorline.cli.opening import everything, naming_the_way_back
    from moorline.cli.output import Output
    from moorline.cli.rereading import Rereading

    out = Output(json=json)
    async with everything() as parts, naming_the_way_back(connection_id):
        client = parts.connections
        rereading = await Rereading.begin(parts.database, client, connection_id)
        if not wait:
            out.say("Reading has been asked for.")
            return True
        with out.waiting("reading") as progress:
            view = await rereading.ended(progress)
        if json:
            out.emit(view)
        else:
            out.say((await client.explain(connection_id)).text)
        return view.sync is not None and view.sync.failing_since is None
