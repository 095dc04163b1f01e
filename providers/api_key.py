"""A provider that is spoken to with a key its users make there, and may delete there.

A key has no end and cannot be renewed: all one can do is to look whether it is still good. Only a
401 of the provider's own, or a 403 that it words as JSON, says that it is not; a page of a proxy, a
bare 403 of a firewall, or an outage says nothing.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import httpx

from domain.outcomes import Outcome
from domain.secret import Secret
from providers.classifier import Answer, asked_to_wait
from providers.entry import ApiKeyEntry
from providers.token_answers import parse_object
from providers.transport import NoReply, Reply, get

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class KeyRefusal(NamedTuple):
    """Why a key is not to be used; ``passes``: not now, and the key may be good all the same."""

    message: str
    passes: bool = False


class ApiKey:
    """One provider that takes keys."""

    def __init__(self, entry: ApiKeyEntry, http: httpx.AsyncClient) -> None:
        self.entry = entry
        self._http = http

    async def verify(self, key: Secret, *, within: timedelta) -> Answer:
        """Whether the key is good: ``VERIFIED``, ``KEY_REFUSED``, or an outcome that passes."""
        reply = await get(
            self._http, self.entry.verify_url, headers=key_header(self.entry, key), within=within
        )
        if isinstance(reply, NoReply):
            return Answer(Outcome.TRANSIENT)
        retry_after = asked_to_wait(reply.headers)
        if 200 <= reply.status < 300 and not reply.is_page:
            outcome = Outcome.VERIFIED
        elif _refuses(reply):
            outcome = Outcome.KEY_REFUSED
        elif reply.status == 429:
            outcome = Outcome.RATE_LIMITED
        else:
            outcome = Outcome.TRANSIENT
        return Answer(outcome, retry_after=retry_after, status=reply.status)

    async def refusal_of(self, key: Secret, *, within: timedelta) -> KeyRefusal | None:
        """Why this key is not to be used, for the person who brings it; None if it is good."""
        if not _PRINTABLE.fullmatch(key.reveal()):
            return KeyRefusal("an API key is made of printable ASCII characters")
        match (await self.verify(key, within=within)).outcome:
            case Outcome.VERIFIED:
                return None
            case Outcome.KEY_REFUSED:
                return KeyRefusal(f"{self.entry.name} does not take this API key")
            case _:
                name = self.entry.name
                said = f"{name} cannot say now whether this API key is good; try again later"
                return KeyRefusal(said, passes=True)


def _refuses(reply: Reply) -> bool:
    if reply.status == 403:
        return parse_object(reply.body, reply.headers.get("content-type", "")) is not None
    return reply.status == 401 and not reply.is_page


def key_header(entry: ApiKeyEntry, key: Secret) -> Mapping[str, str]:
    """The header by which a request carries the key."""
    return {entry.header: f"{entry.prefix}{key.reveal()}"}
