"""The points at which processes are killed, and what must have become of the connection then.

A table to be read: operation, point, place, fate at a provider with a grace window, and at one
without.
"""

from dataclasses import dataclass
from enum import StrEnum

from campaign.places import Place


class Operation(StrEnum):
    """What is being done when the process dies."""

    REFRESH = "refresh"
    OUTAGE = "refresh, no database"
    STORE = "second sink"
    AUTHORIZE = "authorize"
    REVOKE = "revoke"
    DISCONNECT = "disconnect"
    END_IN_REFRESH = "disconnect in a refresh"
    SYNC = "sync"
    REWRAP = "rewrap"


class Fate(StrEnum):
    """What became of it, once an ordinary process has taken over."""

    SENT_ONCE = "not sent by the dead; sent once by the successor"
    KEPT = "kept: one POST, by the dead"
    FOUND = "found again by grace: two POSTs"
    LOST = "lost_rotation, named"
    NOT_SENT = "code not sent; attempt failed, the user tries again"
    NOT_SENT_AGAIN = "code sent once; attempt failed, the user tries again"
    REVOKED = "revoked and shredded"
    ENDED = "ended: the newest token revoked, all shredded"
    UNCERTAIN = "ended: what we held revoked, the lost answer on the receipt"
    READ = "all read, nothing twice"
    REWRAPPED = "all under the new key, which alone opens them"


@dataclass(frozen=True)
class Point:
    """One of them."""

    operation: Operation
    name: str
    place: Place
    with_grace: Fate
    without_grace: Fate

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.operation}: {self.name}"


def _point(
    operation: Operation,
    name: str,
    place: str,
    with_grace: Fate,
    without_grace: Fate | None = None,
) -> Point:
    fates = with_grace, without_grace or with_grace
    return Point(operation, name, Place.parse(place), *fates)


_F = Fate
_RECEIVING = "httpcore._async.http11:AsyncHTTP11Connection._receive_response_headers"
"""All bytes of the request have been written, none of the answer read."""
_REFRESHED = "after activities.refresh:Refresh.refresh_credentials"
_SEALED = "after activities.exchanges:Exchange.seal"
_READ = "after providers.transport:_read"
_STORED = "after storage.credentials:commit"
_COMMITTED = "after activities.exchanges:commit"

