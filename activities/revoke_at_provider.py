"""Telling the provider that it is over: every token held is revoked, the newest first.

Takes the same claim as a refresh, so that it waits out an exchange in flight and fences older
ones: what it revokes is the newest there is. Revoking is idempotent, so it may be repeated freely.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from temporalio import activity

from activities.holding import Holding, claim_in_turn, kept, to_the_end
from activities.payloads import RevokeAtProvider, RevokedAtProvider
from activities.resources import Resources
from domain.credentials import CredentialType
from domain.errors import InvalidInput, NotConfigured, NotFound, StorageFault
from domain.outcomes import Outcome, Revocation
from domain.secret import Secret
from domain.view import TokenReceipt
from providers.classifier import Answer
from storage import claims, provider_apps
from storage.claims import Claim, JournalEntry, Purpose
from storage.credentials import SEALED_AS, SUPERSEDED
from storage.vault import WrappedKey

CALL_TIMEOUT = timedelta(seconds=8)


class _Held(NamedTuple):
    """One set of tokens, and what it is called in the receipt."""

    name: str
    generation: int
    sealed: bytes
    orphan_id: UUID | None = None


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
        return await to_the_end(self._revoke(request))

    async def _revoke(self, request: RevokeAtProvider) -> RevokedAtProvider:
        held = await claim_in_turn(
            self._resources.database, request.connection_id, Purpose.REVOCATION
        )
        if not isinstance(held, Holding):
            return RevokedAtProvider(settled=False, asked=False)
        async with kept(held, self._resources.database):
            tokens, unsettled = await self._revoke_held(held)
        async with self._resources.database.transaction() as session:
            if await claims.may_have_lost_tokens(session, request.connection_id):
                tokens.append(TokenReceipt(token="lost answer", result=Revocation.UNCERTAIN))
            if held.claim.generation < request.generation:  # as in a restored backup
                tokens.append(TokenReceipt(token="newer tokens", result=Revocation.UNCERTAIN))
            outcome = "unsettled" if unsettled else "settled"
            await claims.close(session, held.claim, JournalEntry(outcome))
        asked = [answer.retry_after for answer in unsettled if answer.retry_after is not None]
        return RevokedAtProvider(
            settled=not unsettled, tokens=tuple(tokens), retry_after=max(asked, default=None)
        )

    async def _revoke_held(self, holding: Holding) -> tuple[list[TokenReceipt], list[Answer]]:
        """A receipt per token, and the provider's answer for each that is still open."""
        claim = holding.claim
        if claim.data_key is None:
            return [], []
        if (kind := CredentialType(claim.connection.credential_type)).is_given:
            return _left_to_users(kind, claim), []
        receipts: list[TokenReceipt] = []
        unsettled: list[Answer] = []
        for held in _held(claim):
            told, left = await self._revoke_each(holding, held, claim.data_key)
            receipts += told
            unsettled += left
            if held.orphan_id is not None and not left:
                # Not again: were there many, each try would come no further than the one before.
                lines = [receipt.model_dump(mode="json") for receipt in told]
                await claims.settle(self._resources.database, held.orphan_id, lines)
        for orphan in claim.orphans:
            receipts += [TokenReceipt.model_validate(line) for line in orphan.settled or ()]
        return receipts, unsettled

    async def _revoke_each(
        self, holding: Holding, held: _Held, data_key: WrappedKey
    ) -> tuple[list[TokenReceipt], list[Answer]]:
        receipts: list[TokenReceipt] = []
        unsettled: list[Answer] = []
        try:
            key = self._resources.vault.unwrap(data_key)
            secret = key.open(SEALED_AS, held.generation, held.sealed)
        except StorageFault:
            # A key may be missing that can be put back: asked again, until our patience ends.
            unknown = TokenReceipt(token=held.name, result=Revocation.UNCERTAIN)
            return [unknown], [Answer(Outcome.STORAGE_FAULT)]
        for token in _tokens(held, secret):
            result = await self._revoke_one(holding, token)
            receipts.append(_receipt(token, result, holding.claim))
            if isinstance(result, Answer):
                unsettled.append(result)
                await self._note(holding.claim, result)
        return receipts, unsettled

    async def _revoke_one(self, holding: Holding, token: _Token) -> Revocation | Answer:
        try:
            provider = self._resources.provider(holding.claim.connection.provider_slug)
            return await provider.revoke(
                token.secret,
                token.hint,
                within=min(CALL_TIMEOUT, holding.time_left),
                may_send=lambda: holding.sure,
            )
        except (NotFound, NotConfigured, InvalidInput):
            return Answer(Outcome.APP_MISCONFIGURED)

    async def _note(self, claim: Claim, answer: Answer) -> None:
        if answer.outcome is Outcome.APP_MISCONFIGURED:
            async with self._resources.database.transaction() as session:
                at = await self._resources.clock.now(session)
                slug = claim.connection.provider_slug
                await provider_apps.misconfigured(session, slug, answer.code, at)


def _left_to_users(kind: CredentialType, claim: Claim) -> list[TokenReceipt]:
    """Only its user can end it, where it was made; a file was never shown to anyone."""
    if kind is CredentialType.FILE_IMPORT or claim.credentials.sealed is None:
        return []
    dies_at = claim.credentials.expires_at
    return [TokenReceipt(token=kind.value, result=Revocation.UNSUPPORTED, dies_at=dies_at)]


def _held(claim: Claim) -> list[_Held]:
    """All that is still to be revoked: what is in use, what came late, what was replaced."""
    current = claim.credentials.sealed
    held = [] if current is None else [_Held("tokens", claim.generation, current)]
    for late in claim.orphans:
        if late.settled is None:
            name = "replaced" if late.purpose == SUPERSEDED else "orphaned"
            held.append(_Held(name, late.generation, late.sealed, late.id))
    return held


def _tokens(held: _Held, secret: Mapping[str, Secret]) -> list[_Token]:
    prefix = "" if held.orphan_id is None else f"{held.name} "
    return [
        _Token(f"{prefix}{hint}", hint, secret[hint])
        for hint in ("refresh_token", "access_token")
        if hint in secret
    ]


def _receipt(token: _Token, result: Revocation | Answer, claim: Claim) -> TokenReceipt:
    if isinstance(result, Answer):
        result = Revocation.GAVE_UP
    alive = result is not Revocation.REVOKED and token.hint == "access_token"
    dies_at = claim.credentials.expires_at if alive else None
    return TokenReceipt(token=token.name, result=result, dies_at=dies_at)
