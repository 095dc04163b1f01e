"""What a campaign is judged by, as plain data: the provider's log, our rows, and what was seen.

The provider's log is the ground truth. It knows grants, not connections; which grant is whose
follows from the authorization codes that the campaign saw go by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from campaign.diary import Happened, Leased
from storage.tables import EventRow


@dataclass(frozen=True)
class Call:
    """A call as the provider saw it. Times are unix seconds."""

    seq: int
    connection_id: UUID | None
    endpoint: str
    grant_type: str | None
    started_at: float
    finished_at: float
    presented: str | None = None
    rotated: bool = False
    error: str | None = None
    answered: bool = True


@dataclass(frozen=True)
class Claim:
    """A row of the journal: the right to call once, and what came of it."""

    connection_id: UUID
    number: int
    generation: int
    kind: str
    claimed_at: float
    finished_at: float | None
    outcome: str | None
    may_have_acted: bool | None = None

    @property
    def is_ambiguous(self) -> bool:
        """Whether the provider may have acted on it without our knowing its answer in time."""
        return self.outcome != "stored" and (self.outcome is None or bool(self.may_have_acted))


@dataclass(frozen=True)
class Life:
    """A connection as it stands when all has settled."""

    connection_id: UUID
    slug: str
    rotation: str
    status: str
    reason: str
    ended_at: float | None
    generation: int
    head: bytes
    settled: str | None = None
    """What is still open of it; None: nothing."""
    refreshed: str | None = None
    """Of an ACTIVE one: why it could not be refreshed at the end; None: it was."""
    end_acked_at: float | None = None
    """When the campaign was told that it has been disconnected."""
    revoke_asked: bool = False
    refreshes_asked: Sequence[float] = ()
    """When somebody wanted a newer token, whatever was left of the one there was."""
    granted: int = 0
    """How many of its grants live on at the provider though it has ended."""


@dataclass(frozen=True)
class Evidence:
    """All there is."""

    calls: Sequence[Call] = ()
    claims: Sequence[Claim] = ()
    lives: Sequence[Life] = ()
    events: Mapping[UUID, Sequence[EventRow]] = field(default_factory=dict)
    leases: Sequence[Leased] = ()
    faults: Sequence[Happened] = ()
    leaks: Sequence[str] = ()
    """Files in which a canary was found."""
    searched: int = 0
    """How many bytes were searched for one."""
    surprises: Sequence[str] = ()
    healed_at: float = float("inf")
    """When the faults were over; from here on everything is refreshed by force."""

    def calls_of(self, connection_id: UUID, endpoint: str = "token") -> list[Call]:
        """In the order in which they arrived."""
        return [
            call
            for call in self.calls
            if call.connection_id == connection_id and call.endpoint == endpoint
        ]

    def claims_of(self, connection_id: UUID, kind: str = "refresh") -> list[Claim]:
        """In the order in which they were taken."""
        found = [
            claim
            for claim in self.claims
            if claim.connection_id == connection_id and claim.kind == kind
        ]
        return sorted(found, key=lambda claim: claim.number)

    def stored_of(self, connection_id: UUID) -> list[Claim]:
        """Those under which a token was stored, in the order in which they were taken."""
        claims = (c for c in self.claims if c.connection_id == connection_id)
        stored = (claim for claim in claims if claim.outcome == "stored")
        return sorted(stored, key=lambda claim: claim.number)


def seconds(at: datetime | None) -> float | None:
    """An instant as unix seconds."""
    return None if at is None else at.timestamp()
