"""Stopping what was asked for and has not begun: no worker is free, or a limit holds it up."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateStage

from domain.status import ConnectionStatus
from tests.world import Servers, World, data_of, new_world, until
from workflows import renewal
from workflows.names import workflow_id

ACCEPTED = WorkflowUpdateStage.ACCEPTED


async def has_asked_for(world: World, connection_id: UUID, activity: str) -> None:
    """Wait until the workflow waits for this activity."""
    handle = world.temporal.get_workflow_handle(workflow_id(connection_id))

    async def is_pending() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(each.activity_type.name == activity for each in pending)

    await until(is_pending)


@pytest.mark.parametrize("job", ["refresh_credentials", "sync_data", "authenticate"])
@pytest.mark.parametrize("end", ["revoke", "disconnect"])
async def test_bug_what_was_stopped_before_it_began_wedged_the_life(
    servers: Servers, tmp_path: Path, job: str, end: str
) -> None:
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world:
        async with world.working():
            view = await world.connected()
            received = await world.received_again(view.connection_id)
        handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
        async with world.deciding():
            match job:
                case "refresh_credentials":
                    question = {"seen_generation": 1, "force": True}
                    await handle.start_update("ensure_fresh", question, wait_for_stage=ACCEPTED)
                case "sync_data":
                    await handle.signal("sync_now")
                case _:
                    answered = {"attempt_id": str(received.attempt_id)}
                    await handle.start_update("authorize", answered, wait_for_stage=ACCEPTED)
            await has_asked_for(world, view.connection_id, job)
            await handle.signal(end)
            followed_by = "persist_transition" if end == "revoke" else "end_connection"
            await has_asked_for(world, view.connection_id, followed_by)
        async with world.working():
            target = ConnectionStatus.REVOKED if end == "revoke" else ConnectionStatus.DISCONNECTED
            await world.becomes(view.connection_id, target)

            async def is_shredded() -> bool:
                seen = await world.connections.view(view.connection_id)
                return seen.receipt is not None and seen.receipt.shredded

            await until(is_shredded)
            assert (await world.connections.explain(view.connection_id)).status is target
        assert all(grant.revoked_by == "client" for grant in await world.grants())


async def test_bug_a_refresh_that_came_to_nothing_was_taken_for_a_failed_revocation(
    world: World,
) -> None:
    """The user revokes and wants back at once: the provider is asked to revoke before."""
    async with world.working():
        view = await world.connected()
    handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
    async with world.deciding():
        question = {"seen_generation": 1, "force": True}
        await handle.start_update("ensure_fresh", question, wait_for_stage=ACCEPTED)
        await has_asked_for(world, view.connection_id, "refresh_credentials")
        await handle.signal("revoke")
        await has_asked_for(world, view.connection_id, "persist_transition")
        begun = await handle.start_update("begin_authorization", {}, wait_for_stage=ACCEPTED)
    async with world.working():
        await begun.result()
        assert (await world.grant()).revoked_by == "client"
        shown = await world.connections.view(view.connection_id)
    assert shown.status is ConnectionStatus.REVOKED
    assert shown.receipt is not None
    assert {token.result for token in shown.receipt.tokens} == {"revoked"}


async def test_bug_reading_in_a_run_that_had_become_too_long_ended_the_life(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "LONG_HISTORY", 40)
    async with (
        new_world(servers, tmp_path, entry=data_of(servers)) as world,
        world.working(),
    ):
        view = await world.connected()

        async def has_read() -> bool:
            shown = await world.connections.view(view.connection_id)
            return shown.sync is not None and shown.sync.completed > 0

        await until(has_read)
        handle = world.temporal.get_workflow_handle(workflow_id(view.connection_id))
        first = (await handle.describe()).run_id
        held = await world.plant("api", "hang")
        await handle.signal("sync_now")
        await world.sandbox.logged(
            lambda call: call.client_id == world.client_id and call.fault is not None,
            endpoint="api",
        )
        for _ in range(30):
            await handle.signal("sync_now")
            await world.connections.explain(view.connection_id)
            await asyncio.sleep(0)
        await world.sandbox.clear(held)

        async def has_continued() -> bool:
            return (await handle.describe()).run_id != first

        await until(has_continued, timedelta(seconds=40))
        renamed = await world.connections.rename(view.connection_id, "goes on")
        assert renamed.alias == "goes on"
