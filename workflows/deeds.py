"""What the workflow has done for it: each activity under its policy, and each job.

A deed is one short transaction that the loop waits for. A job calls the provider and runs beside
the loop; the provider's slug is its fairness key, so that one provider cannot hold up the others.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from temporalio import workflow
from temporalio.common import Priority

from activities.adopt import Adoption
from activities.authenticate import Authentication
from activities.begin_authorization import Authorizations
from activities.connect_provider import Connecting
from activities.payloads import (
    Adopt,
    Adopted,
    AnnounceExpiry,
    Authenticate,
    Authenticated,
    BeginAuthorization,
    Begun,
    ConnectWithCredentials,
    EndConnection,
    Ended,
    PersistTransition,
    RefreshCredentials,
    Refreshed,
    RenameConnection,
    ReplaceApiKey,
    RevokeAtProvider,
    RevokedAtProvider,
    ShredCredentials,
    StoreCredentials,
    Stored,
    SyncData,
    Synced,
    VerifyApiKey,
    VoidAuthorizations,
)
from activities.policies import ASK, CALL, STORE, SYNC
from activities.refresh import Refresh
from activities.replace_api_key import KeyReplacement
from activities.revoke_at_provider import RevocationAtProvider
from activities.shred_credentials import Shredding
from activities.store_credentials import CredentialStore
from activities.sync_data import Syncing
from activities.transitions import Transitions
from activities.verify_api_key import Verification
from domain.connection import provider_id_of
from domain.pages import Pages
from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView, Receipt
from domain.words import WHY
from storage.credentials import Envelope
from workflows import names
from workflows.asks import Ask
from workflows.messages import Authorize, StartConnection, SupplyKey


@dataclass
class Job:
    """A call to the provider that runs beside the loop.

    ``stopped``: the user revoked or disconnected meanwhile. What it brings is still honoured (a
    new token must be revoked, too), but it makes nothing ACTIVE any more.
    """

    handle: workflow.ActivityHandle[Refreshed | Authenticated | RevokedAtProvider]
    ask: Ask[ConnectionView] | None = None
    revokes: bool = False
    stopped: bool = False

    def answer(self, view: ConnectionView, reason: StatusReason | None) -> None:
        """Tell whoever asked for it: how the connection is now, or why it came to nothing."""
        if self.ask is None:
            return
        if reason is None:
            self.ask.answer(view)
        else:
            self.ask.fail(f"not authorized: {WHY[reason]}", "NotAuthorized", {"reason": reason})

    def refuse(self, message: str) -> None:
        """Tell whoever asked for it that it comes to nothing, and changes nothing."""
        if self.ask is not None:
            self.ask.fail(message, "Conflict")

    def stop(self) -> None:
        """Cancel what has not begun; what has, ends by itself and is waited for.

        Not a revocation: that is what whoever stops the others wants.
        """
        if self.revokes:
            return
        self.stopped = True
        if not self.handle.done():
            self.handle.cancel()


def start_refresh(view: ConnectionView) -> Job:
    """Refresh the credentials that the view shows; what a user gave is verified instead."""
    if view.credential_type.is_given:
        verify = VerifyApiKey(connection_id=view.connection_id, generation=view.generation)
        return Job(
            workflow.start_activity_method(
                Verification.verify_api_key, verify, **CALL, priority=_fair(view)
            )
        )
    request = RefreshCredentials(connection_id=view.connection_id, generation=view.generation)
    return Job(
        workflow.start_activity_method(
            Refresh.refresh_credentials, request, **CALL, priority=_fair(view)
        )
    )


def start_exchange(view: ConnectionView, ask: Ask[ConnectionView]) -> Job:
    """Exchange the code of an authorization, or put what a user gives in the old one's place."""
    if isinstance(ask.question, SupplyKey):
        replace = ReplaceApiKey(
            connection_id=view.connection_id,
            staged_id=ask.question.staged_id,
            generation=view.generation,
        )
        return Job(
            workflow.start_activity_method(
                KeyReplacement.replace_api_key, replace, **CALL, priority=_fair(view)
            ),
            ask,
        )
    assert isinstance(ask.question, Authorize)  # the queue holds nothing else
    request = Authenticate(
        connection_id=view.connection_id,
        attempt_id=ask.question.attempt_id,
        generation=view.generation,
    )
    handle = workflow.start_activity_method(
        Authentication.authenticate, request, **CALL, priority=_fair(view)
    )
    return Job(handle, ask)


