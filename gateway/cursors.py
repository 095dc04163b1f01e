"""Cursors of pages: where a page ended, in a form that callers need not understand.

A cursor is no secret and is not signed: it says where to go on and nothing else, so a forged one
can do no more than a page can. It must not be able to make the database stumble either.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from domain.errors import InvalidInput


def _in_utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
BigInteger = Annotated[int, Field(ge=0, lt=1 << 63)]
Storable = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""A text that PostgreSQL can hold."""

LONGEST_CURSOR: Final = 400

PlaceT = TypeVar("PlaceT", bound=BaseModel)
RowT = TypeVar("RowT")


def cursor_of(place: BaseModel) -> str:
    """What a caller is given to go on from this place."""
    return base64.urlsafe_b64encode(place.model_dump_json().encode()).decode().rstrip("=")


def next_cursor(
    found: Sequence[RowT], limit: int, place: Callable[[RowT], BaseModel]
) -> str | None:
    """Where to go on after a page; None: these were the last.

    Args:
        found: one row more than the page has, where there is more.
        place: where a row stands.
    """
    return cursor_of(place(found[limit - 1])) if len(found) > limit else None


def place_of(kind: type[PlaceT], cursor: str | None) -> PlaceT | None:
    """Where a caller goes on; None: from the beginning.

    Raises:
        InvalidInput: the cursor is none of ours.
    """
    if cursor is None:
        return None
    try:
        written = base64.b64decode(cursor.encode() + b"==", b"-_", validate=False)
        return kind.model_validate_json(written)
    except (ValueError, OverflowError):
        raise InvalidInput("the cursor is not one that a page ended with") from None
