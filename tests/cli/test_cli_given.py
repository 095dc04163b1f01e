"""What users give, from the command line: of every kind on standard input, and never echoed."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from domain.credentials import CredentialType
from domain.status import ConnectionStatus
from tests.cli.terminal import Terminal, terminal_of
from tests.given import (
    CERTIFIED,
    FILES,
    LINKED,
    STATEMENT,
    Certifier,
    certifying,
    write_files,
    write_linked,
)
from tests.world import Servers, World, new_world


@pytest.fixture
async def certifier() -> AsyncIterator[Certifier]:
    async with certifying() as certifier:
        yield certifier


@pytest.fixture
async def giving(servers: Servers, tmp_path: Path, certifier: Certifier) -> AsyncIterator[World]:
    write_linked(tmp_path, servers.sandbox.base_url)
    write_files(tmp_path)
    await certifier.write(tmp_path)
    async with new_world(servers, tmp_path) as world, world.working():
        yield world


@pytest.fixture
def shell(giving: World) -> Terminal:
    return terminal_of(giving, 8400)


async def given(shell: Terminal, world: World, slug: str, option: str, text: str) -> UUID:
    """Connected with this on standard input; the connection."""
    words = ("connect", slug, "--user", world.user_id, option)
    done = await shell.run(*words, stdin=text)
    assert done.code == 0, done
    assert "ACTIVE since" in done.out
    (view,) = await world.connections.list(user_id=world.user_id)
    return view.connection_id


async def test_a_link_token_is_given_and_given_again(giving: World, shell: Terminal) -> None:
    first, second = [(await giving.sandbox.new_link()).api_key for _ in "ab"]
    connection_id = await given(shell, giving, LINKED, "--link-token-stdin", f"{first}\n")
    again = await shell.run("authorize", connection_id, "--link-token-stdin", stdin=second)
    assert again.code == 0, again
    assert (await giving.connections.view(connection_id)).generation == 2
    wrong = await shell.fails("authorize", connection_id, "--link-token-stdin", stdin="mlcanary-l")
    assert "does not take this link token" in wrong
    other = await shell.fails("authorize", connection_id, "--api-key-stdin", stdin="mlcanary-k")
    assert "the connection is by link_token" in other
    ended = await shell.run("disconnect", connection_id, "--yes")
    assert "link_token: unsupported: the token works until its user takes it back" in ended.out


async def test_a_file_is_given_and_read(giving: World, shell: Terminal) -> None:
    connection_id = await given(shell, giving, FILES, "--file-stdin", STATEMENT)
    assert (await shell.run("sync", connection_id)).code == 0
    accounts = await shell.run("accounts", connection_id)
    assert "1186.00 EUR" in accounts.out
    wrong = await shell.fails("authorize", connection_id, "--file-stdin", stdin="mlcanary")
    assert "this file cannot be read: its first line does not name these columns" in wrong
    ended = await shell.run("disconnect", connection_id, "--yes")
    assert "nothing was held" in ended.out


async def test_a_certificate_is_given_in_one_text(
    giving: World, shell: Terminal, certifier: Certifier
) -> None:
    parts, _ = await certifier.parts()
    text = parts["private_key"] + parts["client_certificate"]
    connection_id = await given(shell, giving, CERTIFIED, "--certificate-stdin", text)
    view = await giving.connections.view(connection_id)
    assert view.credential_type is CredentialType.CERTIFICATE
    shown = await shell.run("show", connection_id)
    assert "certificate" in shown.out
    half = parts["client_certificate"]
    said = await shell.fails("authorize", connection_id, "--certificate-stdin", stdin=half)
    assert "expected a certificate and its private key" in said
    ended = await shell.run("disconnect", connection_id, "--yes")
    assert "certificate: unsupported: the certificate works until it ends" in ended.out


@pytest.mark.parametrize(
    ("slug", "kind", "option"),
    [
        (LINKED, "link token", "--link-token-stdin"),
        (FILES, "file", "--file-stdin"),
        (CERTIFIED, "certificate", "--certificate-stdin"),
    ],
)
async def test_how_it_is_given_is_said_wherever_somebody_tries_otherwise(
    giving: World, shell: Terminal, slug: str, kind: str, option: str
) -> None:
    said = await shell.fails("connect", slug, "--user", giving.user_id)
    assert f"{slug} works by a {kind}: give it by {option} when connecting" in said
    listed = (await shell.run("providers", "list")).out
    (line,) = [each for each in listed.splitlines() if each.startswith(f"{slug} ")]
    assert kind in line


async def test_two_kinds_at_once_are_wrong_usage(giving: World, shell: Terminal) -> None:
    options = ("--file-stdin", "--link-token-stdin")
    done = await shell.run("connect", FILES, "--user", giving.user_id, *options, stdin="x")
    assert (done.code, done.out) == (2, "")


async def test_a_certificate_that_ends_is_called_so(
    giving: World, shell: Terminal, certifier: Certifier
) -> None:
    parts, _ = await certifier.parts(lifetime_s=20)
    text = parts["client_certificate"] + parts["private_key"]
    connection_id = await given(shell, giving, CERTIFIED, "--certificate-stdin", text)
    await giving.becomes(connection_id, ConnectionStatus.EXPIRED)
    explained = await shell.run("explain", connection_id)
    assert "the certificate has reached its end." in explained.out
    again = await shell.fails("authorize", connection_id)
    assert f"`moorline authorize {connection_id} --certificate-stdin`" in again
