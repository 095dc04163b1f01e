"""Exchanging an authorization code: at most once, the opposite of refreshing.

A strict provider takes a replayed code for theft and revokes what the first exchange issued. So
the attempt is moved to ``exchanging`` before the request, and whoever finds it there later, after
a crash, fails it: the user tries again. Only what provably was never sent is sent again.
"""

import asyncio
from dataclasses import replace
from uuid import UUID

from temporalio import activity

from activities.begin_authorization import endpoints_of
from activities.exchanges import Exchange, commit_patiently, current_standing
from activities.holding import Holding, claim_in_turn, kept, to_the_end
from activities.payloads import Authenticate, Authenticated
from activities.resources import Resources
from domain.errors import (
    Conflict,
    InvalidInput,
    NotConfigured,
    NotFound,
    ProviderConnectionError,
    StorageFault,
    Unreachable,
)
from domain.outcomes import Outcome
from domain.secret import Secret
from domain.status import StatusReason
from providers.classifier import Answer
from providers.token_answers import Tokens, is_bearer
from storage import attempts, claims, provider_apps
from storage.attempts import AttemptSecrets, AttemptStatus
from storage.claims import JournalEntry, NotClaimed, Purpose
from storage.credentials import Committed, Envelope, reason_lost
from storage.tables import AttemptRow

UNSENT = JournalEntry("unsent")
"""A claim under which nothing was sent."""
UNSENT_TRIES = 5
UNSENT_PAUSE_S = 1.0
WHY_FAILED = {
    Outcome.GRANT_DEAD: StatusReason.AUTHORIZATION_REFUSED,
    Outcome.ACCESS_REVOKED: StatusReason.AUTHORIZATION_REFUSED,
    Outcome.APP_MISCONFIGURED: StatusReason.APP_MISCONFIGURED,
    Outcome.AMBIGUOUS: StatusReason.EXCHANGE_INTERRUPTED,
}
"""Outcome of an exchange -> why the attempt failed; every other is an answer we cannot use."""


