"""The invariants of a campaign, and whether its evidence keeps them.

1. Every ACTIVE connection can be refreshed at the end: it has been.
2. No two token calls of one connection overlap at the provider. (A call whose caller has died or
   hung up may end there whenever it likes: it counts only where the provider could answer it.)
3. A rotated-out token is presented only where the journal holds an earlier call of its generation
   whose answer may have been lost.
4. A connection waits for its user only because its user revoked it, or because the provider's log
   holds a structured refusal. A rotation is lost only where a provider without grace rotated and a
   fault came between its answer and our commit; such losses are counted.
5. From an acknowledged disconnect on no lease succeeds and no token call is made but revocations.
   (A call whose claim was taken before may still be on its way.)
6. The events of a connection are without a gap, their chain is intact up to its head, and every
   change has exactly one.
7. No canary is in any file of PostgreSQL (its write-ahead log included), of Temporal, or any log.
8. Everything has settled in the stated time.
9. No caller sees anything but our own errors, and no stored secret fails to open.
10. Nothing of an ended connection lives on at the provider, unless its receipt says so.
11. No lease hands out a token that has ended, whatever the clocks of workers and gateway say.
12. No token is refreshed earlier than its schedule says, unless somebody asked for it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

from campaign.apps import BY_SLUG
from campaign.evidence import Call, Claim, Evidence, Life
from campaign.losses import is_excused
from domain.schedule import refresh_after
from storage.events import is_intact

ON_ITS_WAY_S: Final = 15.0
"""How long after its claim a call may reach the provider: a lease, and what the link may add."""
ASKED_WITHIN_S: Final = 150.0
"""How long somebody who asked for a refresh may wait for it: as in ``operations``."""
WAITING: Final = frozenset({"expired", "revoked"})
USED_UP: Final = frozenset({"rotated_out", "previous_in_grace"})


@dataclass(frozen=True)
class Verdict:
    """Of one invariant: what breaks it, if anything does."""

    number: int
    invariant: str
    breaches: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether nothing does."""
        return not self.breaches


def judge(evidence: Evidence) -> list[Verdict]:
    """A verdict for each invariant."""
    return [
        Verdict(number, words, list(check(evidence)))
        for number, (words, check) in enumerate(INVARIANTS, start=1)
    ]


def _active_can_refresh(evidence: Evidence) -> Iterator[str]:
    if not any(life.status == "active" for life in evidence.lives):
        yield "no connection is ACTIVE: nothing was proved"
    for life in evidence.lives:
        if life.status == "active" and life.refreshed is not None:
            yield f"{_named(life)}: {life.refreshed}"


def _no_overlap(evidence: Evidence) -> Iterator[str]:
    for life in evidence.lives:
        awaited: Call | None = None
        for call in sorted(evidence.calls_of(life.connection_id), key=lambda c: c.started_at):
            if awaited is not None and call.started_at < awaited.finished_at:
                yield f"{_named(life)}: calls {awaited.seq} and {call.seq}"
            if call.answered and (awaited is None or call.finished_at > awaited.finished_at):
                awaited = call


def _used_up_only_when_ambiguous(evidence: Evidence) -> Iterator[str]:
    for life in evidence.lives:
        claims = evidence.claims_of(life.connection_id)
        for call in evidence.calls_of(life.connection_id):
            if call.presented == "code_replayed":
                yield f"{_named(life)}: call {call.seq} presented a code for the second time"
            if call.presented not in USED_UP:
                continue
            claim = _claim_of(call, claims)
            if claim is None:
                yield f"{_named(life)}: call {call.seq} presented a used token without a claim"
            elif not any(
                earlier.is_ambiguous
                for earlier in claims
                if earlier.generation == claim.generation and earlier.number < claim.number
            ):
                yield f"{_named(life)}: call {call.seq} presented a used token for no reason"


def _user_needed_only_if_refused(evidence: Evidence) -> Iterator[str]:
    for life in evidence.lives:
        if life.status not in WAITING or (life.revoke_asked and life.reason == "user_revoked"):
            continue
        if life.reason == "user_revoked":
            yield f"{_named(life)}: its user did not revoke it"
        elif not any(call.error for call in evidence.calls_of(life.connection_id)):
            yield f"{_named(life)}: the provider refused nothing"
    for lost in losses(evidence):
        if not is_excused(lost, evidence):
            yield f"a rotation was lost without need: connection {lost.connection_id}"


def losses(evidence: Evidence) -> list[Claim]:
    """The claims under which a provider rotated, and whose successors it then refused."""
    found = []
    for life in evidence.lives:
        claims = evidence.claims_of(life.connection_id)
        calls = evidence.calls_of(life.connection_id)
        rotated = {c.number for call in calls if call.rotated and (c := _claim_of(call, claims))}
        for claim in claims:
            before = [
                each
                for each in claims
                if each.generation == claim.generation
                and each.number < claim.number
                and each.is_ambiguous
            ]
            if claim.outcome in {"grant_dead", "access_revoked"} and before:
                found.append(next((c for c in before if c.number in rotated), before[0]))
    return found


