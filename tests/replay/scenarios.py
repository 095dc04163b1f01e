"""The main scenarios of a life. Each is lived once, recorded, and replayed ever after."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from client.connections import Connecting
from domain.secret import Secret
from domain.status import ConnectionStatus
from tests.world import World, until
from workflows.names import workflow_id


async def a_whole_life(world: World) -> UUID:
    """Authorized, refreshed, renamed, revoked, authorized again, disconnected."""
    view = await world.connected()
    await world.connections.refresh(view.connection_id)
    await world.connections.rename(view.connection_id, "my bank")
    await world.connections.revoke(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
    await authorize_again(world, view.connection_id)
    await world.connections.disconnect(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    return view.connection_id


async def imported_and_cancelled(world: World) -> UUID:
    """Born ACTIVE by ConnectProvider, cancelled by an operator."""
    view = await world.imported()
    await world.temporal.get_workflow_handle(workflow_id(view.connection_id)).cancel()
    await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    return view.connection_id


async def declined_then_authorized(world: World) -> UUID:
    """The user declines, and comes back."""
    begun = await world.connections.connect(world.slug, world.user_id)
    received = await world.connections.receive_redirect(await world.consent(begun, "deny"))
    await asyncio.gather(world.connections.authorize(received), return_exceptions=True)
    await authorize_again(world, begun.connection_id)
    return begun.connection_id


async def lost_rotation(world: World) -> UUID:
    """The rotated token's answer is lost, and the provider has no grace."""
    await world.behave(rotation="strict")
    view = await world.connected()
    await world.plant("token", "drop", when="after_acting", grant_type="refresh_token")
    await asyncio.gather(world.connections.refresh(view.connection_id), return_exceptions=True)
    await world.becomes(view.connection_id, ConnectionStatus.EXPIRED)
    await authorize_again(world, view.connection_id)
    return view.connection_id


async def outage_survived(world: World) -> UUID:
    """The provider is away for three attempts."""
    view = await world.connected()
    await world.plant("token", "status", status=503, times=3, grant_type="refresh_token")
    await world.connections.refresh(view.connection_id)
    return view.connection_id


