"""Refreshing a grant so that its token cannot be lost.

A refresh token is often good for one use: the provider rotates it, and the answer holds the only
copy of the next one. So the order here is the whole point:

1. **Claim.** One conditional UPDATE makes this process the only one that may call, and leaves a
   journal row. A database that is away fails here, before anything has rotated; so does one that
   was restored from a backup: a provider would take its old token for a stolen one.
2. **Be ready.** The secret is opened; the claim's lease is renewed while the call runs. Directly
   before the first byte, a process that was frozen meanwhile holds back.
3. **Send once**, in a task that no cancellation reaches. Nothing below retries it.
4. **Seal and commit** what came back, before judging it: generation, claim and ``ended_at`` are
   compared in the transaction that stores tokens, expiry and event.
5. **Second sink.** A commit that fails for five seconds hands the sealed envelope to Temporal,
   which keeps it until ``store_credentials`` has written it.
6. **No usable answer** after bytes were sent is *ambiguous*: journalled, and the same token is
   presented again, which providers with a grace window honour. Only when the provider then
   refuses, and no late answer was kept either, has the rotation been lost, and is called so.
"""

from collections.abc import Mapping
from datetime import timedelta

from temporalio import activity

from activities.exchanges import Exchange, commit_patiently, current_standing
from activities.holding import Holding, claim_in_turn, kept, to_the_end
from activities.payloads import RefreshCredentials, Refreshed
from activities.resources import Resources
from activities.troubles import report
from domain.errors import InvalidInput, NotConfigured, NotFound, StorageFault
from domain.outcomes import Outcome
from domain.secret import Secret
from providers.classifier import Answer
from storage.claims import NotClaimed, Purpose
from storage.credentials import SEALED_AS, Committed

HELD_RETRY = timedelta(seconds=5)


class Refresh:
    """The activity, and what it works with."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @activity.defn
    async def refresh_credentials(self, request: RefreshCredentials) -> Refreshed:
        """Refresh one generation of credentials; nobody else can meanwhile.

        Raises:
            Unreachable: the database was away before anything was sent; tried again.
        """
        return await to_the_end(self._refresh(request))

    async def _refresh(self, request: RefreshCredentials) -> Refreshed:
        held = await claim_in_turn(
            self._resources.database, request.connection_id, Purpose.REFRESH, request.generation
        )
        match held:
            case NotClaimed.HELD:
                return Refreshed(outcome=Outcome.UNAVAILABLE, retry_in=HELD_RETRY)
            case NotClaimed.ENDED | NotClaimed.INACTIVE:
                ended = held is NotClaimed.ENDED
                return Refreshed(outcome=Outcome.UNAVAILABLE, ended=ended)
            case NotClaimed.MOVED:
                there = await current_standing(self._resources, request.connection_id)
                return Refreshed(outcome=Outcome.REFRESHED, standing=there)
            case Holding():
                if held.claim.generation < request.generation:
                    return await report(self._resources, held.claim, Answer(Outcome.ROLLED_BACK))
                async with kept(held, self._resources.database):
                    return await self._exchange(held)

    async def _exchange(self, holding: Holding) -> Refreshed:
        try:
            exchange = Exchange.prepare(self._resources, holding)
            answer, presented = await self._present(exchange)
        except StorageFault:
            return await report(self._resources, holding.claim, Answer(Outcome.STORAGE_FAULT))
        except (NotFound, NotConfigured, InvalidInput):
            return await report(self._resources, holding.claim, Answer(Outcome.APP_MISCONFIGURED))
        if answer.tokens is None:
            return await report(self._resources, holding.claim, answer)
        envelope = exchange.seal(answer.tokens, Purpose.REFRESH, presented)
        match await commit_patiently(self._resources, envelope):
            case None:
                return Refreshed(outcome=Outcome.REFRESHED, envelope=envelope)
            case Committed.UNREADABLE:
                await exchange.revoke_unkept(answer.tokens)
        there = await current_standing(self._resources, holding.claim.connection_id)
        return Refreshed(outcome=Outcome.REFRESHED, standing=there)

    async def _present(self, exchange: Exchange) -> tuple[Answer, Mapping[str, Secret]]:
        """The newest token we hold first: a late answer, if one was kept, then the stored one."""
        refused = Answer(Outcome.STORAGE_FAULT)
        for secret in [*_late_answers(exchange), exchange.secret]:
            if "refresh_token" in secret:
                refused = await exchange.present(secret["refresh_token"])
                if not refused.outcome.ends_grant:
                    return refused, secret
        return refused, exchange.secret


def _late_answers(exchange: Exchange) -> list[dict[str, Secret]]:
    following = exchange.claim.generation + 1
    return [
        exchange.key.open(SEALED_AS, orphan.generation, orphan.sealed)
        for orphan in exchange.claim.orphans
        if orphan.generation == following
        and orphan.purpose == Purpose.REFRESH
        and orphan.settled is None
    ]
