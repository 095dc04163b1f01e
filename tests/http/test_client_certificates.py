"""What TLS itself says of a certificate, and where its key is while OpenSSL reads it."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from domain.errors import NotConfigured
from domain.outcomes import Outcome
from domain.secret import Secret
from providers.catalogue import Catalogue
from providers.client_certificate import ClientCertificate
from providers.entries_given import CertificateEntry
from providers.key_pairs import in_memory
from providers.sandbox.authority import Authority, Issued
from tests.given import CERTIFIED, Certifier, certifying, secrets_of

WITHIN = timedelta(seconds=10)


@contextmanager
def strict_listener() -> Iterator[tuple[str, socket.socket]]:
    """A listener's address, and itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/", listening


def entry_at(url: str, folder: Path) -> CertificateEntry:
    return CertificateEntry(
        slug="strict",
        name="Strict",
        type="certificate",
        verify_url=url,
        ca=f"file:{folder / 'authority.pem'}",
    )


def turn_away(listening: socket.socket, authority: Authority) -> str | None:
    """Ask one caller for a certificate of this authority; how the handshake failed.

    By TLS 1.2: in 1.3 the caller believes to be through before it is turned away, and what it has
    sent by then may cost it the alert.
    """
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    plain, _ = listening.accept()
    with plain:
        try:
            context.wrap_socket(plain, server_side=True).close()
        except ssl.SSLError as error:
            return error.reason
    return None


def brought(issued: Issued) -> Mapping[str, Secret]:
    """As its user gives it."""
    return secrets_of({"client_certificate": issued.certificate, "private_key": issued.private_key})


async def test_a_certificate_of_another_authority_is_refused_and_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    theirs, ours = Authority(), Authority()
    (tmp_path / "authority.pem").write_text(theirs.pem)
    with strict_listener() as (url, listening):
        entry = entry_at(url, tmp_path)
        issued = ours.issue("alice", timedelta(days=1))
        turning = asyncio.create_task(asyncio.to_thread(turn_away, listening, theirs))
        answer = await ClientCertificate(entry).verify(brought(issued), within=WITHIN)
        assert await turning == "CERTIFICATE_VERIFY_FAILED"
    assert answer.outcome is Outcome.KEY_REFUSED


@pytest.mark.parametrize("alert", [42, 44, 46, 48, 49, 116])
async def test_bug_a_firewall_that_answered_our_hello_refused_the_certificate(
    tmp_path: Path, alert: int
) -> None:
    """It had seen none; three of its alerts, a quarter of an hour apart, ended a good grant."""
    authority = Authority()
    (tmp_path / "authority.pem").write_text(authority.pem)
    with strict_listener() as (url, listening):
        entry = entry_at(url, tmp_path)
        issued = authority.issue("alice", timedelta(days=1))
        hanging_up = asyncio.create_task(asyncio.to_thread(hang_up, listening, alert))
        answer = await ClientCertificate(entry).verify(brought(issued), within=WITHIN)
        await hanging_up
    assert answer.outcome is Outcome.TRANSIENT


def hang_up(listening: socket.socket, alert: int) -> None:
    """Answer one caller's hello with an alert, in the clear (RFC 8446, section 6)."""
    plain, _ = listening.accept()
    with plain:
        plain.recv(1)
        plain.sendall(bytes([21, 3, 3, 0, 2, 2, alert]))
        while plain.recv(4096):
            pass


async def entry_of(certifier: Certifier, folder: Path) -> CertificateEntry:
    found = Catalogue.read(await certifier.write(folder)).get(CERTIFIED)
    assert isinstance(found, CertificateEntry)
    return found


async def test_a_provider_that_is_away_refuses_no_certificate(tmp_path: Path) -> None:
    async with certifying() as certifier:
        entry, (parts, _) = await entry_of(certifier, tmp_path), await certifier.parts()
    answer = await ClientCertificate(entry).verify(secrets_of(parts), within=WITHIN)
    assert answer.outcome is Outcome.TRANSIENT


async def test_bug_a_certificate_that_our_own_openssl_did_not_take_was_called_refused(
    tmp_path: Path,
) -> None:
    """A stricter OpenSSL of ours would have ended grants that their provider honours."""
    async with certifying() as certifier:
        entry, (parts, _) = await entry_of(certifier, tmp_path), await certifier.parts()
        other, _ = await certifier.parts()
        odd = secrets_of({**parts, "private_key": other["private_key"]})
        answer = await ClientCertificate(entry).verify(odd, within=WITHIN)
        assert answer.outcome is Outcome.APP_MISCONFIGURED
        assert await certifier.remote.log(endpoint="api") == []


async def test_a_provider_of_an_unknown_authority_is_shown_nothing(tmp_path: Path) -> None:
    async with certifying() as certifier:
        entry, (parts, _) = await entry_of(certifier, tmp_path), await certifier.parts()
        trusting_nobody = entry.model_copy(update={"ca": None})
        answer = await ClientCertificate(trusting_nobody).verify(secrets_of(parts), within=WITHIN)
        assert answer.outcome is Outcome.TRANSIENT
        assert await certifier.remote.log(endpoint="api") == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has files in memory")
def test_a_private_key_is_on_no_disk_while_it_is_read() -> None:
    with in_memory(b"mlcanary") as path:
        assert os.readlink(path).startswith("/memfd:")
        assert Path(path).read_bytes() == b"mlcanary"
    assert not Path(path).exists()


def test_an_authority_that_is_missing_is_told_by_the_entry(tmp_path: Path) -> None:
    entry = CertificateEntry(
        slug="missing",
        name="Missing",
        type="certificate",
        verify_url="https://example.com/me",
        ca=f"file:{tmp_path / 'nowhere.pem'}",
    )
    with pytest.raises(NotConfigured, match=r"nowhere\.pem is missing"):
        entry.check_ready()