_REFRESH = (
    ("asked for", "before activities.refresh:Refresh.refresh_credentials", _F.SENT_ONCE),
    ("claim and journal written", "after storage.claims:orphans", _F.SENT_ONCE),
    ("claim committed", "after storage.claims:take", _F.SENT_ONCE),
    ("secret opened", "before activities.exchanges:Exchange.present", _F.SENT_ONCE),
    ("before the request", "before providers.transport:post_form", _F.SENT_ONCE),
    ("request sent", f"before {_RECEIVING}", _F.FOUND, _F.LOST),
    ("answer begun", "before providers.transport:_read", _F.FOUND, _F.LOST),
    ("answer read", _READ, _F.FOUND, _F.LOST),
    ("tokens understood", "after providers.oauth2:OAuth2.refresh", _F.FOUND, _F.LOST),
    ("sealed", _SEALED, _F.FOUND, _F.LOST),
    ("row replaced", "after storage.credentials:replace", _F.FOUND, _F.LOST),
    ("before COMMIT", _STORED, _F.FOUND, _F.LOST),
    ("committed", _COMMITTED, _F.KEPT),
    ("before completion", _REFRESHED, _F.KEPT),
)
_OUTAGE = (
    ("commit tried again", "before activities.exchanges:commit #2", _F.FOUND, _F.LOST),
    ("commit given up", "after activities.exchanges:commit_patiently", _F.FOUND, _F.LOST),
    ("before Temporal has it", _REFRESHED, _F.FOUND, _F.LOST),
)
_STORE = (
    ("asked for", "before activities.store_credentials:CredentialStore.store_credentials"),
    ("before COMMIT", _STORED),
    ("committed", _COMMITTED),
    ("before completion", "after activities.store_credentials:CredentialStore.store_credentials"),
)
_AUTHORIZE = (
    ("asked for", "before activities.authenticate:Authentication.authenticate", _F.SENT_ONCE),
    ("claim committed", "after storage.claims:take", _F.SENT_ONCE),
    ("attempt marked, before COMMIT", "after storage.attempts:start_exchange", _F.SENT_ONCE),
    ("attempt marked", "before providers.oauth2:OAuth2.exchange_code", _F.NOT_SENT),
    ("request sent", f"before {_RECEIVING}", _F.NOT_SENT_AGAIN),
    ("answer read", _READ, _F.NOT_SENT_AGAIN),
    ("sealed", _SEALED, _F.NOT_SENT_AGAIN),
    ("before COMMIT", _STORED, _F.NOT_SENT_AGAIN),
    ("committed", _COMMITTED, _F.KEPT),
    ("before completion", "after activities.authenticate:Authentication.authenticate", _F.KEPT),
    ("status before COMMIT", "after storage.connections:transition", _F.KEPT),
)
_REVOKE = (
    ("status before COMMIT", "after storage.connections:transition"),
    ("asked for", "before activities.revoke_at_provider:RevocationAtProvider.revoke_at_provider"),
    ("claim committed", "after storage.claims:take"),
    ("request sent", f"before {_RECEIVING}"),
    ("refresh token revoked", "after providers.oauth2:OAuth2.revoke"),
    ("all revoked", "after activities.revoke_at_provider:RevocationAtProvider._revoke_held"),
    ("before COMMIT", "after storage.claims:close"),
    ("told", "after activities.revoke_at_provider:RevocationAtProvider.revoke_at_provider"),
    ("shredded, before COMMIT", "after storage.shredding:shred"),
    ("shredded", "after activities.shred_credentials:Shredding.shred_credentials"),
)
_DISCONNECT = (
    ("end noted", "after activities.transitions:Transitions.end_connection"),
    ("request sent", f"before {_RECEIVING}"),
    ("shredded, before COMMIT", "after storage.shredding:shred"),
    ("before completion", "after activities.transitions:Transitions.persist_transition"),
)
_END_IN_REFRESH = (
    ("answer read", _READ, _F.UNCERTAIN),
    ("before COMMIT", _STORED, _F.UNCERTAIN),
    ("committed", _COMMITTED, _F.ENDED),
    ("before completion", _REFRESHED, _F.ENDED),
)
_SYNC = (
    ("begun, before COMMIT", "after storage.syncs:begin"),
    ("accounts, before COMMIT", "after storage.finances:write_accounts"),
    ("a page, before COMMIT", "after storage.finances:write_transactions #2"),
    ("a page committed", "before providers.readers.sandbox:SandboxReader.transactions #3"),
    ("all read, before COMMIT", "after storage.syncs:finish"),
    ("before completion", "after activities.sync_data:Syncing.sync_data"),
)
_REWRAP = (
    ("begun", "before storage.data_keys:rewrap_batch"),
    ("one rewrapped, before COMMIT", "after storage.vault:Vault.rewrap"),
    ("a batch committed", "after storage.data_keys:rewrap_batch"),
    ("in the second batch", "after storage.vault:Vault.rewrap #110"),
)
_O = Operation

POINTS: tuple[Point, ...] = (
    *(_point(_O.STORE, *each, _F.KEPT) for each in _STORE),
    *(_point(_O.AUTHORIZE, *each) for each in _AUTHORIZE),
    *(_point(_O.DISCONNECT, *each, _F.ENDED) for each in _DISCONNECT),
    *(_point(_O.REVOKE, *each, _F.REVOKED) for each in _REVOKE),
    *(_point(_O.OUTAGE, *each) for each in _OUTAGE),
    *(_point(_O.END_IN_REFRESH, *each) for each in _END_IN_REFRESH),
    *(_point(_O.REFRESH, *each) for each in _REFRESH),
    *(_point(_O.SYNC, *each, _F.READ) for each in _SYNC),
    *(_point(_O.REWRAP, *each, _F.REWRAPPED) for each in _REWRAP),
)
"""Those that take longest come first."""
