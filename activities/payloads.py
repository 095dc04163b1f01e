"""What goes into activities and comes out: one model each. No secret is in any of them.

The one exception is ``envelope``: sealed credentials on their way to the database by way of
Temporal, under a key that never travels.
"""

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import ConfigDict

from domain.outcomes import Outcome
from domain.pages import Pages
from domain.sparse import Sparse
from domain.standing import Standing
from domain.status import ConnectionStatus, StatusReason
from domain.syncs import SyncOutcome
from domain.view import ConnectionView, Receipt, Syncing, TokenReceipt
from storage.credentials import Envelope


class Payload(Sparse):
    """Base of all: frozen, tolerant of fields it does not know, silent about values it refuses."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class OfConnection(Payload):
    """Asks something of one connection."""

    connection_id: UUID


class BeginAuthorization(OfConnection):
    """Begin an authorization attempt."""

    pages: Pages = Pages.LOOPBACK


class Begun(Payload):
    """An attempt has begun; ``url`` is our own start page, which redirects to the provider."""

    attempt_id: UUID
    url: str
    window: timedelta


class Authenticate(OfConnection):
    """Exchange the code that an attempt has received; what comes is newer than ``generation``."""

    attempt_id: UUID
    generation: int = 0


class StoreCredentials(OfConnection):
    """Store what a refresh or an authorization could not."""

    envelope: Envelope


class Stored(Payload):
    """Whether the envelope counted, and how the credentials stand now.

    ``reason``: why its authorization failed, where it did not.
    """

    counted: bool
    standing: Standing | None
    reason: StatusReason | None = None


class Authenticated(Payload):
    """What came of it: ``standing`` on success, else the ``reason`` it failed for.

    ``revocable``: tokens were stored although the attempt failed; they are to be revoked.
    """

    standing: Standing | None = None
    reason: StatusReason | None = None
    revocable: bool = False
    envelope: Envelope | None = None

    @classmethod
    def of(cls, stored: Stored) -> "Authenticated":
        """The same for an answer that was stored later."""
        if stored.counted:
            return cls(standing=stored.standing)
        return cls(reason=stored.reason or StatusReason.EXCHANGE_INTERRUPTED, revocable=True)


class RefreshCredentials(OfConnection):
    """Refresh the credentials of this generation; of a later one, just say how they stand.

    An earlier one is what a restored backup holds: it is not shown to the provider.
    """

    generation: int


class Refreshed(Payload):
    """What came of a refresh.

    Attributes:
        standing: how the credentials stand now; None when they are not stored, or have ended.
        reason: why the grant is dead, when the outcome ends it.
        retry_in: when to try again, after an outcome that passes.
        failures: how many refreshes in a row have failed.
        envelope: tokens that could not be stored yet: ``store_credentials`` must.
        ended: nothing was tried, because the connection's end has been asked for.
    """

    outcome: Outcome
    standing: Standing | None = None
    reason: StatusReason | None = None
    retry_in: timedelta | None = None
    failures: int = 0
    envelope: Envelope | None = None
    ended: bool = False

    @classmethod
    def of(cls, stored: Stored) -> "Refreshed":
        """The same for an answer that was stored later."""
        return cls(outcome=Outcome.REFRESHED, standing=stored.standing)


class Adopt(OfConnection):
    """Give a workflow its connection: stored anew, or taken up from its row."""

    user_id: UUID
    provider_id: UUID
    provider_slug: str
    alias: str | None


class ConnectWithCredentials(Adopt):
    """The ``ConnectProvider`` command: born ACTIVE with credentials that were staged."""

    staged_id: UUID | None


class Adopted(Payload):
    """The connection as stored, or why there is none for this workflow.

    Attributes:
        age: how long the connection has had its status.
        holds_secrets: whether tokens are stored that would have to be revoked.
        reads_data: whether there is data to be read at its provider.
    """

    refusal: str | None = None
    view: ConnectionView | None = None
    standing: Standing | None = None
    age: timedelta = timedelta(0)
    holds_secrets: bool = False
    reads_data: bool = False


class PersistTransition(OfConnection):
    """Change the status. DISCONNECTED comes with a receipt, and destroys the data key."""

    status: ConnectionStatus
    reason: StatusReason
    receipt: Receipt | None = None


class EndConnection(OfConnection):
    """Note that the end has been asked for: from then on no lease, claim or sync."""


class VoidAuthorizations(OfConnection):
    """Its user has revoked: what was begun before connects nothing any more."""


class RevokeAtProvider(OfConnection):
    """Revoke every token held, the newest first; they should be of this ``generation``."""

    generation: int = 0


class RevokedAtProvider(Payload):
    """What became of each token.

    ``settled`` false: some are still open (shown as ``gave_up``, should nobody ask again), and
    ``retry_after`` is how long the provider asks us to wait, if it says so. ``asked`` false: we did
    not come to asking; that is no try.
    """

    settled: bool
    asked: bool = True
    tokens: tuple[TokenReceipt, ...] = ()
    retry_after: timedelta | None = None


class ShredCredentials(OfConnection):
    """Destroy the connection's data key, and keep the receipt of what was revoked before."""

    receipt: Receipt


class RenameConnection(OfConnection):
    """Change the user's own name for the connection."""

    alias: str | None


class VerifyApiKey(OfConnection):
    """Look whether what its user gave, of this generation, is still good: a key, a certificate."""

    generation: int


class ReplaceApiKey(OfConnection):
    """Put what was staged in the place of what is stored, newer than ``generation``."""

    staged_id: UUID
    generation: int = 0


class SyncData(OfConnection):
    """Read all data there is to read."""


class Synced(Payload):
    """What came of reading data.

    Attributes:
        sync: how reading goes now; None where nothing is read, or nothing may be any more.
        next_in: when to read again; None: not by itself.
        generation: the credentials that were used; where they were refused, newer ones are wanted.
        ended: nothing was read, because the connection's end has been asked for.
    """

    outcome: SyncOutcome
    sync: Syncing | None = None
    next_in: timedelta | None = None
    generation: int = 0
    ended: bool = False


class AnnounceExpiry(OfConnection):
    """Tell, once, that a known end is so many days away."""

    reason: StatusReason
    ends_at: datetime
    days_left: int


class Shown(Payload):
    """The connection as it is stored now."""

    view: ConnectionView


class Ended(Shown):
    """The same at its end; ``holds_secrets``: tokens are stored that are to be revoked first."""

    holds_secrets: bool = True
