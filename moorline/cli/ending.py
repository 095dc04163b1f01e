"""``revoke`` and ``disconnect``: taking a grant back, and ending a connection for good."""

import asyncio
import sys
from typing import Annotated

import typer

from moorline.cli.arguments import AsJson, ConnectionId

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the provider's answer.")]


def revoke(connection_id: ConnectionId, wait: Wait = True, json: AsJson = False) -> None:
    """Take the grant back: at the provider, too. It can be authorized again."""
    from moorline.cli.farewells import revoke_and_wait

    asyncio.run(revoke_and_wait(connection_id, wait=wait, json=json))


def disconnect(
    connection_id: ConnectionId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = True,
    json: AsJson = False,
) -> None:
    """End a connection for good: revoked at the provider, all its secrets destroyed."""
    from moorline.cli.farewells import disconnect_and_wait

    if sys.stdin.isatty() and not yes:
        question = f"End {connection_id} for good? It cannot be brought back."
        typer.confirm(question, abort=True, err=True)
    asyncio.run(disconnect_and_wait(connection_id, wait=wait, json=json))
