"""Payloads: encrypted, bound to their workflow, and readable where a person may read them."""

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from client.codec import REFUSED, EncryptionCodec
from client.converter import PayloadConverter
from domain.errors import StorageFault
from storage.keyring import Keyring, new_key
from tests.world import World
from workflows.messages import Revoke, Unreadable
from workflows.names import workflow_id

OLD, NEW = new_key("old"), new_key("new")
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"hello":"you"}')
CLOSED = Payload(metadata={"encoding": REFUSED})


def codec_of(*keys: str, required: bool = False) -> EncryptionCodec:
    return EncryptionCodec(Keyring.parse(",".join(keys), "keys"), required=required)


def of_workflow(name: str) -> WorkflowSerializationContext:
    return WorkflowSerializationContext(namespace="default", workflow_id=name)


def of_activity(name: str) -> ActivitySerializationContext:
    return ActivitySerializationContext(
        namespace="default",
        activity_id="1",
        activity_type="refresh_credentials",
        activity_task_queue="moorline",
        workflow_id=name,
        workflow_type="ConnectionWorkflow",
        is_local=False,
    )


async def test_what_is_encoded_for_a_workflow_opens_there_and_in_its_activities() -> None:
    codec = codec_of(NEW)
    (sealed,) = await codec.with_context(of_workflow("a")).encode([PLAIN])
    assert b"hello" not in sealed.SerializeToString()
    assert await codec.with_context(of_workflow("a")).decode([sealed]) == [PLAIN]
    assert await codec.with_context(of_activity("a")).decode([sealed]) == [PLAIN]


async def test_a_payload_moved_into_another_workflow_does_not_open() -> None:
    codec = codec_of(NEW)
    (sealed,) = await codec.with_context(of_workflow("a")).encode([PLAIN])
    assert await codec.with_context(of_activity("b")).decode([sealed]) == [CLOSED]
    assert await codec.with_context(of_workflow("b")).decode([sealed]) == [CLOSED]
    sealed.metadata["bind"] = b"b"
    assert await codec.with_context(of_activity("b")).decode([sealed]) == [sealed]
    assert await codec.with_context(of_workflow("b")).decode([sealed]) == [sealed]


async def test_a_changed_payload_does_not_open() -> None:
    codec = codec_of(NEW)
    (sealed,) = await codec.encode([PLAIN])
    for position in range(len(sealed.data)):
        changed = Payload()
        changed.CopyFrom(sealed)
        changed.data = (
            sealed.data[:position]
            + bytes([sealed.data[position] ^ 1])
            + sealed.data[position + 1 :]
        )
        with pytest.raises(StorageFault):
            await codec.decode([changed])


async def test_an_old_key_still_decrypts_and_the_first_one_encrypts() -> None:
    (sealed,) = await codec_of(OLD).encode([PLAIN])
    assert await codec_of(NEW, OLD).decode([sealed]) == [PLAIN]
    (again,) = await codec_of(NEW, OLD).encode([PLAIN])
    assert again.metadata["kid"] == b"new"


async def test_an_unknown_key_is_named_and_no_other_is_tried() -> None:
    (sealed,) = await codec_of(OLD).encode([PLAIN])
    with pytest.raises(StorageFault, match="'old'"):
        await codec_of(NEW).decode([sealed])


async def test_a_plain_payload_is_accepted_from_people_but_not_between_our_own_parts() -> None:
    codec = codec_of(NEW)
    assert await codec.with_context(of_workflow("a")).decode([PLAIN]) == [PLAIN]
    assert await codec.with_context(of_activity("a")).decode([PLAIN]) == [CLOSED]


async def test_plain_payloads_can_be_refused_everywhere() -> None:
    codec = codec_of(NEW, required=True)
    (typed,) = await codec.encode([PLAIN])
    for refused in (PLAIN, typed):
        assert await codec.with_context(of_workflow("a")).decode([refused]) == [CLOSED]
        assert await codec.with_context(of_activity("a")).decode([refused]) == [CLOSED]


async def test_what_is_closed_is_read_as_such_by_a_handler_and_by_nobody_else() -> None:
    (sealed,) = await codec_of(OLD).encode([PLAIN])
    converter = PayloadConverter()
    for payload, why in ((CLOSED, Unreadable.REFUSED), (sealed, Unreadable.SEALED)):
        assert converter.from_payloads([payload, PLAIN]) == [why, {"hello": "you"}]
        assert converter.from_payloads([payload], [object]) == [why]
        with pytest.raises(StorageFault):
            converter.from_payloads([payload], [Revoke])


async def test_what_the_command_line_encodes_is_accepted_as_an_input_only() -> None:
    codec = codec_of(NEW)
    (typed,) = await codec.encode([PLAIN])  # the endpoint knows no workflow
    assert await codec.with_context(of_workflow("a")).decode([typed]) == [PLAIN]
    assert await codec.with_context(of_activity("a")).decode([typed]) == [CLOSED]


async def test_a_history_holds_nothing_readable_but_ids_and_names(living: World) -> None:
    view = await living.connected()
    await living.connections.rename(view.connection_id, "my secret hobby")
    handle = living.temporal.get_workflow_handle(workflow_id(view.connection_id))
    history = await handle.fetch_history()
    raw = b"".join(event.SerializeToString() for event in history.events)
    assert b"my secret hobby" not in raw
    assert b"mlcanary" not in raw
