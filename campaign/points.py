"""The points at which processes are killed, and what must have become of the connection then.

A table to be read: operation, point, place, fate at a provider with a grace window, and at one
without. The numbers are those of the catalogue of faults: 1 and 2 killed after the provider has
rotated, 3 the same while the database is away.
"""

from dataclasses import dataclass
from enum import StrEnum

from campaign.places import Place


class Operation(StrEnum):
    """What is being done when the process dies."""

    REFRESH = "refresh"


class Fate(StrEnum):
    """What became of it, once an ordinary worker has taken over."""

    SENT_ONCE = "never sent; sent once by the successor"
    KEPT = "kept: one POST, by the one that died"
    FOUND = "found again by grace: two POSTs"
    LOST = "lost_rotation, named"


@dataclass(frozen=True)
class Point:
    """One of them."""

    operation: Operation
    name: str
    place: Place
    with_grace: Fate
    without_grace: Fate
    cases: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.operation}: {self.name}"


def _point(
    operation: Operation,
    name: str,
    place: str,
    with_grace: Fate,
    without_grace: Fate | None = None,
    *cases: int,
) -> Point:
    fates = with_grace, without_grace or with_grace
    return Point(operation, name, Place.parse(place), *fates, cases)


_F = Fate
_RECEIVING = "httpcore._async.http11:AsyncHTTP11Connection._receive_response_headers"

_REFRESH = [
    _point(Operation.REFRESH, *each)
    for each in (
        ("asked for", "before activities.refresh:Refresh.refresh_credentials", _F.SENT_ONCE),
        ("claim and journal written", "after storage.claims:orphans", _F.SENT_ONCE),
        ("claim committed", "after storage.claims:take", _F.SENT_ONCE),
        ("secret opened", "before activities.exchanges:Exchange.present", _F.SENT_ONCE),
        ("before the request", "before providers.transport:post_form", _F.SENT_ONCE),
        ("request sent", f"before {_RECEIVING}", _F.FOUND, _F.LOST, 1, 2),
        ("headers read", "before providers.transport:_read", _F.FOUND, _F.LOST, 1, 2),
        ("answer read", "after providers.transport:_read", _F.FOUND, _F.LOST, 1, 2),
        ("tokens understood", "after providers.oauth2:OAuth2.refresh", _F.FOUND, _F.LOST, 1, 2),
        ("sealed", "after activities.exchanges:Exchange.seal", _F.FOUND, _F.LOST, 1, 2),
        ("row replaced", "after storage.credentials:replace", _F.FOUND, _F.LOST, 1, 2),
        ("before COMMIT", "after storage.credentials:commit", _F.FOUND, _F.LOST, 1, 2),
        ("committed", "after activities.exchanges:commit", _F.KEPT),
        ("before completion", "after activities.refresh:Refresh.refresh_credentials", _F.KEPT),
    )
]

POINTS: tuple[Point, ...] = (*_REFRESH,)
