"""Client certificates: by which a provider knows a user, in the TLS handshake itself (mutual TLS).

The private key is never sent, and never comes to lie on a disk (``providers.key_pairs``).
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx

from domain.outcomes import Outcome
from domain.secret import Secret
from providers.classifier import Answer
from providers.entries_given import CertificateEntry
from providers.given import GivenRefusal, judged, refusal
from providers.key_pairs import Unusable, certificate_of, check, load
from providers.transport import REFUSED_IN_TLS, get, new_http_client


class Misconfigured(Exception):
    """The authority that the entry names cannot be read: our own fault."""


class ClientCertificate:
    """One provider that knows its users by their certificates."""

    def __init__(self, entry: CertificateEntry) -> None:
        self.entry = entry

    async def verify(self, secret: Mapping[str, Secret], *, within: timedelta) -> Answer:
        """Whether the provider takes it."""
        try:
            async with client_of(self.entry, secret) as http:
                reply = await get(http, self.entry.verify_url, headers={}, within=within)
        except (Unusable, Misconfigured):
            # It could be used when it was given: what has changed is here, an OpenSSL say.
            return Answer(Outcome.APP_MISCONFIGURED)
        return judged(reply)

    async def refusal_of(
        self, secret: Mapping[str, Secret], *, within: timedelta
    ) -> GivenRefusal | None:
        """Why it is not to be used, for the person who brings it; None if it is good."""
        try:
            check(secret, datetime.now(UTC))
        except Unusable as error:
            return GivenRefusal(str(error))
        return refusal(self.entry, await self.verify(secret, within=within))

    def ends_at(self, secret: Mapping[str, Secret]) -> datetime | None:
        """Its ``notAfter``."""
        return certificate_of(secret).not_valid_after_utc


class _Introduced(ssl.SSLObject):
    """A handshake in which only a server that has begun to answer can refuse what we show.

    A firewall on the way ends it at our hello, perhaps with an alert about certificates: it has
    seen none. (Of TLS 1.2 all alerts are in the clear, and could be anybody's who sits in between.)
    """

    has_begun = False

    def do_handshake(self) -> None:
        """One step of it, as far as what has come allows."""
        try:
            super().do_handshake()
            return
        except ssl.SSLError as error:
            if self.has_begun or error.reason not in REFUSED_IN_TLS:
                self.has_begun = self.cipher() is not None
                raise
        raise ssl.SSLError("ended before it had begun")  # no trace of the alert goes with it


@asynccontextmanager
async def client_of(
    entry: CertificateEntry, secret: Mapping[str, Secret]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows this certificate, and trusts whom the entry says.

    Raises:
        Unusable: no connection can be made with it.
        Misconfigured: the authority that the entry names cannot be read.
    """
    async with new_http_client(_context(entry, secret)) as http:
        yield http


def _context(entry: CertificateEntry, secret: Mapping[str, Secret]) -> ssl.SSLContext:
    try:
        context = (
            httpx.create_ssl_context(trust_env=False)
            if entry.ca_file is None
            else ssl.create_default_context(cafile=entry.ca_file)
        )
    except OSError:  # ssl.SSLError is one, too
        raise Misconfigured from None
    context.sslobject_class = _Introduced
    load(context, secret)
    return context
