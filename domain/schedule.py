"""When to refresh, when to try again, and how long a token must still live to be handed out.

Pure functions of what they are given: the caller brings clock and connection id. Lifetimes are
``expires_at - sent_at``: from the moment the request was sent, not from when the answer arrived.
"""

import hashlib
from datetime import timedelta
from uuid import UUID

SECOND = timedelta(seconds=1)
SHORTEST_MARGIN = timedelta(seconds=60)
LONGEST_MARGIN = timedelta(minutes=15)
LONGEST_FLOOR = timedelta(seconds=60)
KEEP_ALIVE = timedelta(hours=24)
"""An idle grant is refreshed at least this often: many refresh tokens die of disuse."""
LONGEST_LIFETIME = timedelta(days=3650)
LONGEST_RETRY_AFTER = timedelta(hours=1)
LONGEST_BACKOFF = timedelta(minutes=10)


def refresh_margin(lifetime: timedelta) -> timedelta:
    """How long before its end a token is refreshed.

    20 % of the lifetime within [60 s, 15 min], but never more than half of a short lifetime.
    """
    margin = min(max(lifetime / 5, SHORTEST_MARGIN), LONGEST_MARGIN)
    return max(min(margin, lifetime / 2), timedelta(0))


def refresh_jitter(connection_id: UUID, margin: timedelta) -> timedelta:
    """A connection's own share of a quarter of the margin.

    Always the same for one connection, so that a restart does not move its schedule, and spread
    over connections, so that those authorized together do not refresh together.
    """
    return margin / 4 * fraction(connection_id, "refresh")


def refresh_floor(lifetime: timedelta | None) -> timedelta:
    """The least time between two refreshes, whatever a provider says of its tokens.

    A token that lives less than a second cannot be kept fresh; it is no reason for a hot loop.
    """
    if lifetime is None or lifetime < SECOND:
        return LONGEST_FLOOR
    return min(LONGEST_FLOOR, lifetime / 4)


def refresh_after(
    connection_id: UUID, lifetime: timedelta | None, keep_alive: timedelta = KEEP_ALIVE
) -> timedelta:
    """How long after a token was asked for it is to be refreshed.

    A missing lifetime never means "never": such a token is refreshed once per ``keep_alive``.
    """
    if lifetime is None:
        return max(keep_alive, refresh_floor(lifetime))
    margin = refresh_margin(lifetime)
    wanted = lifetime - margin - refresh_jitter(connection_id, margin)
    return max(min(wanted, keep_alive), refresh_floor(lifetime))


def capped_min_ttl(asked: timedelta, lifetime: timedelta | None) -> timedelta:
    """The remaining life that can be promised: as asked, at most half the token's lifetime."""
    asked = max(asked, timedelta(0))
    if lifetime is None:
        return asked
    return min(asked, max(lifetime, timedelta(0)) / 2)


def retry_delay(
    connection_id: UUID, failures: int, retry_after: timedelta | None = None
) -> timedelta:
    """How long to wait after the ``failures``-th failure in a row (1 = the first).

    What the provider asked for (``retry_after``, kept within [1 s, 1 h]), else 1 s, 2 s, 4 s ...
    10 min; always up to a tenth longer, by connection and failure, never shorter.
    """
    if retry_after is not None:
        delay = min(max(retry_after, SECOND), LONGEST_RETRY_AFTER)
    else:
        delay = min(SECOND * 2 ** min(max(failures, 1) - 1, 20), LONGEST_BACKOFF)
    return delay * (1 + 0.1 * fraction(connection_id, f"retry-{failures}"))


def fraction(connection_id: UUID, purpose: str) -> float:
    """A number in [0, 1) that is always the same for one connection and purpose."""
    digest = hashlib.sha256(connection_id.bytes + purpose.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
