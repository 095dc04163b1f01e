"""An authorization from the command line: the user's browser, this terminal, and what lies between.

The listener is up before anything is begun, so that a taken port leaves nothing behind.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from client.authorizations import Received
from client.connections import Connecting, ConnectionsClient
from domain.errors import Conflict, InvalidInput, NotConfigured
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.assembly import Parts
from moorline.cli.awaiting import answer, left
from moorline.cli.opening import everything, way_back
from moorline.cli.output import Output
from moorline.cli.pictures import length
from moorline.listening import PortTaken
from moorline.loopback import Loopback
from storage.attempts import WINDOW

Begin = Callable[[ConnectionsClient], Awaitable[Connecting]]


def begin_connection(provider: str, user_id: UUID, connection_id: UUID, alias: str | None) -> Begin:
    """Begin a new connection."""

    async def begin(client: ConnectionsClient) -> Connecting:
        return await client.connect(provider, user_id, connection_id=connection_id, alias=alias)

    return begin


def begin_again(connection_id: UUID) -> Begin:
    """Begin another authorization of a connection there is."""

    async def begin(client: ConnectionsClient) -> Connecting:
        view = await client.view(connection_id)
        if view.credential_type.is_given:
            raise InvalidInput(f"{view.provider_slug} asks no user: {way_back(view)}")
        begun = await client.begin_authorization(connection_id)
        return Connecting(connection_id, begun.attempt_id, begun.url)

    return begin


async def in_browser(begin: Begin, *, wait: bool, patience_s: int | None, json: bool) -> None:
    """Begin, send the user to the provider, and see the connection come alive."""
    out = Output(json=json)
    async with everything() as parts:
        if not wait:
            await _leave(out, parts, await begin(parts.connections))
            return
        patience = timedelta(seconds=patience_s) if patience_s else WINDOW
        view = await _accompanied(out, parts, begin, patience)
        await _tell(out, parts, view)


async def finish(connection_id: UUID, redirected_url: str, *, json: bool) -> None:
    """Finish from the address that the browser was sent back to."""
    out = Output(json=json)
    async with everything() as parts:
        client = parts.connections
        await client.view(connection_id)
        received = await client.receive_redirect(redirected_url, connection_id=connection_id)
        async with _saying_how_it_is(client, connection_id):
            view = await _exchanged(out, client, received)
        await _tell(out, parts, view)


async def _leave(out: Output, parts: Parts, begun: Connecting) -> None:
    url = await parts.connections.provider_url(begun.attempt_id)
    id_ = begun.connection_id
    if out.json:
        out.emit({"connection_id": str(id_), "attempt_id": str(begun.attempt_id), "url": url})
        return
    out.say(f"Connection {id_}")
    out.say(f"Open this page within {length(WINDOW)} and allow access:\n\n  {url}\n")
    out.say("Then copy the address the browser ends on, even if nothing answers there:\n")
    out.say(f"  moorline authorize {id_} 'ADDRESS'")


async def _accompanied(
    out: Output, parts: Parts, begin: Begin, patience: timedelta
) -> ConnectionView:
    client, redirect_uri = parts.connections, parts.settings.redirect_uri
    try:
        async with Loopback.listening(client, redirect_uri) as loopback:
            with out.waiting("asking a worker to begin"):
                begun = await begin(client)
            _check_address(begun, redirect_uri)
            out.say(f"Connection {begun.connection_id}")
            url = await client.provider_url(begun.attempt_id)
            out.say(f"Open this page in a browser and allow access:\n\n  {url}\n")
            before = await client.view(begun.connection_id)
            out.say(f"{before.status.value.upper()}: waiting for the answer at {redirect_uri}")
            async with _saying_how_it_is(client, begun.connection_id):
                with out.waiting("waiting for you"), _naming_what_is_left(before):
                    received = await answer(client, loopback, begun, before, patience)
                if isinstance(received, ConnectionView):
                    return received
                return await _exchanged(out, client, received)
    except PortTaken as taken:
        raise PortTaken(
            f"{taken}, and the login must come back there: stop that process, or use --no-wait"
        ) from None


@contextmanager
def _naming_what_is_left(before: ConnectionView) -> Iterator[None]:
    """Say after Ctrl-C how to go on: what was begun is there."""
    try:
        yield
    except asyncio.CancelledError:
        sys.stderr.write(f"Not waiting any more: {left(before)}.\n")
        raise


@asynccontextmanager
async def _saying_how_it_is(client: ConnectionsClient, connection_id: UUID) -> AsyncIterator[None]:
    """Where the user or the provider has said no: what became of the connection, and what next."""
    try:
        yield
    except Conflict as error:
        view = await client.view(connection_id)
        if view.ending or view.status is ConnectionStatus.DISCONNECTED:
            raise
        raise Conflict(f"{str(error).rstrip('.')}; {left(view, 'is')}") from None


async def _exchanged(out: Output, client: ConnectionsClient, received: Received) -> ConnectionView:
    with out.waiting("exchanging the code for tokens"):
        out.say("EXCHANGING: the provider has answered")
        return await client.authorize(received)


def _check_address(begun: Connecting, redirect_uri: str) -> None:
    told = urlsplit(begun.url)
    if told.netloc != urlsplit(redirect_uri).netloc:
        raise NotConfigured(
            f"the worker has logins come back to {told.scheme}://{told.netloc}, this command "
            f"listens at {redirect_uri}: set MOORLINE_REDIRECT_URI to the same for both"
        )


async def _tell(out: Output, parts: Parts, view: ConnectionView) -> None:
    if out.json:
        out.emit(view)
    else:
        out.say((await parts.connections.explain(view.connection_id)).text)
