"""Telling the provider that it is over: every token held is revoked, the newest first.

Takes the same claim as a refresh, so that it waits out an exchange in flight and fences older
ones: what it revokes is the newest there is. Revoking is idempotent, so it may be repeated freely.
"""

from datetime import timedelta
from typing import NamedTuple

from temporalio import activity

from activities.exchanges import Exchange
from activities.holding import Holding, claim_in_turn, heartbeats, kept, to_the_end
from activities.payloads import RevokeAtProvider, RevokedAtProvider
from activities.resources import Resources
from domain.credentials import CredentialType
from domain.errors import NotConfigured, NotFound, StorageFault
from domain.outcomes import Outcome, Revocation
from domain.secret import Secret
from domain.view import TokenReceipt
from providers.classifier import Answer
from storage import claims, credentials, provider_apps
from storage.claims import Claim, JournalEntry, Purpose
from storage.credentials import SEALED_AS

CALL_TIMEOUT = timedelta(seconds=8)


class _Token(NamedTuple):
    name: str
    hint: str
    secret: Secret


class RevocationAtProvider:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def revoke_at_provider(self, request: RevokeAtProvider) -> RevokedAtProvider:
        """Revoke what is held, once; whoever asked decides when to ask again.

        Raises:
            Unreachable: the database was away; tried again.
        """
        async with heartbeats():
            return await to_the_end(self._revoke(request))

    async def _revoke(self, request: RevokeAtProvider) -> RevokedAtProvider:
        held = await claim_in_turn(
            self._resources.database, request.connection_id, Purpose.REVOCATION
        )
        if not isinstance(held, Holding):
            return RevokedAtProvider(settled=False)
        async with kept(held, self._resources.database):
            tokens, unsettled = await self._revoke_held(held)
        async with self._resources.database.transaction() as session:
            if await claims.may_have_lost_answer(session, held.claim):
                tokens.append(TokenReceipt(token="lost answer", result=Revocation.UNCERTAIN))
            outcome = "unsettled" if unsettled else "settled"
            await claims.close(session, held.claim, JournalEntry(outcome))
        asked = [answer.retry_after for answer in unsettled if answer.retry_after is not None]
        return RevokedAtProvider(
            settled=not unsettled, tokens=tuple(tokens), retry_after=max(asked, default=None)
        )

    async def _revoke_held(self, holding: Holding) -> tuple[list[TokenReceipt], list[Answer]]:
        """A receipt per token, and the provider's answer for each that is still open."""
        receipts: list[TokenReceipt] = []
        unsettled: list[Answer] = []
        if holding.claim.data_key is None:
            return receipts, unsettled
        if holding.claim.connection.credential_type == CredentialType.API_KEY:
            # Only its user can end it, where it was made.
            return [TokenReceipt(token="api_key", result=Revocation.UNSUPPORTED)], unsettled
        try:
            exchange = Exchange.prepare(self._resources, holding)
            for token in await self._held(exchange):
                result = await exchange.provider.revoke(
                    token.secret, token.hint, within=min(CALL_TIMEOUT, holding.time_left)
                )
                receipts.append(_receipt(token, result, holding.claim))
                if isinstance(result, Answer):
                    unsettled.append(result)
                    await self._note(holding.claim, result)
        except (StorageFault, NotFound, NotConfigured):
            # What we hold cannot be opened or sent: it dies by itself, and the receipt says so.
            receipts.append(TokenReceipt(token="refresh_token", result=Revocation.UNCERTAIN))
        return receipts, unsettled

    async def _held(self, exchange: Exchange) -> list[_Token]:
        async with self._resources.database.transaction() as session:
            orphans = await credentials.orphans(session, exchange.claim.connection_id)
        late = [exchange.key.open(SEALED_AS, o.generation, o.sealed) for o in orphans]
        return [
            _Token(f"orphaned {hint}" if number else hint, hint, secret[hint])
            for number, secret in enumerate([exchange.secret, *late])
            for hint in ("refresh_token", "access_token")
            if hint in secret
        ]

    async def _note(self, claim: Claim, answer: Answer) -> None:
        if answer.outcome is Outcome.APP_MISCONFIGURED:
            async with self._resources.database.transaction() as session:
                at = await self._resources.clock.now(session)
                slug = claim.connection.provider_slug
                await provider_apps.misconfigured(session, slug, answer.code, at)


def _receipt(token: _Token, result: Revocation | Answer, claim: Claim) -> TokenReceipt:
    if isinstance(result, Answer):
        result = Revocation.GAVE_UP
    alive = result is not Revocation.REVOKED and token.hint == "access_token"
    dies_at = claim.credentials.expires_at if alive else None
    return TokenReceipt(token=token.name, result=result, dies_at=dies_at)
