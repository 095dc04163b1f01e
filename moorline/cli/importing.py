"""``ConnectProvider`` from the command line: a connection that is born with credentials one has."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from domain.commands import ConnectProvider
from domain.connection import provider_id_of
from domain.errors import Conflict, InvalidInput, NotFound, Unreachable
from domain.result import Failure
from domain.status import ConnectionStatus
from moorline.assembly import Parts
from moorline.cli.given import Given
from moorline.cli.opening import everything
from moorline.cli.output import Output

WITHIN = timedelta(seconds=30)


async def import_connection(
    given: Given,
    provider: str,
    user_id: UUID,
    connection_id: UUID,
    alias: str | None,
    *,
    json: bool,
) -> bool:
    """Seal what is given, and carry out the command; whether the connection is of use."""
    out = Output(json=json)
    async with everything() as parts:
        client = parts.connections
        parts.catalogue.get(provider)
        await _refuse_twice(parts, connection_id)
        command = ConnectProvider(
            user_id=user_id,
            provider_id=provider_id_of(provider),
            provider_slug=provider,
            credentials=await client.seal(
                connection_id, given.secret, given.credential_type, given.ends_at
            ),
            alias=alias,
        )
        await _carry_out(parts, command, connection_id)
        if given.is_over:
            with suppress(TimeoutError):  # said as it is, then
                await client.wait_for(connection_id, ConnectionStatus.EXPIRED, within=WITHIN)
        view = await client.view(connection_id)
        if json:
            out.emit(view)
        else:
            out.say(f"Connection {connection_id}")
            out.say((await client.explain(connection_id)).text)
        return view.status is ConnectionStatus.ACTIVE


async def give(connection_id: UUID, given: Given, *, json: bool) -> None:
    """Put what the user gives in the place of what is stored."""
    out = Output(json=json)
    async with everything() as parts:
        before = await parts.connections.view(connection_id)
        if before.credential_type is not given.credential_type:
            raise InvalidInput(f"the connection is by {before.credential_type}")
        view = await parts.connections.supply(connection_id, given.secret)
        if json:
            out.emit(view)
        else:
            out.say((await parts.connections.explain(connection_id)).text)


async def _refuse_twice(parts: Parts, connection_id: UUID) -> None:
    try:
        await parts.connections.view(connection_id)
    except NotFound:
        return
    raise Conflict(f"connection {connection_id} exists already")


async def _carry_out(parts: Parts, command: ConnectProvider, connection_id: UUID) -> None:
    try:
        result = await parts.connections.connect_provider(command, connection_id)
    except Unreachable as error:
        raise Unreachable(f"connection {connection_id}: {error}") from None
    if isinstance(result, Failure):
        raise Conflict(result.error)
