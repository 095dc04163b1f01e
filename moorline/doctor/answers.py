"""Payload keys: whether what we read opens here, and what we write opens where it is worked on.

A workflow whose worker has other keys stands still without a word: nothing is lost, nothing goes
on. So one history is opened here, and one connection is asked something.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from client.codec import EncryptionCodec
from domain.errors import StorageFault
from domain.view import ConnectionView
from moorline.doctor.findings import Finding, bad, ok
from moorline.doctor.running import Found
from moorline.setup import in_words_of_temporal
from workflows.names import workflow_id

SAMPLES: Final = 3
WITHIN: Final = timedelta(seconds=10)
SAME_KEYS: Final = (
    "give all processes the same MOORLINE_PAYLOAD_KEYS, with every key that is still in use, and "
    "restart them"
)


async def histories(
    client: Client, codec: EncryptionCodec | None, found: Sequence[Found]
) -> AsyncIterator[Finding]:
    """Whether the newest histories open with the payload keys that are set here."""
    living = [each for each in found if each.lives][:SAMPLES]
    if codec is None:
        return  # without keys: told already
    for each in living:
        name = workflow_id(each.view.connection_id)
        try:
            await codec.decode(await _first_payloads(client, name))
        except StorageFault as error:
            said = f"the history of {name} does not open with MOORLINE_PAYLOAD_KEYS: {error}"
            yield bad("histories", said, SAME_KEYS)
            return
    if living:
        yield ok("histories", "those of the newest connections open")


async def answer(
    client: Client, codec: EncryptionCodec | None, found: Sequence[Found]
) -> AsyncIterator[Finding]:
    """Whether a connection answers, and its answer can be read: one is asked how it is."""
    asked = next((each for each in found if each.lives), None)
    if codec is None or asked is None:
        return
    handle = client.get_workflow_handle(workflow_id(asked.view.connection_id))
    said = f"{handle.id} was asked how it is, and "
    try:
        await handle.query("view", result_type=ConnectionView, rpc_timeout=WITHIN)
    except StorageFault:
        yield bad("answers", f"{said}what its worker answers does not open here", SAME_KEYS)
    except (WorkflowQueryFailedError, RPCError):
        mend = (
            f"look into its worker's log; where it says that a payload cannot be read, {SAME_KEYS}"
        )
        yield bad("answers", f"{said}its worker cannot take it up", mend)
    else:
        yield ok("answers", "a connection that is asked how it is answers")


async def _first_payloads(client: Client, name: str) -> Sequence[Payload]:
    """What a workflow's newest run was started with."""
    with in_words_of_temporal(client):
        answer = await client.workflow_service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=name),
                maximum_page_size=1,
            )
        )
    began = answer.history.events[0].workflow_execution_started_event_attributes
    return began.input.payloads
