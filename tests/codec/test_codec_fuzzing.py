"""Payloads that anyone may have made: none of them stops a workflow, or opens what it may not."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from client.codec import ENCODING, REFUSED, EncryptionCodec
from client.converter import PayloadConverter
from domain.errors import StorageFault
from storage.keyring import Keyring, new_key
from workflows.messages import Revoke

CANARY = b"mlcanary-words"
CODEC = EncryptionCodec(Keyring.parse(f"{new_key('one')},{new_key('two')}", "keys"))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"actor":"%s"}' % CANARY)
WORKFLOW = WorkflowSerializationContext(namespace="default", workflow_id="a")
ACTIVITY = ActivitySerializationContext(
    namespace="default",
    activity_id="1",
    activity_type="refresh_credentials",
    activity_task_queue="moorline",
    workflow_id="a",
    workflow_type="ConnectionWorkflow",
    is_local=False,
)
CONTEXTS = st.sampled_from([WORKFLOW, ACTIVITY])
NAMES = st.sampled_from(["encoding", "kid", "bind", "messageType"])
VALUES = st.one_of(
    st.sampled_from(
        [ENCODING, b"json/plain", b"one", b"two", b"a", b"b", b"", b"\xff", b"binary/null"]
    ),
    st.binary(max_size=8),
)
ANY = st.builds(
    Payload, metadata=st.dictionaries(NAMES, VALUES), data=st.one_of(st.binary(), VALUES)
)
CHANGES = st.tuples(st.dictionaries(NAMES, VALUES), st.integers(0, 400), st.binary(max_size=3))
BRIEFLY = settings(deadline=None)


@BRIEFLY
@given(ANY, CONTEXTS)
async def test_no_payload_makes_it_raise_where_a_workflow_reads_it(
    payload: Payload, context: WorkflowSerializationContext | ActivitySerializationContext
) -> None:
    decoded = await CODEC.with_context(context).decode([payload])
    assert len(PayloadConverter().from_payloads(decoded, [object])) == 1
    assert len(PayloadConverter().from_payloads(decoded)) == 1


@BRIEFLY
@given(ANY)
async def test_the_endpoint_decodes_any_payload_or_refuses_it_in_our_own_words(
    payload: Payload,
) -> None:
    try:
        decoded = await CODEC.decode([payload])
    except StorageFault:
        assert payload.metadata["encoding"] == ENCODING
    else:
        assert decoded == [payload]


@BRIEFLY
@given(CHANGES, CONTEXTS)
async def test_a_payload_that_was_changed_opens_for_nobody(
    change: tuple[dict[str, bytes], int, bytes],
    context: WorkflowSerializationContext | ActivitySerializationContext,
) -> None:
    (sealed,) = await CODEC.with_context(WORKFLOW).encode([PLAIN])
    metadata, at, what = change
    data = sealed.data[: at % len(sealed.data)] + what + sealed.data[at % len(sealed.data) + 1 :]
    changed = Payload(metadata={**sealed.metadata, **metadata}, data=data)
    if data == sealed.data:
        return
    with suppress(StorageFault):  # in the endpoint; where a workflow reads it, it is passed on
        (found,) = await CODEC.decode([changed])
        assert CANARY not in found.SerializeToString()
    (found,) = await CODEC.with_context(context).decode([changed])
    assert CANARY not in found.SerializeToString()
    if found.metadata["encoding"] in {ENCODING, REFUSED}:
        with pytest.raises(StorageFault):
            PayloadConverter().from_payloads([found], [Revoke])
