"""Connections by certificate: verified and read by mutual TLS, and EXPIRED at its end."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from domain.credentials import CredentialType
from domain.errors import Conflict, NotFound
from domain.outcomes import Outcome, Revocation
from domain.result import Failure
from domain.status import ConnectionStatus, StatusReason
from tests.given import (
    CERTIFIED,
    Certifier,
    bring,
    brought,
    certifying,
    read_through,
    secrets_of,
)
from tests.world import Servers, World, new_world, until

KIND = CredentialType.CERTIFICATE


@dataclass
class Certified:
    """A world, and a provider that knows its users by their certificates."""

    world: World
    certifier: Certifier


@pytest.fixture
async def certified(servers: Servers, tmp_path: Path) -> AsyncIterator[Certified]:
    """Certificates are verified every second, and given up at the second refusal."""
    often = {"verify_every_s": 1, "refused_again_after_s": 1, "refusals_until_expired": 2}
    async with certifying() as certifier:
        await certifier.write(tmp_path, **often)
        async with new_world(servers, tmp_path) as world, world.working():
            yield Certified(world, certifier)


def end_of(parts: dict[str, str]) -> datetime:
    pem = parts["client_certificate"].encode()
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


async def test_a_good_certificate_makes_a_connection_whose_data_is_read(
    certified: Certified,
) -> None:
    world = certified.world
    parts, _ = await certified.certifier.parts()
    connection_id = await brought(world, parts, KIND, CERTIFIED)
    view = await world.connections.view(connection_id)
    assert (view.status, view.credential_type) == (ConnectionStatus.ACTIVE, KIND)
    assert view.expires_at == view.reauthorize_by == end_of(parts)
    explained = (await world.connections.explain(connection_id)).next
    assert "the certificate is verified" in explained
    assert "The user must bring another certificate by" in explained
    await read_through(world, connection_id)


async def test_a_certificate_expires_at_its_end_and_another_brings_it_back(
    certified: Certified,
) -> None:
    world = certified.world
    parts, _ = await certified.certifier.parts(lifetime_s=8)
    connection_id = await brought(world, parts, KIND, CERTIFIED)
    view = await world.becomes(connection_id, ConnectionStatus.EXPIRED)
    assert datetime.now(UTC) >= end_of(parts) - timedelta(seconds=1)
    assert view.reason is StatusReason.NOT_REFRESHABLE
    explained = (await world.connections.explain(connection_id)).text
    assert "the certificate has reached its end." in explained
    another, _ = await certified.certifier.parts()
    view = await world.connections.supply(connection_id, secrets_of(another))
    assert (view.status, view.generation) == (ConnectionStatus.ACTIVE, 2)
    shown = await world.connections.view(connection_id)
    assert shown.reauthorize_by == end_of(another)


async def test_a_certificate_that_is_revoked_expires_after_its_refusals(
    certified: Certified,
) -> None:
    world = certified.world
    parts, certificate_id = await certified.certifier.parts()
    connection_id = await brought(world, parts, KIND, CERTIFIED)
    await certified.certifier.remote.revoke_certificate(certificate_id)
    view = await world.becomes(connection_id, ConnectionStatus.EXPIRED)
    assert view.reason is StatusReason.KEY_REFUSED
    explained = (await world.connections.explain(connection_id)).text
    assert "the provider refuses the certificate" in explained


async def test_what_is_no_pair_of_today_is_refused_and_shown_to_nobody(
    certified: Certified,
) -> None:
    good, _ = await certified.certifier.parts()
    other, _ = await certified.certifier.parts()
    key = load_pem_private_key(good["private_key"].encode(), password=None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"mlcanary")
    )
    wrong = {
        "the private key is not the one of this certificate": {"private_key": other["private_key"]},
        "the certificate is no certificate in PEM form": {"client_certificate": "mlcanary"},
        "the private key is none in PEM form": {"private_key": "mlcanary"},
        "the private key is locked by a passphrase": {"private_key": locked.decode()},
        "the chain is no certificate in PEM form": {"certificate_chain": "mlcanary"},
        "Credentials are required and must be valid": {},
    }
    seen = len(await certified.certifier.remote.log(endpoint="api"))
    for said, change in wrong.items():
        parts = {**good, **change} if change else {"client_certificate": "mlcanary"}
        connection_id = uuid4()
        result = await bring(certified.world, parts, KIND, CERTIFIED, connection_id)
        assert isinstance(result, Failure)
        assert said in result.error
        assert "mlcanary" not in result.error
        with pytest.raises(NotFound):
            await certified.world.connections.view(connection_id)
    assert len(await certified.certifier.remote.log(endpoint="api")) == seen


async def test_a_certificate_that_has_ended_makes_no_connection(certified: Certified) -> None:
    parts, _ = await certified.certifier.parts(lifetime_s=1)
    while datetime.now(UTC) < end_of(parts):
        await certified.certifier.remote.log(endpoint="api")
    result = await bring(certified.world, parts, KIND, CERTIFIED)
    assert isinstance(result, Failure)
    assert "the certificate ended" in result.error


async def test_nothing_is_shown_to_a_provider_that_another_authority_vouches_for(
    servers: Servers, tmp_path: Path
) -> None:
    async with certifying() as certifier, certifying() as impostor:
        await certifier.write(tmp_path, verify_url=f"{impostor.url}/mutual/me")
        async with new_world(servers, tmp_path) as world, world.working():
            parts, _ = await certifier.parts()
            result = await bring(world, parts, KIND, CERTIFIED)
        assert isinstance(result, Failure)
        assert "cannot say now whether this certificate is good" in result.error
        assert await impostor.remote.log(endpoint="api") == []


async def test_a_certificate_is_not_handed_out(certified: Certified) -> None:
    parts, _ = await certified.certifier.parts()
    connection_id = await brought(certified.world, parts, KIND, CERTIFIED)
    with pytest.raises(Conflict, match="a certificate is not handed out"):
        await certified.world.connections.lease(connection_id)


async def test_the_end_says_until_when_a_certificate_works(certified: Certified) -> None:
    world = certified.world
    parts, _ = await certified.certifier.parts()
    connection_id = await brought(world, parts, KIND, CERTIFIED)
    await world.connections.disconnect(connection_id)
    receipt = await world.connections.receipt(connection_id)
    (token,) = receipt.tokens
    assert (token.token, token.result) == ("certificate", Revocation.UNSUPPORTED)
    assert token.dies_at == end_of(parts)
    assert receipt.shredded
    text = (await world.connections.explain(connection_id)).text
    assert "certificate: only whoever issued it can revoke it, it dies by itself" in text


async def test_an_authority_that_cannot_be_read_is_our_own_fault(
    certified: Certified, tmp_path: Path
) -> None:
    world = certified.world
    parts, _ = await certified.certifier.parts()
    connection_id = await brought(world, parts, KIND, CERTIFIED)
    (tmp_path / "authority.pem").unlink()

    async def cause() -> Outcome | None:
        trouble = (await world.connections.view(connection_id)).trouble
        return trouble.cause if trouble else None

    assert await until(cause) is Outcome.APP_MISCONFIGURED
    assert (await world.connections.view(connection_id)).status is ConnectionStatus.ACTIVE
