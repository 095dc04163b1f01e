"""Certificates and private keys as a stranger may bring them: judged at once, or not opened."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from domain.secret import Secret
from providers.key_pairs import Unusable, check

NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
KEY: Final = ec.generate_private_key(ec.SECP256R1())
AUTHORITY: Final = ec.generate_private_key(ec.SECP256R1())

Private = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | x25519.X25519PrivateKey
)


def certificate_for(key: CertificatePublicKeyTypes) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(AUTHORITY, SHA256())
    )


DER: Final = certificate_for(KEY.public_key()).public_bytes(Encoding.DER)


def pem(label: str, der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


def key_pem(key: Private, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def judged(certificate: str, private_key: str, chain: str | None = None) -> str | None:
    parts = {"client_certificate": certificate, "private_key": private_key}
    if chain is not None:
        parts["certificate_chain"] = chain
    try:
        check({name: Secret(part) for name, part in parts.items()}, NOW)
    except Unusable as error:
        return str(error)
    return None


# -- DER by hand: no library makes what nobody should make -----------------------------------------


def tagged(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    return tagged(0x30, *parts)


def octets(content: bytes) -> bytes:
    return tagged(0x04, content)


def integer(value: int) -> bytes:
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(hexadecimal: str) -> bytes:
    return tagged(0x06, bytes.fromhex(hexadecimal))


def rsa_key(one: int, other: int) -> str:
    """Of two Mersenne primes, by their exponents: so large a key could never be drawn."""
    p, q, e = (1 << one) - 1, (1 << other) - 1, 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return pem("RSA PRIVATE KEY", sequence(*map(integer, numbers)))


def dh_key(bits: int) -> str:
    group = sequence(integer((1 << bits) - 1), integer(3))
    kind = sequence(oid("2a864886f70d010301"), group)
    return pem("PRIVATE KEY", sequence(integer(0), kind, octets(integer(1 << 60))))


def dsa_key(bits: int) -> str:
    group = sequence(integer((1 << bits) - 1), integer((1 << 127) - 1), integer(3))
    kind = sequence(oid("2a8648ce380401"), group)
    return pem("PRIVATE KEY", sequence(integer(0), kind, octets(integer(1 << 60))))


def locked_often(times: int) -> str:
    salted = sequence(octets(b"saltsalt"), integer(times), sequence(oid("2a864886f70d0209")))
    derived = sequence(oid("2a864886f70d01050c"), salted)
    cipher = sequence(oid("60864801650304012a"), octets(bytes(16)))
    scheme = sequence(oid("2a864886f70d01050d"), sequence(derived, cipher))
    return pem("ENCRYPTED PRIVATE KEY", sequence(scheme, octets(bytes(160))))


# -- what is taken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
    ],
    ids=["EC", "RSA", "Ed25519", "Ed448"],
)
def test_keys_that_are_in_use_are_taken(make: Callable[[], Private]) -> None:
    key = make()
    certificate = certificate_for(key.public_key()).public_bytes(Encoding.PEM).decode()
    assert judged(certificate, key_pem(key)) is None
    assert judged(certificate, f"Bag Attributes\n{key_pem(key)}", certificate * 2) is None


def test_a_key_in_its_old_form_is_taken() -> None:
    named = pem("EC PARAMETERS", oid("2a8648ce3d030107"))
    old = key_pem(KEY, PrivateFormat.TraditionalOpenSSL)
    assert judged(pem("CERTIFICATE", DER), named + old) is None


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_that_is_locked_is_told_from_others(form: PrivateFormat) -> None:
    locked = KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"mlcanary")).decode()
    assert "locked by a passphrase" in (judged(pem("CERTIFICATE", DER), locked) or "")


# -- what would have held up a worker --------------------------------------------------------------


@pytest.mark.parametrize(
    ("private_key", "said"),
    [
        pytest.param(rsa_key(9689, 9941), "is none in PEM form", id="RSA"),
        pytest.param(dh_key(9689), "is of another kind", id="Diffie-Hellman"),
        pytest.param(dsa_key(21_701), "is of another kind", id="DSA"),
        pytest.param(locked_often((1 << 31) - 1), "locked by a passphrase", id="locked"),
    ],
)
def test_bug_a_worker_stood_still_over_a_private_key(private_key: str, said: str) -> None:
    """A user could stop all work of a worker for minutes, by a key whose numbers were checked."""
    assert said in (judged(pem("CERTIFICATE", DER), private_key) or "")


def test_bug_a_worker_stood_still_over_a_key_beside_the_certificate() -> None:
    """OpenSSL took the first key of all that was brought, and tried to unlock it for half an hour.

    The connection is good: nothing but certificates is read from what is called one.
    """
    beside = locked_often(1 << 20)
    certificate = pem("CERTIFICATE", DER)
    assert judged(beside + certificate, key_pem(KEY), beside + certificate) is None


def test_bug_a_certificate_of_an_enormous_key_was_taken() -> None:
    """Each signature with it, at each verification, would take minutes."""
    modulus = ((1 << 9689) - 1) * ((1 << 9941) - 1)
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    certificate = certificate_for(key).public_bytes(Encoding.PEM).decode()
    assert "at most 8192 bits" in (judged(certificate, rsa_key(9689, 9941)) or "")


# -- what nobody could read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("a003020102", "a003020104", "is no certificate"),
        ("06082a8648ce3d030107", "06082a8648ce3d030177", "kind of key"),
        ("06072a8648ce3d0201", "06072a8648ce3d0277", "kind of key"),
    ],
    ids=["version", "curve", "kind"],
)
def test_bug_an_odd_certificate_was_tried_again_for_ever(old: str, new: str, said: str) -> None:
    """It failed where only good ones were thought of: an activity that nothing could end."""
    odd = DER.replace(bytes.fromhex(old), bytes.fromhex(new), 1)
    assert odd != DER
    assert said in (judged(pem("CERTIFICATE", odd), key_pem(KEY)) or "")


def test_a_key_that_makes_no_handshake_is_refused() -> None:
    key = x25519.X25519PrivateKey.generate()
    certificate = certificate_for(key.public_key()).public_bytes(Encoding.PEM).decode()
    assert "kind of key" in (judged(certificate, key_pem(key)) or "")
