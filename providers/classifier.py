"""The one place that says what an answer of a token endpoint means.

A table, not a cascade of conditions spread over the code. Two rules above all: only a structured
error code may end a grant (a page from a proxy never does), and ``invalid_client`` is about us,
never about the user. The HTTP status alone decides nothing between those two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from domain.outcomes import Outcome
from providers.entry import Refusal
from providers.token_answers import Tokens, parse_object, parse_tokens
from providers.transport import NoReply, Reply

BY_ERROR_CODE: Mapping[str, Outcome] = {
    "invalid_grant": Outcome.GRANT_DEAD,
    "invalid_client": Outcome.APP_MISCONFIGURED,
    "unauthorized_client": Outcome.APP_MISCONFIGURED,
    "unsupported_grant_type": Outcome.APP_MISCONFIGURED,
    "invalid_request": Outcome.APP_MISCONFIGURED,
    "invalid_scope": Outcome.APP_MISCONFIGURED,
    "temporarily_unavailable": Outcome.TRANSIENT,
    "server_error": Outcome.TRANSIENT,
    "slow_down": Outcome.RATE_LIMITED,
}
"""RFC 6749, section 5.2, and the codes that other grants borrow from it."""


@dataclass(frozen=True)
class Answer:
    """What came of one call to a token endpoint.

    Attributes:
        outcome: what it means.
        tokens: present exactly when the outcome is ``REFRESHED``.
        retry_after: how long the provider asks us to wait, if it says so.
        may_have_acted: whether it may have rotated or issued tokens that we do not hold.
        status: the HTTP status, None without a complete answer.
        code: the OAuth error code, only if it is one of the table's; never the provider's text.
    """

    outcome: Outcome
    tokens: Tokens | None = None
    retry_after: timedelta | None = None
    may_have_acted: bool = False
    status: int | None = None
    code: str | None = None


def classify(reply: Reply | NoReply, refusals: Iterable[Refusal] = ()) -> Answer:
    """What a reply means, by status, body and the provider's own wordings (``refusals``)."""
    if isinstance(reply, NoReply):
        outcome = Outcome.AMBIGUOUS if reply.sent else Outcome.TRANSIENT
        return Answer(outcome, may_have_acted=reply.sent)
    fields = parse_object(reply.body, reply.headers.get("content-type", "")) or {}
    if 200 <= reply.status < 300 and (tokens := parse_tokens(fields)) is not None:
        return Answer(Outcome.REFRESHED, tokens=tokens, status=reply.status)
    known = _known_code(fields)
    outcome = worded(fields, refusals) or _refusal(reply.status, known)
    return Answer(
        outcome,
        retry_after=asked_to_wait(reply.headers),
        may_have_acted=_may_have_acted(outcome, reply.status, known),
        status=reply.status,
        code=known,
    )


def worded(fields: Mapping[str, object], refusals: Iterable[Refusal]) -> Outcome | None:
    """What the provider's own wording means; None if it is none of them. The first match counts."""
    for refusal in refusals:
        if all(fields.get(name) == value for name, value in refusal.fields.items()):
            return refusal.outcome
    return None


def _known_code(fields: Mapping[str, object]) -> str | None:
    code = fields.get("error")
    return code if isinstance(code, str) and code in BY_ERROR_CODE else None


def _refusal(status: int, code: str | None) -> Outcome:
    if status == 429:
        return Outcome.RATE_LIMITED
    if status >= 500:
        return Outcome.TRANSIENT
    if code is not None:
        return BY_ERROR_CODE[code]
    if 300 <= status < 400:
        return Outcome.APP_MISCONFIGURED
    if status >= 400:
        return Outcome.TRANSIENT
    return Outcome.PROTOCOL_ERROR


def _may_have_acted(outcome: Outcome, status: int, code: str | None) -> bool:
    """A refusal in OAuth's own words did nothing; so did a rate limit. What has failed may have."""
    says_it_failed = outcome is Outcome.TRANSIENT and code is not None
    timed_out = status == HTTPStatus.REQUEST_TIMEOUT
    return outcome is Outcome.PROTOCOL_ERROR or status >= 500 or timed_out or says_it_failed


def asked_to_wait(headers: Mapping[str, str]) -> timedelta | None:
    """What ``Retry-After`` asks for; a date is counted from the answer's own, not by our clock."""
    now = datetime.now(UTC)
    return parse_retry_after(
        headers.get("retry-after"), _parse_date(headers.get("date", "")) or now
    )


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """``Retry-After`` as a duration: seconds or an HTTP date; None if absent or neither."""
    if value is None or len(value) > 64:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), 10**9))
    at = _parse_date(text)
    return None if at is None else max(at - now, timedelta(0))


def _parse_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text[:64])
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