def _the_end_is_the_end(evidence: Evidence) -> Iterator[str]:
    acked = {
        life.connection_id: life.end_acked_at
        for life in evidence.lives
        if life.end_acked_at is not None
    }
    for lease in evidence.leases:
        if lease.asked_at > acked.get(lease.connection_id, float("inf")):
            yield f"connection {lease.connection_id}: a lease succeeded after its end"
    for life in evidence.lives:
        if life.end_acked_at is None:
            continue
        claims = [claim for claim in evidence.claims if claim.connection_id == life.connection_id]
        for call in evidence.calls_of(life.connection_id):
            if call.started_at > life.end_acked_at and not _was_on_its_way(call, claims, life):
                yield f"{_named(life)}: call {call.seq} was made after its end"


def _was_on_its_way(call: Call, claims: Sequence[Claim], life: Life) -> bool:
    if life.ended_at is None:
        return False
    return any(
        claim.kind != "revocation"
        and claim.claimed_at <= life.ended_at
        and call.started_at - claim.claimed_at < ON_ITS_WAY_S
        for claim in claims
    )


def _events_tell_all(evidence: Evidence) -> Iterator[str]:
    for life in evidence.lives:
        rows = list(evidence.events.get(life.connection_id, ()))
        if not rows and life.status != "pending":  # begun, and nothing has come of it yet
            yield f"{_named(life)}: it has no events"
        elif not is_intact(rows, life.head):
            yield f"{_named(life)}: its chain is broken"
        types = Counter(row.type for row in rows)
        refreshes = evidence.claims_of(life.connection_id)
        wanted = {
            "ProviderTokenRefreshAttempted": len(refreshes),
            "ProviderTokenRefreshSucceeded": sum(c.outcome == "stored" for c in refreshes),
            "ProviderDisconnectionAttempted": int(life.ended_at is not None),
            "ProviderDisconnectionSucceeded": int(life.status == "disconnected"),
        }
        for name, count in wanted.items():
            if types[name] != count:
                yield f"{_named(life)}: {types[name]} {name} instead of {count}"


def _no_leak(evidence: Evidence) -> Iterator[str]:
    if evidence.searched == 0:
        yield "nothing was searched"
    yield from evidence.leaks


def _settled(evidence: Evidence) -> Iterator[str]:
    for life in evidence.lives:
        if life.settled is not None:
            yield f"{_named(life)}: {life.settled}"


def _no_surprise(evidence: Evidence) -> Iterator[str]:
    yield from evidence.surprises
    for claim in evidence.claims:
        if claim.outcome == "storage_fault":
            yield f"connection {claim.connection_id}: a secret did not open"


def _nothing_lives_on(evidence: Evidence) -> Iterator[str]:
    for life in evidence.lives:
        if life.status == "disconnected" and life.granted:
            yield f"{_named(life)}: {life.granted} grants live on"


def _no_ended_token_is_leased(evidence: Evidence) -> Iterator[str]:
    for life, ttl in _with_tokens(evidence):
        stored = evidence.stored_of(life.connection_id)
        ends = {claim.generation + 1: claim.claimed_at + ttl for claim in stored}
        for lease in evidence.leases:
            if lease.connection_id != life.connection_id:
                continue
            end = ends.get(lease.generation)
            if end is None:
                yield f"{_named(life)}: no token of generation {lease.generation} was stored"
            elif lease.asked_at >= end:
                yield f"{_named(life)}: a token was leased {lease.asked_at - end:.1f} s too late"


def _no_early_refresh(evidence: Evidence) -> Iterator[str]:
    for life, ttl in _with_tokens(evidence):
        due = refresh_after(life.connection_id, timedelta(seconds=ttl)).total_seconds()
        for before, claim in pairwise(evidence.stored_of(life.connection_id)):
            early = claim.kind == "refresh" and claim.claimed_at < before.claimed_at + due
            if not early or claim.claimed_at > evidence.healed_at:
                continue
            if not any(0 <= claim.claimed_at - at < ASKED_WITHIN_S for at in life.refreshes_asked):
                gap = claim.claimed_at - before.claimed_at
                yield f"{_named(life)}: refreshed after {gap:.1f} s instead of {due:.1f} s"


def _with_tokens(evidence: Evidence) -> Iterator[tuple[Life, float]]:
    """Each connection whose tokens end, and how long they live."""
    for life in evidence.lives:
        if ttl := BY_SLUG[life.slug].access_ttl_s:
            yield life, ttl


def _claim_of(call: Call, claims: Sequence[Claim]) -> Claim | None:
    """Under which claim a call was made: the newest one that was taken before it."""
    taken = [claim for claim in claims if claim.claimed_at <= call.started_at]
    return taken[-1] if taken else None


def _named(life: Life) -> str:
    return f"connection {life.connection_id} ({life.slug}, {life.status}, {life.reason})"


Check = Callable[[Evidence], Iterator[str]]
INVARIANTS: Final[Sequence[tuple[str, Check]]] = (
    ("every ACTIVE connection can be refreshed at the end", _active_can_refresh),
    ("no two token calls of a connection overlap", _no_overlap),
    ("used-up tokens are presented only after a lost answer", _used_up_only_when_ambiguous),
    ("users are needed only where the provider refused", _user_needed_only_if_refused),
    ("no lease and no token call after a disconnect", _the_end_is_the_end),
    ("events are complete, in order, one for each change", _events_tell_all),
    ("no canary in any file", _no_leak),
    ("everything has settled in time", _settled),
    ("no caller sees a surprise, every secret opens", _no_surprise),
    ("nothing of an ended connection lives on", _nothing_lives_on),
    ("no token that has ended is leased", _no_ended_token_is_leased),
    ("no token is refreshed early", _no_early_refresh),
)
