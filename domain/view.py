"""What anyone may see of a connection: no secret, ever.

Queries, the client, the command line and the web UI all show this, whether it was read from
PostgreSQL or answered by the workflow.
"""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.credentials import CredentialType
from domain.outcomes import Outcome, Revocation
from domain.status import ConnectionStatus, StatusReason
from domain.syncs import SyncOutcome


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Trouble(_Shown):
    """Why refreshing fails, for now; the connection is ACTIVE all the same ("degraded")."""

    since: datetime
    cause: Outcome
    failures: int
    retry_at: datetime | None


class TokenReceipt(_Shown):
    """What became of one token when the connection was revoked or ended."""

    token: str
    """``refresh_token``, ``access_token``, or an orphan of one."""
    result: Revocation
    dies_at: datetime | None = None
    """When it dies by itself, where that is known and it was not revoked."""


class Receipt(_Shown):
    """What a revocation or a disconnect did at the provider and here."""

    connection_id: UUID
    tokens: tuple[TokenReceipt, ...] = ()
    shredded: bool = False


class Revoking(_Shown):
    """The provider is being asked to revoke what is held, and has not confirmed it yet."""

    since: datetime
    until: datetime
    """When we give up, and destroy our copy all the same."""
    tries: int = 0
    """How many times it has been asked in vain."""


class Syncing(_Shown):
    """How reading its data goes. Only of connections to providers whose data is read."""

    last_at: datetime | None
    """When all of it was read last."""
    next_at: datetime | None
    outcome: SyncOutcome
    """What came of the last time."""
    completed: int
    """How many times all of it has been read."""
    failures: int
    """How many times in a row it has failed."""
    failing_since: datetime | None


class Attempt(_Shown):
    """The latest authorization attempt."""

    attempt_id: UUID
    status: str
    reason: StatusReason | None
    expires_at: datetime


class ConnectionView(_Shown):
    """A connection as people and programs see it."""

    connection_id: UUID
    user_id: UUID
    provider_slug: str
    credential_type: CredentialType = CredentialType.OAUTH2
    alias: str | None
    status: ConnectionStatus
    reason: StatusReason
    since: datetime
    ending: bool
    """The end has been asked for and is under way."""
    generation: int
    expires_at: datetime | None
    """When the access token ends."""
    refresh_at: datetime | None
    """When it is refreshed next."""
    reauthorize_by: datetime | None
    """The instant by which a person must act, if one is known."""
    trouble: Trouble | None
    revoking: Revoking | None = None
    sync: Syncing | None = None
    attempt: Attempt | None
    receipt: Receipt | None
    connected_at: datetime | None
    created_at: datetime
    updated_at: datetime
