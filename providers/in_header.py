"""API keys and link tokens: made or shown at a provider, carried in a header, ended there alone.

Neither has an end that we know of, and we cannot renew them: all one can do is to look whether they
are still good.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import httpx

from domain.secret import Secret
from domain.words import one
from providers.classifier import Answer
from providers.entries_given import HeaderEntry
from providers.given import GivenRefusal, judged, refusal
from providers.transport import get

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class InHeader:
    """One provider that is spoken to with a secret in a header."""

    def __init__(self, entry: HeaderEntry, http: httpx.AsyncClient) -> None:
        self.entry = entry
        self._http = http

    async def verify(self, secret: Mapping[str, Secret], *, within: timedelta) -> Answer:
        """Whether it is good."""
        headers = headers_of(self.entry, secret)
        return judged(await get(self._http, self.entry.verify_url, headers=headers, within=within))

    async def refusal_of(
        self, secret: Mapping[str, Secret], *, within: timedelta
    ) -> GivenRefusal | None:
        """Why it is not to be used, for the person who brings it; None if it is good."""
        opening = secret[self.entry.credential_type.needs[0]]
        if not _PRINTABLE.fullmatch(opening.reveal()):
            kind = one(self.entry.credential_type)
            return GivenRefusal(f"{kind} is made of printable ASCII characters")
        return refusal(self.entry, await self.verify(secret, within=within))

    def ends_at(self, secret: Mapping[str, Secret]) -> datetime | None:  # noqa: ARG002 -- the same
        """Nobody says."""
        return None


def headers_of(entry: HeaderEntry, secret: Mapping[str, Secret]) -> Mapping[str, str]:
    """The header by which a request carries it."""
    opening = secret[entry.credential_type.needs[0]]
    return {entry.header: f"{entry.prefix}{opening.reveal()}"}