class Authentication:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def authenticate(self, request: Authenticate) -> Authenticated:
        """Exchange the code that an attempt has received, and store the tokens.

        Raises:
            NotFound: unknown attempt.
            Conflict: the provider has not answered it yet.
            Unreachable: the database was away before anything was sent; tried again.
        """
        return await to_the_end(self._authenticate(request))

    async def _authenticate(self, request: Authenticate) -> Authenticated:
        row = await self._attempt(request)
        if (known := await self._outcome(row)) is not None:
            return known
        held = await claim_in_turn(
            self._resources.database, request.connection_id, Purpose.AUTHORIZATION
        )
        if held is NotClaimed.HELD:
            raise Unreachable("the credentials are in use; tried again")
        if not isinstance(held, Holding):
            raise Conflict(ProviderConnectionError.CONNECTION_DISCONNECTED)
        async with kept(held, self._resources.database):
            try:
                return await self._exchange(held, row, request.generation)
            except (NotFound, NotConfigured, InvalidInput, StorageFault, Conflict):
                await self._close_claim(held, UNSENT)
                raise

    async def _outcome(self, row: AttemptRow) -> Authenticated | None:
        """What came of an attempt; None: its code waits to be exchanged."""
        match row.status:
            case AttemptStatus.SUCCEEDED:
                there = await current_standing(self._resources, row.connection_id)
                if there is None or there.generation != row.generation:
                    raise Conflict("this authorization has been used before; begin anew")
                return Authenticated(standing=there)
            case AttemptStatus.FAILED:
                return Authenticated(
                    reason=StatusReason(row.reason or StatusReason.UNUSABLE_ANSWER),
                    revocable=await self._keeps_orphans(row.connection_id),
                )
            case AttemptStatus.EXCHANGING:
                # Its tokens, if it still brings any, are kept as orphans and have to be revoked.
                failed = await self._fail(row, StatusReason.EXCHANGE_INTERRUPTED)
                return failed.model_copy(update={"revocable": True})
            case AttemptStatus.PENDING:
                raise Conflict("the provider has not answered this authorization yet")
        return None

    async def _exchange(self, holding: Holding, row: AttemptRow, newest: int) -> Authenticated:
        if holding.claim.data_key is None:
            raise Conflict(attempts.SHREDDED)
        exchange = Exchange.prepare(self._resources, holding)
        if row.endpoints != endpoints_of(exchange.provider.entry):
            # The entry was edited meanwhile: the code is not for these endpoints.
            return await self._close(holding, row, Answer(Outcome.APP_MISCONFIGURED))
        secrets = await self._start(holding, row)
        if secrets is None:
            await self._close_claim(holding, UNSENT)
            return await self._found_over(row)
        if secrets.code is None:
            await self._close_claim(holding, UNSENT)
            return await self._fail(row, StatusReason.AUTHORIZATION_TIMEOUT)
        answer = await self._send(exchange, row, secrets, secrets.code)
        if answer.tokens is None:
            return await self._close(holding, row, answer)
        envelope = exchange.seal(answer.tokens, Purpose.AUTHORIZATION, {}, row.id, newest)
        return await self._keep(exchange, row, answer.tokens, envelope)

    async def _keep(
        self, exchange: Exchange, row: AttemptRow, tokens: Tokens, envelope: Envelope
    ) -> Authenticated:
        if not is_bearer(tokens.token_type):
            # Nobody could use them, and they must not replace what can be used.
            envelope = envelope.model_copy(update={"usable": False})
        match await commit_patiently(self._resources, envelope):
            case None:
                return Authenticated(envelope=envelope)
            case Committed.UNREADABLE:
                await exchange.revoke_unkept(tokens)
                return await self._fail(row, StatusReason.EXCHANGE_INTERRUPTED)
            case Committed.ORPHANED:
                failed = await self._fail(row, reason_lost(envelope))
                return failed.model_copy(update={"revocable": True})
        there = await current_standing(self._resources, row.connection_id)
        return Authenticated(standing=there)

    async def _send(
        self, exchange: Exchange, row: AttemptRow, secrets: AttemptSecrets, code: Secret
    ) -> Answer:
        for _ in range(UNSENT_TRIES):
            answer = await exchange.provider.exchange_code(
                code=code,
                verifier=secrets.verifier,
                redirect_uri=row.redirect_uri,
                within=exchange.holding.time_left,
                may_send=lambda: exchange.holding.sure,
            )
            if answer.status is not None or answer.may_have_acted:
                return answer
            await asyncio.sleep(UNSENT_PAUSE_S)
        return answer

    async def _keeps_orphans(self, connection_id: UUID) -> bool:
        """Whether tokens of an authorization that failed are kept, and have to be revoked."""
        async with self._resources.database.transaction() as session:
            late = await claims.orphans(session, connection_id)
        return any(each.purpose == Purpose.AUTHORIZATION and each.settled is None for each in late)

    async def _attempt(self, request: Authenticate) -> AttemptRow:
        async with self._resources.database.transaction() as session:
            row = await attempts.get(session, request.attempt_id)
            if row.connection_id != request.connection_id:
                raise NotFound(f"no authorization attempt {request.attempt_id}")
            return row

    async def _found_over(self, row: AttemptRow) -> Authenticated:
        """It came to its end, or its code was destroyed, while we waited for our turn."""
        async with self._resources.database.transaction() as session:
            current = await attempts.get(session, row.id)
        known = await self._outcome(current)
        assert known is not None  # nothing is parked for a second time
        return known

    async def _start(self, holding: Holding, row: AttemptRow) -> AttemptSecrets | None:
        """Move the attempt to ``exchanging``; None: somebody else was quicker.

        There is no code among the secrets if it is too old.
        """
        async with self._resources.database.transaction() as session:
            current = await attempts.get(session, row.id, lock=True)
            if current.status != AttemptStatus.PARKED:
                return None  # and its secrets are gone
            at = await self._resources.clock.now(session)
            secrets = await attempts.secrets_of(session, self._resources.vault, current)
            in_time = attempts.start_exchange(current, at)
            await claims.may_send(session, holding.claim)
            return secrets if in_time else replace(secrets, code=None)

    async def _close_claim(self, holding: Holding, entry: JournalEntry) -> None:
        async with self._resources.database.transaction() as session:
            await claims.close(session, holding.claim, entry)

    async def _close(self, holding: Holding, row: AttemptRow, answer: Answer) -> Authenticated:
        entry = JournalEntry(answer.outcome, answer.may_have_acted, answer.status, answer.code)
        async with self._resources.database.transaction() as session:
            await claims.close(session, holding.claim, entry)
            if answer.outcome is Outcome.APP_MISCONFIGURED:
                at = await self._resources.clock.now(session)
                slug = holding.claim.connection.provider_slug
                await provider_apps.misconfigured(session, slug, answer.code, at)
        reason = WHY_FAILED.get(answer.outcome, StatusReason.UNUSABLE_ANSWER)
        return await self._fail(row, reason)

    async def _fail(self, row: AttemptRow, reason: StatusReason) -> Authenticated:
        async with self._resources.database.transaction() as session:
            current = await attempts.get(session, row.id, lock=True)
            at = await self._resources.clock.now(session)
            if current.finished_at is None:
                attempts.finish(current, AttemptStatus.FAILED, reason, at)
        return Authenticated(reason=reason)
