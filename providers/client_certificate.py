"""Client certificates: by which a provider knows a user, in the TLS handshake itself (mutual TLS).

The private key is never sent, and never comes to lie on a disk: OpenSSL wants a path, and is given
one that leads to memory.
"""

import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from domain.outcomes import Outcome
from domain.secret import Secret
from domain.words import instant
from providers.classifier import Answer
from providers.entries_given import CertificateEntry
from providers.given import GivenRefusal, judged, refusal
from providers.transport import get, new_http_client

PARTS: Final = ("client_certificate", "certificate_chain", "private_key")


class Unusable(Exception):
    """A certificate with which nobody could connect; says why, and nothing of what it holds."""


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
        except Unusable:
            return Answer(Outcome.KEY_REFUSED)
        except Misconfigured:
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
        return _certificate(secret).not_valid_after_utc


def check(secret: Mapping[str, Secret], now: datetime) -> None:
    """Whether certificate and key are what they are called, and belong together, and are of today.

    Raises:
        Unusable: one of these is not so.
    """
    certificate = _certificate(secret)
    if "certificate_chain" in secret:
        _certificates(secret["certificate_chain"], "the chain")
    ours, theirs = (
        each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for each in (_key(secret["private_key"]).public_key(), certificate.public_key())
    )
    if ours != theirs:
        raise Unusable("the private key is not the one of this certificate")
    if certificate.not_valid_after_utc <= now:
        raise Unusable(f"the certificate ended {instant(certificate.not_valid_after_utc)}")
    if certificate.not_valid_before_utc > now:
        raise Unusable(f"the certificate begins {instant(certificate.not_valid_before_utc)}")


def _certificate(secret: Mapping[str, Secret]) -> x509.Certificate:
    return _certificates(secret["client_certificate"], "the certificate")[0]


def _certificates(pem: Secret, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_bytes(pem))
    except ValueError:
        raise Unusable(f"{what} is no certificate in PEM form") from None


def _key(pem: Secret):  # type: ignore[no-untyped-def]  # one of eight kinds; all are asked the same
    try:
        return load_pem_private_key(_bytes(pem), password=None)
    except TypeError:
        raise Unusable("the private key is locked by a passphrase: give it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unusable("the private key is none in PEM form") from None


def _bytes(pem: Secret) -> bytes:
    return pem.reveal().encode(errors="replace")


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
    pem = "\n".join(secret[name].reveal() for name in PARTS if name in secret)
    try:
        with _in_memory(pem.encode(errors="replace")) as path:
            # A key that is locked must not have OpenSSL ask at the terminal.
            context.load_cert_chain(path, password="")
    except (OSError, ValueError):
        raise Unusable("no connection can be made with this certificate") from None
    return context


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path that leads to this, for as long as the block lasts."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with open(number, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{number}"
        return
    # Elsewhere a file of our own that nobody else may read, for a moment.
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