def start_revocation(view: ConnectionView) -> Job:
    """Revoke at the provider whatever is held."""
    request = RevokeAtProvider(connection_id=view.connection_id, generation=view.generation)
    handle = workflow.start_activity_method(
        RevocationAtProvider.revoke_at_provider, request, **CALL, priority=_fair(view)
    )
    return Job(handle, revokes=True)


def start_sync(view: ConnectionView) -> workflow.ActivityHandle[Synced]:
    """Read the connection's data."""
    request = SyncData(connection_id=view.connection_id)
    return workflow.start_activity_method(
        Syncing.sync_data,
        request,
        **SYNC,
        task_queue=names.reading_queue(workflow.info().task_queue),
        priority=_fair(view),
    )


async def adopt(start: StartConnection) -> Adopted:
    """Store the connection, take it up from its row, or carry out ``ConnectProvider``."""
    if workflow.info().workflow_id != names.workflow_id(start.connection_id):
        return Adopted(refusal="the workflow id must be connection-<connection_id>")
    request = ConnectWithCredentials(
        connection_id=start.connection_id,
        user_id=start.user_id,
        provider_id=start.provider_id or provider_id_of(start.provider_slug),
        provider_slug=start.provider_slug,
        alias=start.alias,
        staged_id=start.staged_id,
    )
    if start.imported:
        return await workflow.execute_activity_method(Connecting.connect_provider, request, **STORE)
    return await workflow.execute_activity_method(
        Adoption.adopt_connection, Adopt.model_validate(request.model_dump()), **STORE
    )


async def begin_authorization(connection_id: UUID, pages: Pages) -> Begun:
    """Have an authorization begun; somebody waits."""
    request = BeginAuthorization(connection_id=connection_id, pages=pages)
    return await workflow.execute_activity_method(
        Authorizations.begin_authorization, request, **ASK
    )


async def rename(connection_id: UUID, alias: str | None) -> ConnectionView:
    """Change the name; somebody waits."""
    request = RenameConnection(connection_id=connection_id, alias=alias)
    shown = await workflow.execute_activity_method(Transitions.rename_connection, request, **ASK)
    return shown.view


async def persist(
    connection_id: UUID,
    status: ConnectionStatus,
    reason: StatusReason,
    receipt: Receipt | None = None,
) -> ConnectionView:
    """Store a change of status, with its event."""
    request = PersistTransition(
        connection_id=connection_id, status=status, reason=reason, receipt=receipt
    )
    shown = await workflow.execute_activity_method(Transitions.persist_transition, request, **STORE)
    return shown.view


async def end(connection_id: UUID) -> Ended:
    """Store that the end has been asked for, and learn what is held."""
    request = EndConnection(connection_id=connection_id)
    return await workflow.execute_activity_method(Transitions.end_connection, request, **STORE)


async def void_authorizations(connection_id: UUID) -> ConnectionView:
    """Have what was begun for its user connect nothing."""
    request = VoidAuthorizations(connection_id=connection_id)
    shown = await workflow.execute_activity_method(
        Transitions.void_authorizations, request, **STORE
    )
    return shown.view


async def announce_expiry(
    connection_id: UUID, reason: StatusReason, ends_at: datetime, days_left: int
) -> None:
    """Record that a known end is near."""
    request = AnnounceExpiry(
        connection_id=connection_id, reason=reason, ends_at=ends_at, days_left=days_left
    )
    await workflow.execute_activity_method(Transitions.announce_expiry, request, **STORE)


async def shred(receipt: Receipt) -> None:
    """Destroy all secrets, and keep the receipt of what was revoked before."""
    request = ShredCredentials(connection_id=receipt.connection_id, receipt=receipt)
    await workflow.execute_activity_method(Shredding.shred_credentials, request, **STORE)


async def store(envelope: Envelope) -> Stored:
    """Store sealed credentials that the database could not take at the time."""
    request = StoreCredentials(connection_id=envelope.connection_id, envelope=envelope)
    return await workflow.execute_activity_method(
        CredentialStore.store_credentials, request, **STORE
    )


def _fair(view: ConnectionView) -> Priority:
    return Priority(fairness_key=view.provider_slug)
