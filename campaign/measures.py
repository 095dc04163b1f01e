"""What a campaign measures: recovery from a killed worker, and tokens kept fresh in time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from uuid import UUID

from campaign.apps import BY_SLUG
from campaign.evidence import Claim, Evidence
from campaign.parts import WORKERS

UNDER_WAY_S: Final = 20.0
CALM: Final = "no fault"


@dataclass(frozen=True)
class Kept:
    """Of the tokens that fell due: how many were replaced before they ended."""

    in_time: int
    due: int


def recoveries(evidence: Evidence) -> list[float]:
    """From each kill of a worker to the next stored token of a connection it was refreshing."""
    found = []
    for fault in evidence.faults:
        at = fault.killed_at
        if at is None or fault.target not in {*WORKERS, "workers"}:
            continue
        cut = [claim for claim in evidence.claims if _was_cut(claim, at)]
        ends = [_next_stored(claim, evidence) for claim in cut]
        times = [end - at for end in ends if end is not None]
        if times:
            found.append(min(times))
    return found


def _was_cut(claim: Claim, at: float) -> bool:
    begun = at - UNDER_WAY_S < claim.claimed_at <= at
    return claim.kind == "refresh" and claim.outcome is None and begun


def _next_stored(cut: Claim, evidence: Evidence) -> float | None:
    for claim in evidence.claims_of(cut.connection_id):
        if claim.number > cut.number and claim.outcome == "stored":
            return claim.finished_at
    return None


def kept_in_time(evidence: Evidence) -> Mapping[str, Kept]:
    """By kind of fault, of the tokens that fell due while it lasted; and where there was none."""
    counts: defaultdict[str, list[bool]] = defaultdict(list)
    slugs = {life.connection_id: life.slug for life in evidence.lives}
    for connection_id, slug in slugs.items():
        ttl = BY_SLUG[slug].access_ttl_s
        if ttl == 0:
            continue
        for began, due, renewed in _tokens(connection_id, ttl, evidence):
            kinds = {
                fault.kind
                for fault in evidence.faults
                if fault.began < due and fault.ended > began + ttl / 2
            }
            for kind in kinds or {CALM}:
                counts[kind].append(renewed < due)
    return {kind: Kept(sum(told), len(told)) for kind, told in sorted(counts.items())}


def _tokens(
    connection_id: UUID, ttl: float, evidence: Evidence
) -> Iterator[tuple[float, float, float]]:
    """When each token was asked for, when it ended, and when the next one was stored."""
    for claim, following in pairwise(evidence.stored_of(connection_id)):
        if following.kind == "refresh" and following.finished_at is not None:
            yield claim.claimed_at, claim.claimed_at + ttl, following.finished_at
