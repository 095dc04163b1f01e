"""Writing down what came of a call that brought no tokens, and what follows from it.

A refusal by the provider ends the grant, and says why as exactly as the journal allows. Everything
else is trouble that passes: the connection stays ACTIVE and is shown as degraded.
"""

from datetime import timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.payloads import Refreshed
from activities.resources import Resources
from domain.events import ConnectionDegraded, ProviderTokenRefreshFailed
from domain.outcomes import Outcome
from domain.schedule import retry_delay
from domain.status import StatusReason
from providers.classifier import Answer
from storage import claims, events, provider_apps
from storage.claims import Claim, JournalEntry
from storage.connections import locked, subject
from storage.tables import ConnectionRow


async def report(resources: Resources, claim: Claim, answer: Answer) -> Refreshed:
    """Close a refresh that brought no tokens: journal, claim, event and consequence in one.

    Raises:
        Unreachable: the database is away; the claim lapses without an outcome, which counts as
            ambiguous.
    """
    async with resources.database.transaction() as session:
        connection = await locked(session, claim.connection_id)
        at = await resources.clock.now(session)
        lost_answer = await claims.may_have_lost_answer(session, claim)
        entry = JournalEntry(answer.outcome, answer.may_have_acted, answer.status, answer.code)
        if not await claims.close(session, claim, entry):
            # A successor has taken over; what it finds out counts, not this.
            return Refreshed(outcome=Outcome.UNAVAILABLE, retry_in=timedelta(0))
        if answer.outcome is Outcome.APP_MISCONFIGURED:
            await provider_apps.misconfigured(session, connection.provider_slug, answer.code, at)
        if answer.outcome.ends_grant:
            reason = _why_dead(answer.outcome, lost_answer)
            failed = ProviderTokenRefreshFailed(
                **subject(connection, at), reason=reason, needs_user_action=True
            )
            await events.append(session, connection, failed, f"claim-{claim.number}")
            return Refreshed(outcome=answer.outcome, reason=reason)
        retry_in = _retry_in(connection, answer, lost_answer=lost_answer)
        connection.failures += 1
        connection.retry_at = at + retry_in
        failed = ProviderTokenRefreshFailed(**subject(connection, at), reason=answer.outcome)
        await events.append(session, connection, failed, f"claim-{claim.number}")
        await _degrade(session, connection, answer.outcome, claim, failed)
        return Refreshed(outcome=answer.outcome, retry_in=retry_in, failures=connection.failures)


async def _degrade(
    session: AsyncSession,
    connection: ConnectionRow,
    outcome: Outcome,
    claim: Claim,
    failed: ProviderTokenRefreshFailed,
) -> None:
    if connection.degraded_since is None:
        connection.degraded_since = failed.occurred_at
        degraded = ConnectionDegraded(**subject(connection, failed.occurred_at), reason=outcome)
        await events.append(session, connection, degraded, f"claim-{claim.number}")
    connection.degraded_cause = outcome


def _why_dead(outcome: Outcome, lost_answer: bool) -> StatusReason:
    if outcome is Outcome.ACCESS_REVOKED:
        return StatusReason.PROVIDER_REVOKED
    return StatusReason.LOST_ROTATION if lost_answer else StatusReason.GRANT_EXPIRED


def _retry_in(connection: ConnectionRow, answer: Answer, *, lost_answer: bool) -> timedelta:
    if answer.outcome is Outcome.AMBIGUOUS and not lost_answer:
        return timedelta(0)  # grace windows are short: the first time at once
    return retry_delay(connection.id, connection.failures + 1, answer.retry_after)
