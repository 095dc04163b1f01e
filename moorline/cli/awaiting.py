"""Waiting for a user at the provider: until the browser comes back, or the matter is settled.

It may be settled from elsewhere: by the address pasted into another terminal, by a disconnect, or
by the end of the authorization window.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from client.authorizations import Received
from client.connections import Connecting, ConnectionsClient
from domain.errors import Conflict, Unreachable
from domain.status import ConnectionStatus
from domain.view import Attempt, ConnectionView
from domain.words import WHY
from moorline.cli.pictures import length
from moorline.loopback import Loopback
from storage.attempts import AttemptStatus

POLL_S = 1
FINISHED = {AttemptStatus.SUCCEEDED.value, AttemptStatus.FAILED.value}


async def answer(
    client: ConnectionsClient,
    loopback: Loopback,
    begun: Connecting,
    before: ConnectionView,
    patience: timedelta,
) -> Received | ConnectionView:
    """What the browser brings; or the connection, if it was settled from elsewhere meanwhile."""
    received = asyncio.create_task(loopback.received(begun.connection_id))
    settled: ConnectionView | None = None
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while not (await asyncio.wait({received}, timeout=POLL_S))[0]:
                if settled is not None:
                    return _worth(settled, begun)
                with suppress(Unreachable):  # the wait is long: an outage in it is no reason
                    settled = await _settled(client, begun, before)
            return received.result()
    except TimeoutError:
        raise TimeoutError(
            f"nobody has authorized it within {length(patience)}; {left(before)}"
        ) from None
    finally:
        received.cancel()


def left(view: ConnectionView, still: str = "stays") -> str:
    """What there is of a connection that was not authorized, and how to go on with it."""
    id_ = view.connection_id
    return (
        f"connection {id_} {still} {view.status.value.upper()}: "
        f"`moorline authorize {id_}` begins again"
    )


async def _settled(
    client: ConnectionsClient, begun: Connecting, before: ConnectionView
) -> ConnectionView | None:
    """The connection, if our attempt or the wish for it is over."""
    view = await client.view(begun.connection_id)
    over = view.ending or view.status is ConnectionStatus.DISCONNECTED
    pending = before.status is ConnectionStatus.PENDING
    moved = pending and view.status is not ConnectionStatus.PENDING
    finished = _finished(view, begun)
    # Tokens are stored a moment before the connection becomes ACTIVE.
    done = finished and (finished.reason or view.status is ConnectionStatus.ACTIVE)
    return view if over or moved or done else None


def _worth(view: ConnectionView, begun: Connecting) -> ConnectionView:
    """The settled connection, if it was authorized.

    Raises:
        Conflict: it was not.
    """
    finished = _finished(view, begun)
    reason = finished.reason if finished else None
    if view.status is ConnectionStatus.ACTIVE and not view.ending and reason is None:
        return view
    raise Conflict(f"not authorized: {WHY[reason or view.reason]}")


def _finished(view: ConnectionView, begun: Connecting) -> Attempt | None:
    """Our attempt, if it has had its end."""
    attempt = view.attempt
    if attempt is None or attempt.attempt_id != begun.attempt_id:
        return None
    return attempt if attempt.status in FINISHED else None
