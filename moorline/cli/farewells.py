"""Revoking and disconnecting, and waiting for what the provider says to it.

What was asked for is durable before anything is waited for: giving up the wait loses nothing.
"""

import asyncio
from uuid import UUID

from client.connections import ConnectionsClient
from domain.errors import NotFound, Unreachable
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.cli.opening import everything, over
from moorline.cli.output import Output
from moorline.cli.pictures import receipt_of

REVOKED_WITHIN_S = 30
ENDED_WITHIN_S = 60
POLL_S = 0.1
ON_ITS_WAY = (
    "The provider has not confirmed it yet. Moorline goes on asking for up to 24 hours; "
    "`moorline show {id}` says how it went."
)


async def revoke_and_wait(connection_id: UUID, *, wait: bool, json: bool) -> None:
    """Take the grant back, and say what was revoked."""
    out = Output(json=json)
    async with everything() as parts:
        client = parts.connections
        view = await client.view(connection_id)
        if view.status is ConnectionStatus.DISCONNECTED:
            out.say(f"Nothing is left to revoke: {over(view)}.")
        else:
            await client.revoke(connection_id)
            with out.waiting("revoking"):
                view = await _revoked(client, connection_id) if wait else view
            _say_revoked(out, view, wait=wait)
        if json:
            out.emit(await client.view(connection_id))


async def disconnect_and_wait(connection_id: UUID, *, wait: bool, json: bool) -> None:
    """End it, and say what was revoked."""
    out = Output(json=json)
    async with everything() as parts:
        client = parts.connections
        view = await client.view(connection_id)
        if view.status is ConnectionStatus.DISCONNECTED:
            out.say(f"Nothing to do: {over(view)}.")
        else:
            await client.disconnect(connection_id)
            out.say("No token is handed out any more.")
            with out.waiting("revoking"):
                view = await _ended(client, connection_id) if wait else view
            _say_ended(out, view, wait=wait)
        if json:
            out.emit(await client.view(connection_id))


async def _revoked(client: ConnectionsClient, connection_id: UUID) -> ConnectionView:
    """The connection once its revocation is settled, or as it is when we stop waiting."""
    try:
        async with asyncio.timeout(REVOKED_WITHIN_S):
            while not _is_settled(view := await client.view(connection_id)):
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        view = await client.view(connection_id)
        if view.status in {ConnectionStatus.PENDING, ConnectionStatus.ACTIVE}:
            raise Unreachable(
                "it is recorded, but no worker has taken it up yet: until one does, the "
                "connection is as it was"
            ) from None
    return view


def _is_settled(view: ConnectionView) -> bool:
    if view.status in {ConnectionStatus.PENDING, ConnectionStatus.ACTIVE}:
        return False
    return view.generation == 0 or view.receipt is not None


async def _ended(client: ConnectionsClient, connection_id: UUID) -> ConnectionView:
    try:
        async with asyncio.timeout(ENDED_WITHIN_S):
            await client.receipt(connection_id)
    except (TimeoutError, NotFound):
        pass  # what the row says is told below
    return await client.view(connection_id)


def _say_revoked(out: Output, view: ConnectionView, *, wait: bool) -> None:
    if not wait:
        out.say("Revocation has been asked for.")
    elif view.receipt is not None:
        out.say(f"{view.status.value.upper()}.\n{receipt_of(view.receipt)}")
    elif view.generation == 0:
        out.say(f"{view.status.value.upper()}. Nothing was held that could be revoked.")
    else:
        id_ = view.connection_id
        out.say(f"{view.status.value.upper()}. {ON_ITS_WAY.format(id=id_)}")


def _say_ended(out: Output, view: ConnectionView, *, wait: bool) -> None:
    if view.status is ConnectionStatus.DISCONNECTED and view.receipt is not None:
        out.say(f"DISCONNECTED.\n{receipt_of(view.receipt)}")
    elif wait:
        out.say(ON_ITS_WAY.format(id=view.connection_id))
