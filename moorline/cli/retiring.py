"""What each key is still needed for, as far as it can be known.

Of the keys that seal connections it is counted. Of payload keys Temporal tells how far back its
histories go: when a key was put first is known to whoever did it, and stands nowhere.
"""

import os
from datetime import datetime

from pydantic import BaseModel

from client.temporal import connect
from domain.errors import MoorlineError
from domain.words import instant
from moorline.cli.pictures import length
from moorline.histories import Kept, kept
from moorline.settings import Settings


class SealingKey(BaseModel):
    """A key of MOORLINE_KEYS."""

    key: str
    connections: int
    part: str


class PayloadKey(BaseModel):
    """A key of MOORLINE_PAYLOAD_KEYS."""

    key: str
    part: str


class PayloadKeys(BaseModel):
    """All of them, and how long they are needed."""

    payload_keys: list[PayloadKey]
    oldest_history: datetime | None = None
    needed: str


class Keys(PayloadKeys):
    """What ``keys status --json`` prints."""

    keys: list[SealingKey]


async def payload_keys(settings: Settings) -> PayloadKeys:
    """The payload keys, the first one first; never an error: it is said in their place."""
    try:
        ring = settings.payload_keyring()
    except MoorlineError as error:
        return PayloadKeys(payload_keys=[], needed=f"{error}.")
    keys = [PayloadKey(key=name, part=_part(name, ring.primary_id)) for name in ring.keys]
    try:
        found = await kept(await connect(None, os.environ))
    except MoorlineError as error:
        why = f"{error}: since when only {ring.primary_id!r} is needed cannot be said."
        return PayloadKeys(payload_keys=keys, needed=why)
    needed = _needed(ring.primary_id, len(keys), found)
    return PayloadKeys(payload_keys=keys, oldest_history=found.since, needed=needed)


def _part(name: str, primary: str) -> str:
    return "encrypts" if name == primary else "opens only, as long as a history needs it"


def _needed(primary: str, count: int, found: Kept) -> str:
    if found.since is None:
        return f"Temporal keeps no history of a connection: only {primary!r} is needed."
    began = f"The oldest history that Temporal keeps began {instant(found.since)}"
    if count == 1:
        return f"{began}; every key that has encrypted since then must be listed above."
    return (
        f"{began}, and whatever encrypted since then is needed. If {primary!r} was first in every "
        "process by that time, the others may be taken out of MOORLINE_PAYLOAD_KEYS. A run that "
        f"has ended is kept for {length(found.retention)}."
    )
