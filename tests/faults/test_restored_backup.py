"""PostgreSQL is restored from a backup: Temporal remembers what the backup does not.

A row of an earlier generation verifies, and a strict provider takes its token for a stolen one. The
backup here is a copy of the database, put in its place later.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from activities.payloads import VerifyApiKey
from activities.verify_api_key import Verification
from client.connections import Connecting
from domain.errors import Conflict, NotFresh
from domain.outcomes import Outcome
from domain.secret import Secret
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.doctor.findings import Finding, Verdict
from tests.cli.terminal import Done, Terminal
from tests.world import Servers, World, administrator, new_world, until, write_broker

findings_of = TypeAdapter(list[Finding])


async def backed_up(world: World) -> str:
    """A copy of the database as it is now; its name."""
    name = str(world.database.engine.url.database)
    async with out_of_use(world, name), administrator(world.servers) as connection:
        await connection.execute(f"CREATE DATABASE {name}_backup TEMPLATE {name}")
    return f"{name}_backup"


async def restored(world: World, backup: str) -> str:
    """The backup takes the place of the database; the name of what was there."""
    name = str(world.database.engine.url.database)
    async with out_of_use(world, name), administrator(world.servers) as connection:
        await connection.execute(f"ALTER DATABASE {name} RENAME TO {backup}_before")
        await connection.execute(f"ALTER DATABASE {backup} RENAME TO {name}")
    return f"{backup}_before"


@asynccontextmanager
async def out_of_use(world: World, name: str) -> AsyncIterator[None]:
    """Nobody is connected to the database, or can be, until the one of this name is back."""
    async with administrator(world.servers) as connection:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        yield
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def rolled_back(world: World) -> tuple[ConnectionView, str]:
    """A connection of generation 3 whose row says 1, and what the database was before."""
    await world.behave(rotation="strict")
    view = await world.connected()
    backup = await backed_up(world)
    for generation in (2, 3):
        again = await world.connections.refresh(view.connection_id)
        assert again.generation == generation
    before = await restored(world, backup)
    assert (await world.connections.view(view.connection_id)).generation == 1
    with pytest.raises(NotFresh, match="restored from a backup"):
        await world.connections.refresh(view.connection_id)
    return view, before


async def test_a_restored_token_is_not_shown_to_the_provider_and_its_connection_says_why(
    living: World,
) -> None:
    """Bug: it was shown, taken for a stolen one, and ended the grant."""
    view, _ = await rolled_back(living)
    assert len(await living.refreshes()) == 2
    assert (await living.grant()).revoked_by is None
    shown = await living.connections.view(view.connection_id)
    assert (shown.status, shown.generation) == (ConnectionStatus.ACTIVE, 1)
    assert shown.trouble is not None
    assert shown.trouble.cause is Outcome.ROLLED_BACK
    explained = await living.connections.explain(view.connection_id)
    assert explained.who_must_act == "operator"
    assert "restored from a backup" in explained.text


async def test_a_later_state_of_the_database_heals_it(living: World) -> None:
    view, before = await rolled_back(living)
    await restored(living, before)
    again = await living.connections.refresh(view.connection_id)
    assert (again.status, again.generation, again.trouble) == (ConnectionStatus.ACTIVE, 4, None)
    assert {call.presented for call in await living.refreshes()} == {"current"}


async def test_a_new_authorization_heals_it(living: World) -> None:
    view, _ = await rolled_back(living)
    begun = await living.connections.begin_authorization(view.connection_id)
    again = Connecting(view.connection_id, begun.attempt_id, begun.url)
    received = await living.connections.receive_redirect(await living.consent(again))
    healed = await living.connections.authorize(received)
    # Newer than all there ever were: whoever saw the third refused is not given an older one.
    assert (healed.status, healed.generation, healed.trouble) == (ConnectionStatus.ACTIVE, 4, None)
    assert (await living.connections.refresh(view.connection_id)).generation == 5


async def test_a_database_restored_under_an_answer_that_waits_for_it_is_noticed(
    living: World,
) -> None:
    await living.behave(rotation="strict")
    view = await living.connected()
    backup = await backed_up(living)
    await living.connections.refresh(view.connection_id)
    held = await living.plant(
        "token", "delay", seconds=600, when="after_acting", grant_type="refresh_token"
    )
    asked = asyncio.create_task(living.messaging.refresh_now(view.connection_id, 2))
    await living.lost_answer()
    async with living.without_database():
        await living.sandbox.clear(held)
        await until(lambda: is_left_to_temporal(living, view.connection_id))
        await restored(living, backup)
    with pytest.raises(NotFresh, match="restored from a backup"):
        await asked
    assert len(await living.refreshes()) == 2
    # What had waited is kept, and revoked with the rest.
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    assert "orphaned refresh_token" in {token.token for token in receipt.tokens}
    assert (await living.grant()).revoked_by == "client"


async def is_left_to_temporal(world: World, connection_id: UUID) -> bool:
    events = await world.history(connection_id)
    scheduled = [event.activity_task_scheduled_event_attributes for event in events]
    return any(each.activity_type.name == "store_credentials" for each in scheduled)


async def test_a_receipt_says_that_newer_tokens_than_the_backups_may_live_on(living: World) -> None:
    view, _ = await rolled_back(living)
    await living.connections.disconnect(view.connection_id)
    receipt = await living.connections.receipt(view.connection_id)
    fates = {token.token: token.result for token in receipt.tokens}
    assert fates["newer tokens"] == "uncertain"


async def test_a_restored_key_is_not_shown_to_the_provider(
    servers: Servers, tmp_path: Path
) -> None:
    write_broker(tmp_path, servers.sandbox.base_url, data=None)
    async with new_world(servers, tmp_path) as world, world.working():
        connection_id, first = await world.connected_by_key()
        backup = await backed_up(world)
        second, third = await world.sandbox.new_key(), await world.sandbox.new_key()
        await world.connections.supply_key(connection_id, Secret(second.api_key))
        await restored(world, backup)
        before = len(await world.sandbox.log(grant_id=first.key_id))
        assert before > 0
        with pytest.raises(NotFresh):
            await world.connections.rejected(connection_id, 1)
        request = VerifyApiKey(connection_id=connection_id, generation=2)
        verified = await world.perform(Verification(world.resources).verify_api_key, request)
        assert (verified.outcome, verified.standing) == (Outcome.ROLLED_BACK, None)
        assert len(await world.sandbox.log(grant_id=first.key_id)) == before
        healed = await world.connections.supply_key(connection_id, Secret(third.api_key))
        assert (healed.generation, healed.trouble) == (3, None)


async def test_the_doctor_says_what_to_do_after_a_restored_backup(
    living: World, terminal: Terminal
) -> None:
    await rolled_back(living)
    found = troubles(await terminal.run("doctor", "--json"))["refreshes"]
    assert "restored from a backup" in found.said
    assert found.mend is not None
    assert (
        "restore a later state of the database, or have their users authorize again" in found.mend
    )


async def test_a_disconnected_connection_that_a_backup_brought_back_is_ended_again(
    living: World, terminal: Terminal
) -> None:
    """Bug: `moorline doctor --fix` took it for one that had lost its workflow, and revived it."""
    view = await living.connected()
    backup = await backed_up(living)
    await living.connections.disconnect(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    await living.connections.receipt(view.connection_id)
    await restored(living, backup)
    # The row would hand out what the user has taken back.
    assert (await living.connections.view(view.connection_id)).status is ConnectionStatus.ACTIVE
    found = troubles(await terminal.run("doctor", "--json"))
    assert str(view.connection_id) in found["endings"].said
    assert "connections" not in found
    fixed = await terminal.run("doctor", "--fix")
    assert "1 that a backup had brought back are being ended again" in fixed.out
    over = await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    assert over.reason == "user_disconnected"
    with pytest.raises(Conflict):
        await living.connections.lease(view.connection_id)
    assert await until(lambda: is_shredded(living))


async def is_shredded(world: World) -> bool:
    return all(grant.revoked_by is not None for grant in await world.grants())


def troubles(done: Done) -> dict[str, Finding]:
    """What the doctor finds bad, by check."""
    found = findings_of.validate_json(done.out)
    return {finding.check: finding for finding in found if finding.verdict is Verdict.BAD}
