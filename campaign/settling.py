"""The end of a campaign: everything is healed, and within a stated time everything must be well.

Every ACTIVE connection is refreshed by force, which is the first invariant; everything that was
begun must come to its end.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import Client
from temporalio.service import RPCError

from campaign.clients import Clients
from campaign.parts import Parts
from domain.credentials import CredentialType
from domain.errors import Conflict, MoorlineError, NeedsUser, NotFound
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from storage import data_keys
from storage.connections import credentials_of
from storage.database import Database, now
from workflows.names import workflow_id

POLL_S: Final = 1.0
AT_ONCE: Final = 10
TRY_S: Final = 30.0
"""After which a refresh is asked for anew."""


@dataclass
class Settled:
    """What was not well when the time was over, by connection; and how long it took."""

    open: dict[UUID, str] = field(default_factory=dict)
    unrefreshed: dict[UUID, str] = field(default_factory=dict)
    took_s: float = 0.0


class Settling:
    """One settling."""

    def __init__(self, parts: Parts, clients: Clients) -> None:
        self._clients = clients
        self._database = Database(parts.stack.database_url)
        self._address = parts.stack.temporal_address
        self._namespace = parts.stack.facts.temporal.namespace
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def settle(self, within_s: float) -> Settled:
        """Wait until everything is well, at most so long."""
        began = time.monotonic()
        give_up_at = began + within_s
        temporal = await Client.connect(self._address, namespace=self._namespace)
        settled = Settled(unrefreshed=await self._refresh_all(give_up_at))
        while True:
            settled.open = await self._still_open(temporal)
            settled.took_s = time.monotonic() - began
            if not settled.open or time.monotonic() > give_up_at:
                break
            await asyncio.sleep(POLL_S)
        await self._database.close()
        return settled

    async def _refresh_all(self, give_up_at: float) -> dict[UUID, str]:
        active = await self._views()
        told = await asyncio.gather(
            *(
                self._refresh(view, give_up_at)
                for view in active
                if view.status is ConnectionStatus.ACTIVE and not view.ending
            )
        )
        return {connection_id: said for connection_id, said in told if said is not None}

    async def _refresh(self, view: ConnectionView, give_up_at: float) -> tuple[UUID, str | None]:
        """Why it cannot be refreshed; None: it has been, or it is not ACTIVE any more."""
        said = "there was no time"
        while time.monotonic() < give_up_at:
            try:
                async with self._turns, asyncio.timeout(TRY_S):
                    await self._renew(view)
            except (NeedsUser, Conflict):
                break  # the provider has refused it; whether that is in order is for the checker
            except (MoorlineError, TimeoutError) as error:
                said = f"{type(error).__name__}: {error}"
                await asyncio.sleep(POLL_S)
            else:
                break
        else:
            return view.connection_id, said
        return view.connection_id, None

    async def _renew(self, view: ConnectionView) -> None:
        sdk = self._clients.sdk
        if view.credential_type is CredentialType.API_KEY:
            await sdk.rejected(view.connection_id, view.generation)
        else:
            await sdk.refresh(view.connection_id)

    async def _views(self) -> Sequence[ConnectionView]:
        return await self._clients.sdk.list(limit=10_000)

    async def _still_open(self, temporal: Client) -> dict[UUID, str]:
        async def of(view: ConnectionView) -> tuple[UUID, str | None]:
            async with self._turns:
                said = await self._of_view(view) or await self._of_workflow(view, temporal)
            return view.connection_id, said

        found = await asyncio.gather(*map(of, await self._views()))
        return {connection_id: said for connection_id, said in found if said is not None}

    async def _of_view(self, view: ConnectionView) -> str | None:
        if view.ending and view.status is not ConnectionStatus.DISCONNECTED:
            return "its end is still under way"
        if view.status is ConnectionStatus.ACTIVE and view.trouble is not None:
            return f"it is degraded: {view.trouble.cause}"
        async with self._database.transaction() as session:
            row = await credentials_of(session, view.connection_id)
            held = row.lease_until is not None and row.lease_until > await now(session)
            key = await data_keys.find(session, view.connection_id)
        if held and view.status is not ConnectionStatus.ACTIVE:
            return "its claim is held"
        over = view.status is ConnectionStatus.DISCONNECTED
        revoked = view.status is ConnectionStatus.REVOKED and view.reason == "user_revoked"
        if (over and key is not None) or (revoked and row.sealed is not None):
            return "its secrets are not shredded"
        return None

    async def _of_workflow(self, view: ConnectionView, temporal: Client) -> str | None:
        handle = temporal.get_workflow_handle(workflow_id(view.connection_id))
        try:
            described = (await handle.describe()).raw_description
        except (RPCError, NotFound):
            return "its workflow is gone"
        status = described.workflow_execution_info.status
        over = view.status is ConnectionStatus.DISCONNECTED
        wanted = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        if over:
            wanted = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
        if status != wanted:
            return f"its workflow is {WorkflowExecutionStatus.Name(status)}"
        if (
            described.HasField("pending_workflow_task")
            and described.pending_workflow_task.attempt > 1
        ):
            return "its workflow does not get on"
        return None
