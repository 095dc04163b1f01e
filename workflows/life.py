"""The state of a connection's life between two events: what is carried when it continues as new.

Plain data and pure functions of the clock handed in; everything that waits or acts is in
``workflows.connection`` and the pages beside it.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from activities.payloads import Adopted, Authenticated, Refreshed, RevokedAtProvider, Synced
from domain.credentials import CredentialType
from domain.outcomes import Outcome
from domain.patience import REVOCATION_PATIENCE, given_up_at
from domain.schedule import refresh_floor, retry_delay
from domain.standing import Standing
from domain.status import FAILS_PENDING, ConnectionStatus, StatusReason
from domain.syncs import SyncOutcome
from domain.view import ConnectionView, Receipt, Revoking, TokenReceipt, Trouble

WARN_DAYS: Final = (14, 7, 3, 1)
"""So many days before a known end its coming is announced."""
DAY: Final = timedelta(days=1)
SAME_END: Final = timedelta(hours=1)
"""Two ends of a grant that are no further apart are one, told by two clocks."""
UNAVAILABLE_AS_IF: Final = 6
"""Reading that was cut short goes on after as long as a sixth failure in a row: half a minute."""


class Revocation(BaseModel):
    """A revocation at the provider that is under way."""

    since: datetime
    next_at: datetime
    tries: int = 0
    last_try: bool = False


class Life(BaseModel):
    """One connection's life, as its workflow knows it.

    ``refresh_at``, ``ends_at`` and the like are instants of the workflow's clock.
    """

    model_config = ConfigDict(extra="ignore")

    view: ConnectionView
    standing: Standing | None = None
    refreshed_at: datetime | None = None
    refresh_at: datetime | None = None
    ends_at: datetime | None = None
    give_up_at: datetime | None = None
    """End of the authorization window, or of the retention."""
    warned_days: int | None = None
    """The last of ``WARN_DAYS`` before this end of the grant that has been announced or is past."""
    reads_data: bool = False
    sync_at: datetime | None = None
    sync_asked: bool = False
    """Somebody wants it now, also if it is being read: then once more."""
    sync_needs: int = 0
    """The least generation of credentials to read with: an older one was refused."""
    holds_secrets: bool = False
    revocation: Revocation | None = None
    ending: StatusReason | None = None
    receipt: tuple[TokenReceipt, ...] = ()

    @classmethod
    def begin(cls, adopted: Adopted, now: datetime) -> "Life":
        """The life of a connection as it was found in the database."""
        assert adopted.view is not None  # refused otherwise
        life = cls(
            view=adopted.view, holds_secrets=adopted.holds_secrets, reads_data=adopted.reads_data
        )
        if adopted.standing is not None:
            life.stand(adopted.standing, now)
        life.settle_in(now - adopted.age)
        if adopted.view.ending:
            life.ending = StatusReason.USER_DISCONNECTED
        unwanted = life.status in {_S.REVOKED, _S.FAILED}
        if life.holds_secrets and (adopted.view.ending or unwanted):
            life.begin_revocation(now)
        return life

    @property
    def status(self) -> ConnectionStatus:
        """Where the connection is."""
        return self.view.status

    def next_deadline(self, *, may_read: bool) -> datetime | None:
        """The earliest instant at which something is due; ``may_read``: reading may begin then."""
        due = [self.revocation.next_at if self.revocation else None]
        if self.ending is None:
            if self.status is _S.ACTIVE:
                due += [self.refresh_at, self.ends_at, self.warn_at]
                if may_read and self.view.generation >= self.sync_needs:
                    due.append(self.sync_at)
            else:
                due.append(self.give_up_at)
        return min((at for at in due if at is not None), default=None)

    def is_due(self, now: datetime) -> bool:
        """Whether a refresh is to be made now."""
        return self.refresh_at is not None and self.refresh_at <= now

    def settle_in(self, since: datetime) -> None:
        """A status has begun: set the clock that runs in it."""
        self.give_up_at = given_up_at(self.status, since, self.view.connected_at)
        if self.status is _S.ACTIVE:
            self.sync_at = since if self.reads_data else None

    def after_refresh(self, result: Refreshed, now: datetime) -> "Change | None":
        """What a refresh comes to: new clocks, trouble that passes, or the end of the grant."""
        if result.standing is not None and result.standing.generation < self.view.generation:
            # The other copy of what we know was restored from a backup.
            self.struggle(Refreshed(outcome=Outcome.ROLLED_BACK), now)
        elif result.standing is not None:
            self.stand(result.standing, now)
            self.refreshed_at = now
        elif self.status is not _S.ACTIVE or result.ended:
            return None
        elif result.outcome is Outcome.ACCESS_REVOKED:
            self.begin_revocation(now)
            return Change(_S.REVOKED, StatusReason.PROVIDER_REVOKED)
        elif result.outcome is Outcome.GRANT_DEAD or result.reason is not None:
            return Change(_S.EXPIRED, result.reason or StatusReason.GRANT_EXPIRED)
        else:
            self.struggle(result, now)
        return None

    def after_exchange(
        self, result: Authenticated, now: datetime, *, stopped: bool
    ) -> tuple["Change | None", StatusReason | None]:
        """What an authorization comes to, and why it came to nothing, if it did.

        ``stopped``: the user revoked or disconnected meanwhile. Its tokens are revoked like all
        others, and make nothing ACTIVE.
        """
        if result.standing is not None and self.is_newer(result.standing):
            self.stand(result.standing, now)
        unusable = result.revocable and self.status is not _S.ACTIVE
        if stopped or unusable:
            self.holds_secrets = True
            self.begin_revocation(now)
        reason = result.reason or (StatusReason.USER_REVOKED if stopped else None)
        if reason is None:
            if self.view.credential_type is CredentialType.FILE_IMPORT:
                self.sync_asked = True  # there is something new to read
            return Change(_S.ACTIVE, StatusReason.AUTHORIZED), None
        self.attempt_failed(reason)
        failed = self.status is _S.PENDING and reason in FAILS_PENDING
        return Change(_S.FAILED, reason) if failed else None, reason

    def is_newer(self, standing: Standing | None) -> bool:
        """Whether these credentials are others than the connection is known to have."""
        return standing is not None and standing.generation > self.view.generation

    def stand(self, standing: Standing, now: datetime) -> None:
        """New credentials are stored: set the clocks that run with them."""
        self.standing = standing
        self.holds_secrets = True
        self.refresh_at = None if standing.refresh_in is None else now + standing.refresh_in
        self._end_at(None if standing.ends_in is None else now + standing.ends_in, now)
        self.show(
            generation=standing.generation,
            expires_at=standing.expires_at,
            refresh_at=self.refresh_at,
            reauthorize_by=standing.reauthorize_by,
            trouble=None,
        )

    def _end_at(self, ends_at: datetime | None, now: datetime) -> None:
        before, self.ends_at = self.ends_at, ends_at
        if ends_at is None:
            self.warned_days = None
        elif before is None or abs(ends_at - before) > SAME_END:
            past = [days for days in WARN_DAYS if ends_at - timedelta(days=days) <= now]
            self.warned_days = min(past, default=None)

    @property
    def warn_at(self) -> datetime | None:
        """When the coming end of the grant is to be announced next; None: not (any more).

        An end that every refresh moves is nobody's business while refreshing works.
        """
        moves = self.ends_because is StatusReason.REFRESH_TOKEN_EXPIRED
        if self.ends_at is None or (moves and self.view.trouble is None):
            return None
        left = [self.ends_at - days * DAY for days in self._unwarned()]
        return min(left, default=None)

    def begin_warning(self, now: datetime) -> int:
        """How many days before the end this is; those before need not be told any more."""
        assert self.ends_at is not None
        ends_at = self.ends_at
        self.warned_days = min(days for days in self._unwarned() if ends_at - days * DAY <= now)
        return self.warned_days

    def _unwarned(self) -> list[int]:
        warned = self.warned_days
        return [days for days in WARN_DAYS if warned is None or days < warned]

    def is_sync_due(self, now: datetime) -> bool:
        """Whether data is to be read now."""
        wanted = self.sync_asked or (self.sync_at is not None and self.sync_at <= now)
        live = self.status is _S.ACTIVE and self.ending is None
        return wanted and live and self.view.generation >= self.sync_needs

    def after_sync(self, result: Synced, now: datetime) -> None:
        """What reading data comes to: when it is read again, and with which token."""
        if result.sync is not None:
            self.show(sync=result.sync)
        if result.outcome is SyncOutcome.STOPPED:
            # By an end, or by a new beginning that has set its own time; if not, not at once again.
            if self.sync_at is not None and self.sync_at <= now:
                self.sync_at = now + retry_delay(self.view.connection_id, UNAVAILABLE_AS_IF)
            return
        self.sync_at = now + (result.next_in or DAY)  # in a day an entry may read again
        if result.outcome is SyncOutcome.UNAVAILABLE:
            self.sync_at = now + retry_delay(self.view.connection_id, UNAVAILABLE_AS_IF)
        # Once: a token that is refused again is not to blame, and newer ones would be refused, too.
        again = result.sync is not None and result.sync.failures > 1
        if result.outcome is SyncOutcome.UNAUTHORIZED and self.refresh_at is not None and not again:
            if self.view.credential_type is CredentialType.OAUTH2:
                self.sync_needs = result.generation + 1
            self.hurry(now, force=False)

    def struggle(self, refreshed: Refreshed, now: datetime) -> None:
        """A refresh failed for a passing reason: note it, and when to try again."""
        before = self.view.trouble
        failures = refreshed.failures or (before.failures if before else 0) + 1
        retry_in = refreshed.retry_in
        if retry_in is None:
            retry_in = retry_delay(self.view.connection_id, failures)
        self.refresh_at = now + retry_in
        trouble = Trouble(
            since=before.since if before else now,
            cause=refreshed.outcome,
            failures=failures,
            retry_at=self.refresh_at,
        )
        self.show(trouble=trouble, refresh_at=self.refresh_at)

    def hurry(self, now: datetime, *, force: bool) -> None:
        """Somebody wants a new token now: as soon as backoff and floor allow.

        ``force`` is for operators, who may know that a provider has been mended: it waits for
        neither. Without a refresh token there is nothing to hasten.
        """
        if self.refresh_at is None:
            return
        if force:
            self.refresh_at = now
        elif self.view.trouble is None:
            lifetime = self.standing.lifetime if self.standing else None
            earliest = self.refreshed_at + refresh_floor(lifetime) if self.refreshed_at else now
            self.refresh_at = min(self.refresh_at, max(now, earliest))

    def begin_revocation(self, now: datetime) -> None:
        """Have the provider told, from now on until it confirms or our patience ends."""
        if self.revocation is None:
            self.revocation = Revocation(since=now, next_at=now)
            self.show(revoking=Revoking(since=now, until=now + REVOCATION_PATIENCE))

    def postpone_revocation(self, result: RevokedAtProvider, now: datetime) -> bool:
        """The provider has not confirmed yet: when to ask again. False if patience has ended."""
        under_way = self.revocation
        if under_way is None:
            return False
        if not result.asked:
            # Our own trouble: no try, and no reason to give up.
            under_way.next_at = now + retry_delay(self.view.connection_id, UNAVAILABLE_AS_IF)
            return True
        if under_way.last_try:
            return False
        if now - under_way.since >= REVOCATION_PATIENCE:
            return False
        under_way.tries += 1
        delay = retry_delay(self.view.connection_id, under_way.tries, result.retry_after)
        under_way.next_at = now + delay
        until = under_way.since + REVOCATION_PATIENCE
        self.show(revoking=Revoking(since=under_way.since, until=until, tries=under_way.tries))
        return True

    def revocation_is_over(self) -> None:
        """The provider has confirmed it, or is not asked any more."""
        self.revocation = None
        self.show(revoking=None)

    def forget_secrets(self, receipt: Receipt | None) -> None:
        """Everything sealed has been destroyed."""
        self.holds_secrets = False
        self.revocation_is_over()
        self.standing = None
        self.refresh_at = self.ends_at = self.sync_at = None
        self.show(expires_at=None, refresh_at=None, trouble=None, receipt=receipt)

    @property
    def ends_because(self) -> StatusReason:
        """Why the grant ends at ``ends_at``."""
        known = self.standing.ends_because if self.standing else None
        return known or StatusReason.GRANT_EXPIRED

    def attempt_failed(self, reason: StatusReason) -> None:
        """The authorization attempt came to nothing; the connection is as it was."""
        shown = self.view.attempt
        if shown is not None:
            failed = shown.model_copy(update={"status": "failed", "reason": reason})
            self.show(attempt=failed)

    def show(self, **changes: object) -> None:
        """Change what anyone may see."""
        self.view = self.view.model_copy(update=changes)


class Change(NamedTuple):
    """A change of status that is to be made, and stored."""

    status: ConnectionStatus
    reason: StatusReason


_S = ConnectionStatus
