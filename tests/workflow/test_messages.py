"""The wire: what anyone may send a connection's workflow, and what must not harm it."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import JsonValue
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import RawValue

from domain.errors import Conflict, NeedsUser, NotFound, Unreachable
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from tests.world import Servers, World, connect_temporal, new_world, until
from workflows.life import Life
from workflows.messages import StartConnection
from workflows.names import workflow_id

ID = "5e1ec7ed-0000-4000-8000-000000000001"
UPDATES = ("begin_authorization", "authorize", "supply_key", "rename", "ensure_fresh")
WITHIN = timedelta(seconds=30)
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


CLOSED = Payload(
    metadata={"encoding": b"binary/encrypted", "kid": b"nobody", "bind": b""}, data=b"?" * 40
)
UNREADABLE = {
    "an unknown key": CLOSED,
    "damaged": Payload(metadata={**CLOSED.metadata, "kid": b"test"}, data=b"?" * 40),
    "cut short": Payload(metadata={**CLOSED.metadata, "kid": b"test"}, data=b"?"),
    "no key id": Payload(metadata={"encoding": b"binary/encrypted"}, data=b""),
    "of another workflow": Payload(metadata={**CLOSED.metadata, "bind": b"connection-x"}),
    "not JSON": Payload(metadata={"encoding": b"json/plain"}, data=b"{not json"),
    "not UTF-8": Payload(metadata={"encoding": b"json/plain"}, data=b"\xff\xfe"),
    "an unknown encoding": Payload(metadata={"encoding": b"odd/odder"}, data=b"x"),
    "no encoding": Payload(data=b"x"),
    "another's protobuf": Payload(metadata={"encoding": b"binary/protobuf"}, data=b"x"),
}
"""What anyone can send who may talk to the server at all."""


async def until_answered(handle: WorkflowHandle[object, object]) -> ConnectionView:
    """The view, once the connection has been stored."""

    async def view() -> ConnectionView | None:
        try:
            found: ConnectionView = await handle.query("view", result_type=ConnectionView)
        except WorkflowQueryFailedError:
            return None
        return found

    return await until(view)


async def stranger(world: World, connection_id: UUID) -> WorkflowHandle[object, object]:
    """A client that sends payloads as they are."""
    client = await connect_temporal(world.servers, None)
    return client.get_workflow_handle(workflow_id(connection_id))


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_signal_whose_payload_cannot_be_read_counts_and_wedges_nothing(
    living: World, payload: Payload
) -> None:
    view = await living.connected()
    handle = await stranger(living, view.connection_id)
    await handle.signal("nudge", RawValue(payload))
    await handle.signal("sync_now", RawValue(payload))
    assert (await living.connections.rename(view.connection_id, "here")).alias == "here"
    await handle.signal("revoke", RawValue(payload))
    await living.becomes(view.connection_id, ConnectionStatus.REVOKED)
    await handle.signal("disconnect", RawValue(payload))
    await living.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_update_whose_payload_cannot_be_read_is_refused_and_wedges_nothing(
    living: World, payload: Payload
) -> None:
    view = await living.connected()
    handle = await stranger(living, view.connection_id)
    for update in UPDATES:
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(update, RawValue(payload), rpc_timeout=WITHIN)
    assert (await living.connections.refresh(view.connection_id)).generation == 2


async def test_a_start_that_cannot_be_read_is_refused_but_one_that_is_sealed_waits_for_its_key(
    living: World,
) -> None:
    client = await connect_temporal(living.servers, None)

    async def start(payload: Payload) -> WorkflowHandle[object, object]:
        return await client.start_workflow(
            "ConnectionWorkflow",
            RawValue(payload),
            id=workflow_id(uuid4()),
            task_queue=living.task_queue,
        )

    for name in ("not JSON", "of another workflow", "an unknown encoding"):
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for((await start(UNREADABLE[name])).result(), WITHIN.total_seconds())
    sealed = await start(CLOSED)

    async def has_stalled() -> bool:
        history = await sealed.fetch_history()
        return any(
            event.HasField("workflow_task_failed_event_attributes") for event in history.events
        )

    await until(has_stalled)
    assert (await sealed.describe()).status is WorkflowExecutionStatus.RUNNING
    await sealed.terminate()


async def test_where_encryption_is_required_plain_payloads_are_refused_and_wedge_nothing(
    servers: Servers, tmp_path: Path
) -> None:
    async with new_world(servers, tmp_path, require_encrypted=True) as world, world.working():
        view = await world.connected()
        handle = await stranger(world, view.connection_id)
        for update in UPDATES:
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(update, {}, rpc_timeout=WITHIN)
        await handle.signal("nudge", {"plain": True})
        assert (await world.connections.rename(view.connection_id, "here")).alias == "here"
        plain = StartConnection(
            connection_id=uuid4(), user_id=view.user_id, provider_slug=world.slug
        )
        client = await connect_temporal(servers, None)
        refused = await client.start_workflow(
            "ConnectionWorkflow",
            plain,
            id=workflow_id(plain.connection_id),
            task_queue=world.task_queue,
        )
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(refused.result(), WITHIN.total_seconds())
        with pytest.raises(NotFound):
            await world.connections.view(plain.connection_id)


async def test_nobody_but_the_run_before_says_what_a_life_is(living: World) -> None:
    """Bug: a caller's ``carried`` was believed, and revoked another's connection."""
    theirs = await living.connected()
    mine = uuid4()
    carried: JsonValue = {
        "life": Life(view=theirs, holds_secrets=True).model_dump(mode="json"),
        "inbox": [{"kind": "revoke"}],
        "entry": None,
    }
    for wrong in (carried, {"x": 1}):
        start = StartConnection(
            connection_id=mine, user_id=living.user_id, provider_slug=living.slug, carried=wrong
        )
        handle = await living.temporal.start_workflow(
            "ConnectionWorkflow", start, id=workflow_id(mine), task_queue=living.task_queue
        )
        view = await until_answered(handle)
        assert (view.connection_id, view.status) == (mine, ConnectionStatus.PENDING)
        await handle.terminate()
    assert (await living.connections.view(theirs.connection_id)).status == "active"
    assert await living.log("revoke") == []


HOSTILE: list[tuple[str, dict[str, object]]] = [
    ("ensure_fresh", {"min_ttl_s": 1e300}),
    ("ensure_fresh", {"min_ttl_s": 1e18}),
    ("ensure_fresh", {"min_ttl_s": -1}),
    ("ensure_fresh", {"min_ttl_s": "inf"}),
    ("ensure_fresh", {"min_ttl_s": "nan"}),
    ("ensure_fresh", {"seen_generation": 1.5}),
    ("rename", {"alias": "a" * 101}),
    ("rename", {"alias": "a\u0000b"}),
    ("rename", {}),
    ("authorize", {"attempt_id": "no uuid"}),
    ("supply_key", {"staged_id": 5}),
]


@pytest.mark.parametrize(("update", "question"), HOSTILE, ids=repr)
async def test_bug_a_hostile_value_in_an_update_wedged_the_life(
    living: World, update: str, question: dict[str, object]
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(update, question, rpc_timeout=WITHIN)
    assert getattr(refused.value.cause, "type", None) == "InvalidInput"
    assert (await living.connections.rename(view.connection_id, "here")).alias == "here"


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


@pytest.mark.parametrize("update", UPDATES)
async def test_garbage_in_an_update_is_refused_and_wedges_nothing(
    living: World, update: str
) -> None:
    view = await living.connected()
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    wrong: list[list[object]] = [["garbage"], [5], [[]], [{}, {}]]
    for args in wrong:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(update, args=args, rpc_timeout=WITHIN)
        assert getattr(refused.value.cause, "type", None) == "InvalidInput"
    assert (await handle.query("view", result_type=ConnectionView)).status == "active"


async def test_two_hundred_callers_who_want_a_fresh_token_share_one_refresh(living: World) -> None:
    await living.behave(access_ttl_s=40)
    view = await living.connected()
    held, at = await living.plant("token", "hang"), datetime.now(UTC)
    callers = [
        asyncio.ensure_future(
            living.messaging.newer_than(view.connection_id, view.generation, timedelta(0), at)
        )
        for _ in range(200)
    ]
    await living.sandbox.logged(
        lambda call: call.client_id == living.client_id and call.grant_type == "refresh_token"
    )
    rename = living.connections.rename(view.connection_id, "not starved")
    renamed = await asyncio.wait_for(rename, WITHIN.total_seconds())
    assert renamed.alias == "not starved"
    assert not any(caller.done() for caller in callers)
    await living.sandbox.clear(held)
    assert {answer.generation for answer in await asyncio.gather(*callers)} == {2}
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
        {"connection_id": str(UUID(int=7)), "user_id": ID, "provider_slug": "sandbox"},
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
        await asyncio.wait_for(handle.result(), WITHIN.total_seconds())
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


@pytest.mark.parametrize("first", [True, False])
async def test_bug_a_caller_that_was_cancelled_was_told_that_nobody_answers(
    world: World, first: bool
) -> None:
    """And went on, where all that had begun it was being ended."""
    async with world.working():
        view = await world.imported()
    if first:
        asking: Awaitable[object] = world.connections.connect(world.slug, world.user_id)
    else:
        asking = world.connections.rename(view.connection_id, "nobody there")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await asking
