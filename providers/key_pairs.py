"""A certificate and its private key, as somebody brings them: whether they go together.

Nothing of it is opened before it is known to be cheap to open: a key of a rare kind, of enormous
size, or locked a billion times over would hold up everybody else's work.
"""

import base64
import os
import re
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from domain.secret import Secret
from domain.words import instant

LONGEST_KEY: Final = 8 << 10
"""Characters: more than any key in use has."""
LARGEST_RSA: Final = 8192
"""Bits."""
_KEY = re.compile(r"-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
_LENGTH: Final = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
_KINDS: Final = {
    "RSA": bytes.fromhex("06092a864886f70d010101"),
    "EC": bytes.fromhex("06072a8648ce3d0201"),
    "Ed25519": bytes.fromhex("06032b6570"),
    "Ed448": bytes.fromhex("06032b6571"),
}
"""What a PKCS #8 key says first: its kind, as an object identifier."""
_OF_A_KIND = re.compile(
    rb"\x30%b\x02\x01[\x00\x01]\x30%b(?:%b)"
    % (_LENGTH, _LENGTH, b"|".join(map(re.escape, _KINDS.values()))),
    re.DOTALL,
)
_NOT_A_PAIR: Final = frozenset(
    {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
)


class Unusable(Exception):
    """A certificate with which nobody could connect; says why, and nothing of what it holds."""


def check(secret: Mapping[str, Secret], now: datetime) -> None:
    """Whether certificate and key are what they are called, and belong together, and are of today.

    Raises:
        Unusable: one of these is not so.
    """
    load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), secret)
    certificate = certificate_of(secret)
    if certificate.not_valid_after_utc <= now:
        raise Unusable(f"the certificate ended {instant(certificate.not_valid_after_utc)}")
    if certificate.not_valid_before_utc > now:
        raise Unusable(f"the certificate begins {instant(certificate.not_valid_before_utc)}")


def certificate_of(secret: Mapping[str, Secret]) -> x509.Certificate:
    """The user's own certificate.

    Raises:
        Unusable: there is none.
    """
    return _certificates(secret["client_certificate"], "the certificate")[0]


def load(context: ssl.SSLContext, secret: Mapping[str, Secret]) -> None:
    """Have this context show the certificate.

    Raises:
        Unusable: no connection can be made with it.
    """
    pem = _pem(secret)
    try:
        with in_memory(pem.encode()) as path:
            # Of a key that is locked after all, OpenSSL must not ask at the terminal.
            context.load_cert_chain(path, password="")
    except ssl.SSLError as error:
        if error.reason in _NOT_A_PAIR:
            raise Unusable("the private key is not the one of this certificate") from None
        raise Unusable("no connection can be made with this certificate") from None


def _pem(secret: Mapping[str, Secret]) -> str:
    """All parts, written anew: nothing else that stood beside them reaches OpenSSL."""
    certificates = _certificates(secret["client_certificate"], "the certificate")
    if "certificate_chain" in secret:
        certificates += _certificates(secret["certificate_chain"], "the chain")
    _expect_known(certificates[0])
    written = [each.public_bytes(Encoding.PEM).decode() for each in certificates]
    return "".join((*written, _key(secret["private_key"])))


def _certificates(pem: Secret, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.reveal().encode(errors="replace"))
    except (ValueError, x509.InvalidVersion):
        raise Unusable(f"{what} is no certificate in PEM form") from None


def _expect_known(certificate: x509.Certificate) -> None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    known = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
    is_large = isinstance(key, rsa.RSAPublicKey) and key.key_size > LARGEST_RSA
    if is_large or not isinstance(key, (*known, ed448.Ed448PublicKey)):
        said = f"{', '.join(_KINDS)}; RSA with at most {LARGEST_RSA} bits"
        raise Unusable(f"the certificate is of a kind of key that is not taken here ({said})")


def _key(pem: Secret) -> str:
    text = pem.reveal()
    if "ENCRYPTED" in text:
        raise Unusable("the private key is locked by a passphrase: give it without one")
    found = _KEY.search(text)
    if found is None or len(found[0]) > LONGEST_KEY:
        raise Unusable("the private key is none in PEM form")
    try:
        der = base64.b64decode(found[2])
    except ValueError:
        raise Unusable("the private key is none in PEM form") from None
    if found[1] == "PRIVATE KEY" and not _OF_A_KIND.match(der):
        raise Unusable(f"the private key is of another kind than {', '.join(_KINDS)}")
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {found[1]}-----\n{body}-----END {found[1]}-----\n"


@contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """A path that leads to this, for as long as the block lasts: OpenSSL wants one."""
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
