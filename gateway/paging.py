"""Cursors: where a page of connections ended, in a form that says to callers only "go on here"."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.errors import InvalidInput
from domain.view import ConnectionView
from storage.views import Place

LONGEST_CURSOR: Final = 200


def cursor_after(last: ConnectionView) -> str:
    """The cursor of a page that ended with this connection."""
    text = f"{last.created_at.isoformat()} {last.connection_id}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """Where to go on.

    Raises:
        InvalidInput: it is none of ours.
    """
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, connection_id = text.partition(" ")
        place = Place(datetime.fromisoformat(at), UUID(connection_id))
    except (binascii.Error, ValueError):
        raise InvalidInput("the cursor is none that was given out") from None
    if place.created_at.tzinfo is None:
        raise InvalidInput("the cursor is none that was given out")
    return place
