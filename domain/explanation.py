"""A connection in plain words: how it is, since when, why, what comes next, and who must act.

One pure function of the view; the command line, the workflow's query and the Temporal web UI all
show what it says.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from domain.credentials import CredentialType
from domain.outcomes import Outcome, Revocation
from domain.patience import given_up_at
from domain.status import ConnectionStatus, StatusReason
from domain.view import ConnectionView, Receipt, TokenReceipt, Trouble
from domain.words import (
    GIVEN,
    READING,
    WHO,
    WHO_MENDS,
    WHO_MENDS_READING,
    WHY,
    Actor,
    cause,
    instant,
    one,
    why,
)


class Explanation(BaseModel):
    """Answers to the questions people ask of a connection."""

    model_config = ConfigDict(frozen=True)

    status: ConnectionStatus
    since: datetime
    why: str
    tried: tuple[str, ...]
    next: str
    next_at: datetime | None
    who_must_act: Actor

    @property
    def text(self) -> str:
        """All of it as a few lines."""
        lines = [
            f"{self.status.value.upper()} since {instant(self.since)}: {self.why}",
            *self.tried,
            f"Next: {self.next}",
            WHO[self.who_must_act],
        ]
        return "\n".join(lines)


def explain(view: ConnectionView, now: datetime) -> Explanation:
    """What there is to say about a connection ``now``."""
    following, at, who = _next(view, now)
    return Explanation(
        status=view.status,
        since=view.since,
        why=_why(view),
        tried=(*_tried(view), *_receipt(view.receipt)),
        next=following,
        next_at=at,
        who_must_act=who,
    )


def _why(view: ConnectionView) -> str:
    if view.ending:
        return "its end has been asked for."
    if view.reason is StatusReason.AUTHORIZATION_STARTED and view.attempt is None:
        if view.credential_type.is_given:
            return f"its user is to bring {one(view.credential_type)}."
        return "it has been created, and no authorization was begun yet."
    return why(view.reason, view.credential_type)


def _next(view: ConnectionView, now: datetime) -> tuple[str, datetime | None, Actor]:
    if view.ending:
        at_last = f" (at the latest {instant(view.revoking.until)})" if view.revoking else ""
        following = f"tokens are revoked at the provider, then all secrets are destroyed{at_last}."
        return following, view.revoking.until if view.revoking else None, Actor.NOBODY
    match view.status:
        case ConnectionStatus.PENDING:
            return _next_pending(view)
        case ConnectionStatus.ACTIVE if view.trouble is not None:
            return _next_degraded(view, view.trouble, now)
        case ConnectionStatus.ACTIVE:
            return _next_active(view)
        case ConnectionStatus.DISCONNECTED:
            return "nothing; this connection is over. A new one can be made.", None, Actor.NOBODY
        case _:
            until = given_up_at(view.status, view.since, view.connected_at)
            over = f" If not, it is disconnected {instant(until)}." if until else ""
            given = view.credential_type.is_given
            does = f"brings {one(view.credential_type)}" if given else "authorizes"
            following = f"the user {does} again; the connection keeps its id.{over}"
            return following, until, Actor.USER


def _next_pending(view: ConnectionView) -> tuple[str, datetime | None, Actor]:
    if view.attempt is None:
        until = given_up_at(view.status, view.since, view.connected_at)
        over = f"; if that takes until {instant(until)}, it fails" if until else ""
        if view.credential_type.is_given:
            return f"the user brings {one(view.credential_type)}{over}.", until, Actor.USER
        return f"an authorization is begun and the user sent to it{over}.", until, Actor.OPERATOR
    until = view.attempt.expires_at
    if view.attempt.reason is StatusReason.APP_MISCONFIGURED:
        told = WHY[view.attempt.reason]
        mended = "When that is mended, the user may try again."
        return f"the last attempt failed: {told} {mended}", until, Actor.OPERATOR
    if view.attempt.reason is not None:
        told = WHY[view.attempt.reason]
        return f"the last attempt failed: {told} The user may try again.", until, Actor.USER
    if view.attempt.status != "pending":
        return "the user has authorized; the code is being exchanged.", until, Actor.NOBODY
    return f"the user authorizes at the provider until {instant(until)}.", until, Actor.USER


def _next_active(view: ConnectionView) -> tuple[str, datetime | None, Actor]:
    if view.credential_type is CredentialType.FILE_IMPORT:
        return "the file stays as it is until the user brings another.", None, Actor.NOBODY
    token = f"access token {view.generation}"
    ends = (
        f"{token} ends {instant(view.expires_at)}"
        if view.expires_at
        else f"{token} has no known end"
    )
    if view.refresh_at is None:
        who = Actor.USER if view.expires_at else Actor.NOBODY
        return (
            f"{ends} and cannot be refreshed; then the user must authorize again.",
            view.expires_at,
            who,
        )
    plan = f"{ends}; it is refreshed {instant(view.refresh_at)}."
    does = "authorize again"
    if view.credential_type.is_given:
        plan = f"the {GIVEN[view.credential_type]} is verified {instant(view.refresh_at)}."
        does = f"bring another {GIVEN[view.credential_type]}"
    who = _who_mends_reading(view)
    if view.reauthorize_by is None:
        return plan, view.refresh_at, who
    by = f"The user must {does} by {instant(view.reauthorize_by)}."
    if view.reauthorize_by <= view.refresh_at:
        return f"{plan} {by}", view.reauthorize_by, Actor.USER
    return f"{plan} {by}", view.refresh_at, who


def _who_mends_reading(view: ConnectionView) -> Actor:
    """Whose turn it is where the token is fine and the data cannot be read."""
    if view.sync is None or view.sync.failing_since is None:
        return Actor.NOBODY
    return WHO_MENDS_READING.get(view.sync.outcome, Actor.NOBODY)


def _next_degraded(
    view: ConnectionView, trouble: Trouble, now: datetime
) -> tuple[str, datetime | None, Actor]:
    when = f"at {instant(trouble.retry_at)}" if trouble.retry_at else "soon"
    who = WHO_MENDS.get(trouble.cause, Actor.PROVIDER)
    if view.credential_type.is_given:
        what = GIVEN[view.credential_type]
        return f"the {what} is verified again {when}.", trouble.retry_at, who
    over = view.expires_at is not None and view.expires_at <= now
    closed = trouble.cause is Outcome.STORAGE_FAULT
    state = "has ended" if over else "does not open" if closed else "still works"
    token = f"{state}: no token can be handed out until then" if over or closed else state
    return f"refresh is tried again {when}; the access token {token}.", trouble.retry_at, who


def _tried(view: ConnectionView) -> tuple[str, ...]:
    return (*_refreshing(view), *_reading(view), *_revoking(view))


def _revoking(view: ConnectionView) -> tuple[str, ...]:
    """How far the revocation at the provider has come, where one is under way."""
    if view.revoking is None:
        return ()
    tries, since = view.revoking.tries, instant(view.revoking.since)
    if tries == 0:
        return (f"The provider is asked to revoke the tokens since {since}.",)
    times = "once" if tries == 1 else f"{tries} times"
    until = instant(view.revoking.until)
    return (
        f"The provider was asked {times} since {since} to revoke the tokens and has not confirmed "
        f"it; it is asked again until {until}.",
    )


def _reading(view: ConnectionView) -> tuple[str, ...]:
    """How reading its data goes, where it is read."""
    if view.sync is None or view.status is not ConnectionStatus.ACTIVE:
        return ()
    last = f"Data was read {instant(view.sync.last_at)}" if view.sync.last_at else "No data yet"
    if view.sync.failing_since is not None:
        times = "once" if view.sync.failures == 1 else f"{view.sync.failures} times"
        since = instant(view.sync.failing_since)
        last += f"; since {since} reading failed {times}, {READING[view.sync.outcome]}"
    following = f"; next {instant(view.sync.next_at)}" if view.sync.next_at else ""
    return (f"{last}{following}.",)


def _refreshing(view: ConnectionView) -> tuple[str, ...]:
    if view.trouble is None:
        return ()
    times = "once" if view.trouble.failures == 1 else f"{view.trouble.failures} times"
    since = instant(view.trouble.since)
    what = "verifying" if view.credential_type.is_given else "refresh"
    said = cause(view.trouble.cause, view.credential_type)
    return (f"Degraded since {since}: {what} failed {times}, {said}.",)


def _receipt(receipt: Receipt | None) -> tuple[str, ...]:
    if receipt is None:
        return ()
    done = [f"{entry.token.replace('_', ' ')}: {_fate(entry)}" for entry in receipt.tokens]
    kept = "all secrets are destroyed" if receipt.shredded else "secrets are still kept"
    return (f"At the provider: {'; '.join(done) or 'nothing was held'}. Here: {kept}.",)


LEFT_TO_USERS = {
    "api_key": "only its user can delete it, at the provider",
    "link_token": "only its user can take it back, at the provider",
    "certificate": "only whoever issued it can revoke it",
}
"""What nobody here can revoke, as a receipt names it."""


def _fate(entry: TokenReceipt) -> str:
    words = (
        LEFT_TO_USERS.get(entry.token)
        or {
            Revocation.REVOKED: "revoked",
            Revocation.UNSUPPORTED: "the provider cannot revoke it",
            Revocation.GAVE_UP: "the provider has not confirmed its revocation",
            Revocation.UNCERTAIN: "uncertain",
        }[entry.result]
    )
    return f"{words}, it dies by itself {instant(entry.dies_at)}" if entry.dies_at else words
