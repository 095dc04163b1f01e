"""The wire: what anyone may send a connection's workflow, and what must not harm it."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.client import (
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)

from domain.errors import Conflict, NeedsUser, NotFound, Unreachable
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.world import World
from workflows.messages import StartConnection
from workflows.names import workflow_id

ID = str(uuid4())
GARBAGE: list[list[object]] = [
    [],
    [None],
    [{}],
    ["garbage"],
    [5],
    [[1, 2]],
    [{"actor": {"not": "a string"}, "kind": "disconnect"}],
    [{}, {}],
    [None, None, None],
]


@pytest.mark.parametrize("args", GARBAGE, ids=repr)
async def test_a_nudge_with_anything_in_it_wedges_nothing(
    living: World, args: list[object]
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("nudge", args=args)
    renamed = await living.connections.rename(view.connection_id, "still here")
    assert renamed.alias == "still here"


@pytest.mark.parametrize("args", GARBAGE, ids=repr)
async def test_a_revoke_is_a_revoke_whatever_it_carries(living: World, args: list[object]) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("revoke", args=args)
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)


@pytest.mark.parametrize("args", GARBAGE, ids=repr)
async def test_a_disconnect_is_a_disconnect_whatever_it_carries(
    living: World, args: list[object]
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    await handle.signal("disconnect", args=args)
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)


@pytest.mark.parametrize("update", ["begin_authorization", "authorize", "rename", "ensure_fresh"])
async def test_garbage_in_an_update_is_refused_and_wedges_nothing(
    living: World, update: str
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    wrong: list[list[object]] = [["garbage"], [5], [[]], [{}, {}]]
    for args in wrong:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(update, args=args, rpc_timeout=timedelta(seconds=10))
        assert getattr(refused.value.cause, "type", None) == "InvalidInput"
    assert (await handle.query("view", result_type=ConnectionView)).status == "active"


async def test_two_hundred_callers_who_want_a_fresh_token_share_one_refresh(living: World) -> None:
    await living.behave(access_ttl_s=40)
    view = await living.connected()
    renamed = asyncio.ensure_future(living.connections.rename(view.connection_id, "not starved"))
    answers = await asyncio.gather(
        *(
            living.messaging.newer_than(view.connection_id, view.generation, timedelta(0))
            for _ in range(200)
        )
    )
    assert {answer.generation for answer in answers} == {2}
    assert (await renamed).alias == "not starved"
    assert len(await living.refreshes()) == 1


async def test_more_than_five_callers_with_updates_of_their_own_are_told_that_it_is_busy(
    living: World,
) -> None:
    view = await living.connected()
    held = await living.plant("token", "delay", seconds=20, when="before_acting")
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    question = {"seen_generation": 1, "force": True}
    accepted = WorkflowUpdateStage.ACCEPTED
    for _ in range(5):
        await handle.start_update("ensure_fresh", question, wait_for_stage=accepted)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("ensure_fresh", question)
    assert getattr(refused.value.cause, "type", None) == "Busy"
    await living.sandbox.clear(held)


async def test_a_connection_that_is_not_active_refuses_a_fresh_token_with_the_reason(
    living: World,
) -> None:
    view = await living.connected()
    await living.connections.revoke(view.connection_id)
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)
    with pytest.raises(NeedsUser) as refused:
        await living.connections.lease(view.connection_id)
    assert (refused.value.status, refused.value.reason) == ("revoked", "user_revoked")


async def test_queries_show_the_connection_and_explain_it(living: World) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    asked = await handle.query("view", result_type=ConnectionView)
    assert asked == view
    explained = await handle.query("explain")
    assert explained["who_must_act"] == "nobody"


@pytest.mark.parametrize(
    "start",
    [
        None,
        {},
        "garbage",
        5,
        {"connection_id": "no uuid", "user_id": "no uuid", "provider_slug": "x"},
        {"connection_id": ID, "user_id": ID, "provider_slug": "nobody-knows-it"},
        {"connection_id": ID, "user_id": ID, "provider_slug": "sandbox", "alias": "a" * 101},
        {"connection_id": ID, "user_id": ID, "provider_slug": ""},
        {"connection_id": str(uuid4()), "user_id": ID, "provider_slug": "sandbox"},
    ],
    ids=repr,
)
async def test_a_start_that_cannot_be_fails_the_workflow_and_says_why(
    living: World, start: object
) -> None:
    handle = await living.temporal.start_workflow(
        "ConnectionWorkflow", start, id=f"connection-{ID}", task_queue=living.task_queue
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), 10)
    assert getattr(failed.value.cause, "type", None) == "Refused"
    with pytest.raises(NotFound):
        await living.connections.view(UUID(ID))


async def test_a_start_for_another_users_connection_is_refused(living: World) -> None:
    view = await living.connected()
    await living.temporal.get_workflow_handle(workflow_id(view.connection_id)).terminate()
    start = StartConnection(
        connection_id=view.connection_id, user_id=uuid4(), provider_slug=living.slug
    )
    await living.messaging.start(start, again=True)
    with pytest.raises(Conflict, match="another user"):
        await living.messaging.result(view.connection_id)


async def test_a_connection_whose_workflow_was_lost_is_taken_up_from_its_row(living: World) -> None:
    view = await living.connected()
    await living.temporal.get_workflow_handle(workflow_id(view.connection_id)).terminate()
    with pytest.raises(Unreachable, match="doctor"):
        await living.connections.rename(view.connection_id, "nobody there")
    start = StartConnection(
        connection_id=view.connection_id, user_id=view.user_id, provider_slug=living.slug
    )
    await living.messaging.start(start, again=True)
    assert (await living.connections.refresh(view.connection_id)).generation == 2
