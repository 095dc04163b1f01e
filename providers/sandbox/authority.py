"""The sandbox's own certificate authority: for its listener, and for users who come by mutual TLS.

Made anew at each start and kept in memory: what it issued before is of no use any more.
"""

import ssl
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from .canaries import digest, mint

HOST = "127.0.0.1"
YEAR = timedelta(days=365)
EARLIER = timedelta(minutes=5)
"""A certificate is good from a moment ago: clocks differ."""


@dataclass(frozen=True)
class Issued:
    """A user's certificate as PEM, with its key, for once."""

    id: str
    certificate: str
    private_key: str


@dataclass
class _Known:
    id: str
    user: str
    live: bool = True


class Authority:
    """Issues certificates and remembers whose they are, by digest."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _root(self) -> x509.Certificate:
        builder = _builder("sandbox authority", "sandbox authority", self._key.public_key(), YEAR)
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(constraint, critical=True)
        builder = builder.add_extension(usage, critical=True)
        own_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return builder.add_extension(own_id, critical=False).sign(self._key, SHA256())

    @property
    def pem(self) -> str:
        """The authority's own certificate, for those who trust it."""
        return self._root.public_bytes(Encoding.PEM).decode()

    def issue(self, user: str, lifetime: timedelta) -> Issued:
        """A new certificate of this user."""
        certificate, key = self._signed(mint("cert"), lifetime)
        known = _Known(f"certificate-{uuid.uuid4().hex[:16]}", user)
        self._known[_fingerprint(certificate.public_bytes(Encoding.DER))] = known
        return Issued(known.id, certificate.public_bytes(Encoding.PEM).decode(), _pem(key))

    def find(self, der: bytes | None) -> tuple[str, str, bool] | None:
        """The id, user and state of a certificate that was shown."""
        known = self._known.get(_fingerprint(der)) if der else None
        return None if known is None else (known.id, known.user, known.live)

    def revoke(self, certificate_id: str) -> None:
        """It is not taken any more."""
        for known in self._known.values():
            known.live = known.live and known.id != certificate_id

    def server_context(self) -> ssl.SSLContext:
        """For a listener that asks for a certificate of ours, and serves those without one too."""
        certificate, key = self._signed(HOST, YEAR)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "listener.pem"
            path.write_text(_pem(key) + certificate.public_bytes(Encoding.PEM).decode())
            context.load_cert_chain(path)
        return context

    def _signed(
        self, name: str, lifetime: timedelta
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, "sandbox authority", key.public_key(), lifetime)
        if name == HOST:
            address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
            builder = builder.add_extension(address, critical=False)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root.public_key())  # type: ignore[arg-type]
        builder = builder.add_extension(issuer_id, critical=False)
        return builder.sign(self._key, SHA256()), key


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + lifetime)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _fingerprint(der: bytes) -> str:
    return digest(der.hex())
