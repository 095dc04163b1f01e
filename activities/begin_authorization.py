"""Beginning an authorization: state and PKCE verifier are made, sealed and kept here.

What leaves is the address of our own start page. The provider's authorize URL, which carries
``state``, is built only when a browser comes for it, and passes through no workflow.
"""

from urllib.parse import urlsplit, urlunsplit

from temporalio import activity
from uuid6 import uuid7

from activities.holding import beating
from activities.payloads import BeginAuthorization, Begun
from activities.resources import Resources, cause
from domain.events import ProviderConnectionAttempted
from providers.entry import OAuth2Entry
from providers.oauth2 import new_secret
from storage import attempts, data_keys, events
from storage.attempts import AttemptSecrets, AttemptStatus
from storage.connections import locked, provider
from storage.tables import AttemptRow


class Authorizations:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    @beating
    async def begin_authorization(self, request: BeginAuthorization) -> Begun:
        """Store a new attempt; retried, it answers with the same one.

        Raises:
            NotFound: unknown connection, or its provider is no longer in the catalogue.
            NotConfigured: client id or secret of the provider app is missing.
        """
        async with self._resources.database.transaction() as session:
            connection = await locked(session, request.connection_id)
            entry = self._resources.catalogue.oauth2(connection.provider_slug)
            at = await self._resources.clock.now(session)
            key = await data_keys.obtain(session, self._resources.vault, connection.id)
            attempt = AttemptRow(
                id=uuid7(),
                connection_id=connection.id,
                cause=cause(),
                state_hash=b"",
                data_key_id=key.id,
                sealed=b"",
                redirect_uri=self._resources.redirect_to(entry.slug, request.pages),
                endpoints=endpoints_of(entry),
                status=AttemptStatus.PENDING,
                created_at=at,
                expires_at=at + attempts.WINDOW,
            )
            secrets = AttemptSecrets(state=new_secret(), verifier=new_secret())
            attempt = await attempts.begin(session, attempt, key, secrets)
            attempted = ProviderConnectionAttempted(**provider(connection, at))
            await events.append(session, connection, attempted, cause())
        return Begun(
            attempt_id=attempt.id,
            url=start_page(attempt.redirect_uri, attempt),
            window=attempts.WINDOW,
        )


def endpoints_of(entry: OAuth2Entry) -> dict[str, str | None]:
    """Everything that must be the same when the code comes back (mix-up defence, RFC 9700, 4.4)."""
    return {
        "issuer": entry.issuer,
        "authorize_url": entry.authorize_url,
        "token_url": entry.token_url,
        "client_id": entry.client_app().client_id,
    }


def start_page(redirect_uri: str, attempt: AttemptRow) -> str:
    """Our own page for this attempt, beside the one that providers redirect to."""
    parts = urlsplit(redirect_uri)
    return urlunsplit((parts.scheme, parts.netloc, f"/start/{attempt.id}", "", ""))
