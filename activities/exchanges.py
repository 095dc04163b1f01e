"""One claimed conversation with a token endpoint, and making its answer last.

Between the arrival of new tokens and their commit nothing may be judged, awaited or allowed to
fail that does not have to be: ``seal`` and ``commit`` are that stretch of road, for refreshing and
authorizing alike.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from temporalio import activity

from activities.holding import Holding, boottime
from activities.policies import CALL_DEADLINE, COMMIT_PATIENCE
from activities.resources import Resources
from domain.deadlines import DeadlineSource, after_authorization, after_refresh
from domain.errors import StorageFault
from domain.secret import Secret
from domain.standing import Standing, next_refresh, standing
from providers.classifier import Answer
from providers.oauth2 import OAuth2
from providers.token_answers import Tokens
from storage import credentials, provider_apps
from storage.claims import Claim, Purpose
from storage.connections import credentials_of, locked
from storage.credentials import SEALED_AS, Committed, Envelope, from_stored
from storage.tables import CredentialsRow
from storage.vault import DataKey

COMMIT_PAUSE_S = 0.25


@dataclass(frozen=True)
class Exchange:
    """A claim that is being held, the provider it is about, and the opened secret."""

    resources: Resources
    holding: Holding
    provider: OAuth2
    key: DataKey
    secret: Mapping[str, Secret] = field(repr=False)

    @classmethod
    def prepare(cls, resources: Resources, holding: Holding) -> "Exchange":
        """Open the key and the stored secret, and find the provider; nothing is sent.

        Raises:
            StorageFault: the secret was shredded, or does not open.
            NotFound: the catalogue no longer has the provider.
        """
        claim = holding.claim
        provider = resources.provider(claim.connection.provider_slug)
        if claim.data_key is None:
            raise StorageFault("the connection's secrets have been shredded")
        key = resources.vault.unwrap(claim.data_key)
        sealed = claim.credentials.sealed
        secret = {} if sealed is None else key.open(SEALED_AS, claim.generation, sealed)
        return cls(resources, holding, provider, key, secret)

    @property
    def claim(self) -> Claim:
        """The claim that is held."""
        return self.holding.claim

    async def present(self, refresh_token: Secret) -> Answer:
        """Present a refresh token once, within what is left of the deadline."""
        return await self.provider.refresh(
            refresh_token, within=self.holding.time_left, may_send=lambda: self.holding.sure
        )

    async def revoke_unkept(self, tokens: Tokens) -> None:
        """Tokens that came after the connection had ended and been shredded: do not leave them."""
        if tokens.refresh_token is not None:
            await self.provider.revoke(tokens.refresh_token, "refresh_token", within=CALL_DEADLINE)
        await self.provider.revoke(tokens.access_token, "access_token", within=CALL_DEADLINE)

    def seal(
        self,
        tokens: Tokens,
        purpose: Purpose,
        previous: Mapping[str, Secret],
        attempt_id: UUID | None = None,
        newest: int = 0,
    ) -> Envelope:
        """The tokens as the next generation.

        Args:
            previous: what was presented: an answer without a refresh token or scope keeps its.
            newest: the newest generation there ever was, where that is not the stored one.
        """
        entry, claim = self.provider.entry, self.claim
        sent_at = self.resources.clock.claimed(claim.claimed_at)
        known = {**tokens.known, DeadlineSource.CATALOGUE: entry.lifetimes.as_lifetimes()}
        if purpose is Purpose.REFRESH:
            deadlines = after_refresh(from_stored(claim.credentials.deadlines), sent_at, known)
        else:
            deadlines = after_authorization(sent_at, known)
        refresh_token = tokens.refresh_token or previous.get("refresh_token")
        scope = Secret(tokens.scope) if tokens.scope else previous.get("scope")
        generation = max(claim.generation, newest) + 1
        document = {
            "access_token": tokens.access_token.reveal(),
            "refresh_token": refresh_token.reveal() if refresh_token else None,
            "token_type": tokens.token_type,
            "scope": scope.reveal() if scope else None,
        }
        return Envelope(
            connection_id=claim.connection_id,
            purpose=purpose,
            generation=generation,
            claim=claim.number,
            data_key_id=self.key.id,
            sealed=self.key.seal(SEALED_AS, generation, document),
            token_type=tokens.token_type,
            refreshable=refresh_token is not None,
            sent_at=sent_at,
            refresh_at=next_refresh(claim.connection_id, deadlines, sent_at, entry.keep_alive)
            if refresh_token
            else None,
            deadlines=deadlines,
            attempt_id=attempt_id,
        )


async def commit_patiently(resources: Resources, envelope: Envelope) -> Committed | None:
    """Store an envelope, trying for five seconds; None if it could not be stored."""
    give_up_at = boottime() + COMMIT_PATIENCE.total_seconds()
    while (left := give_up_at - boottime()) > 0:
        try:
            async with asyncio.timeout(left):
                return await commit(resources, envelope)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not cost the token
            activity.logger.warning("tokens are not stored yet: %s", type(error).__name__)
        await asyncio.sleep(COMMIT_PAUSE_S)
    return None


async def commit(resources: Resources, envelope: Envelope) -> Committed:
    """Store an envelope, once; safe to repeat.

    Raises:
        Unreachable: the database is away; it may or may not have been stored.
    """
    async with resources.database.transaction() as session:
        at = await resources.clock.now(session)
        connection = await locked(session, envelope.connection_id)
        await provider_apps.works(session, connection.provider_slug)
        return await credentials.commit(session, connection, envelope, at)


async def current_standing(resources: Resources, connection_id: UUID) -> Standing | None:
    """How the stored credentials stand; None if there are none."""
    async with resources.database.transaction() as session:
        row = await credentials_of(session, connection_id)
        return standing_of(row, await resources.clock.now(session))


def standing_of(row: CredentialsRow, now: datetime) -> Standing | None:
    """How the credentials of this row stand; None if there are none."""
    if row.sealed is None or row.sent_at is None:
        return None
    return standing(
        row.generation,
        from_stored(row.deadlines),
        sent_at=row.sent_at,
        refresh_at=row.refresh_at,
        refreshable=row.refreshable,
        now=now,
    )