async def data_read_and_read_again(world: World) -> UUID:
    """Read at once, once more on demand while the provider is away, and again by itself."""
    view = await world.connected()

    async def read() -> bool:
        sync = (await world.connections.view(view.connection_id)).sync
        return sync is not None and sync.completed > 0 and sync.failing_since is None

    await until(read)
    await world.plant("api", "status", status=503, times=1)
    await world.connections.sync_now(view.connection_id)

    async def failing() -> bool:
        sync = (await world.connections.view(view.connection_id)).sync
        return sync is not None and sync.failing_since is not None

    await until(failing)
    await until(read)
    await world.connections.disconnect(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    return view.connection_id


async def kept_fresh_by_itself(world: World) -> UUID:
    """Nobody asks; the deadline does."""
    await world.behave(access_ttl_s=4)
    view = await world.connected()

    async def fourth() -> bool:
        return (await world.connections.view(view.connection_id)).generation >= 4

    await until(fourth)
    return view.connection_id


async def revocation_takes_three_tries(world: World) -> UUID:
    """The provider's revocation endpoint is away when the user disconnects."""
    view = await world.connected()
    await world.plant("revoke", "status", status=503, times=4)
    await world.connections.disconnect(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    return view.connection_id


async def continued_as_new(world: World) -> UUID:
    """Two new runs, with a revoke in the inbox of one of them."""
    view = await world.connected()
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    for signals in (["nudge"], ["nudge", "revoke"]):
        run_id = (await handle.describe()).run_id
        for signal in signals:
            await handle.signal(signal)

        async def moved_on(before: str | None = run_id) -> bool:
            return (await handle.describe()).run_id != before

        await until(moved_on)
    await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
    await world.connections.rename(view.connection_id, "the last run has done something, too")
    return view.connection_id


async def revoked_while_authorizing(world: World) -> UUID:
    """The user changes their mind while the code is being exchanged."""
    begun = await world.connections.connect(world.slug, world.user_id)
    received = await world.connections.receive_redirect(await world.consent(begun))
    held = await world.plant("token", "delay", seconds=60, when="after_acting")
    asked = asyncio.ensure_future(world.connections.authorize(received))
    await until(lambda: any_call(world))
    await world.connections.revoke(begun.connection_id)
    await world.becomes(begun.connection_id, ConnectionStatus.FAILED)
    await world.sandbox.clear(held)
    await asyncio.gather(asked, return_exceptions=True)

    async def shredded() -> bool:
        return (await world.connections.view(begun.connection_id)).receipt is not None

    await until(shredded)
    return begun.connection_id


async def revoked_while_authorizing_again(world: World) -> UUID:
    """Revoked, begun anew, and revoked before the user has finished."""
    view = await world.connected()
    connection_id = view.connection_id
    await world.connections.revoke(connection_id)
    begun = await world.connections.begin_authorization(connection_id)
    await world.temporal.get_workflow_handle(workflow_id(connection_id)).signal("revoke")

    async def void() -> bool:
        attempt = (await world.connections.view(connection_id)).attempt
        assert attempt is not None
        assert attempt.attempt_id == begun.attempt_id
        return attempt.status == "failed"

    await until(void)
    await authorize_again(world, connection_id)
    return connection_id


async def tokens_kept_by_temporal(world: World) -> UUID:
    """The database is away when the answer comes: the second sink."""
    view = await world.connected()
    held = await world.plant(
        "token", "delay", seconds=60, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.ensure_future(world.messaging.refresh_now(view.connection_id, 1))
    await until(lambda: any_call(world, "refresh_token"))
    async with world.without_database():
        await world.sandbox.clear(held)
        await until(lambda: scheduled(world, view.connection_id, "store_credentials"))
    await asked
    return view.connection_id


async def key_deleted_and_replaced(world: World) -> UUID:
    """By API key: deleted by its user, given up after refusals, another in its place, the end."""
    connection_id, made = await world.connected_by_key()
    await world.sandbox.revoke_key(made.key_id)
    await world.becomes(connection_id, ConnectionStatus.EXPIRED)
    another = await world.sandbox.new_key()
    await world.connections.supply_key(connection_id, Secret(another.api_key))
    await world.connections.disconnect(connection_id)
    await world.becomes(connection_id, ConnectionStatus.DISCONNECTED)
    return connection_id


async def refused(world: World) -> UUID:
    """A provider nobody knows."""
    connection = UUID(int=int.from_bytes(world.user_id.bytes))
    start = {"connection_id": str(connection), "user_id": str(connection), "provider_slug": "none"}
    handle = await world.temporal.start_workflow(
        "ConnectionWorkflow", start, id=workflow_id(connection), task_queue=world.task_queue
    )
    await asyncio.gather(handle.result(), return_exceptions=True)
    return connection


async def authorize_again(world: World, connection_id: UUID) -> None:
    begun = await world.connections.begin_authorization(connection_id)
    again = Connecting(connection_id, begun.attempt_id, begun.url)
    received = await world.connections.receive_redirect(await world.consent(again))
    await world.connections.authorize(received)


async def any_call(world: World, grant_type: str | None = None) -> bool:
    """Whether the provider has acted on a call that it has not answered."""
    entries = await world.log()
    return any(e.acted and not e.answered and grant_type in (None, e.grant_type) for e in entries)


async def scheduled(world: World, connection_id: UUID, activity: str) -> bool:
    handle = world.temporal.get_workflow_handle(workflow_id(connection_id))
    events = [event async for event in handle.fetch_history_events()]
    names = {e.activity_task_scheduled_event_attributes.activity_type.name for e in events}
    return activity in names


Scenario = Callable[[World], Awaitable[UUID]]

SCENARIOS: tuple[Scenario, ...] = (
    a_whole_life,
    imported_and_cancelled,
    declined_then_authorized,
    lost_rotation,
    outage_survived,
    data_read_and_read_again,
    kept_fresh_by_itself,
    revocation_takes_three_tries,
    continued_as_new,
    revoked_while_authorizing,
    revoked_while_authorizing_again,
    tokens_kept_by_temporal,
    key_deleted_and_replaced,
    refused,
)

READS_DATA = frozenset({data_read_and_read_again})
"""Those at whose provider there is data to be read."""
