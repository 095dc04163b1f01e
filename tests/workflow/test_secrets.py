"""No secret passes through a workflow: whole lives are decrypted and searched, payload by payload.

Every token, code, key and client secret of the sandbox carries a canary, so one that passed
anywhere, in an argument, a result, a failure or a detail, would be found.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes

from client.codec import ENCODING
from client.connections import Connecting
from domain.credentials import CredentialType
from domain.secret import Secret
from domain.status import ConnectionStatus
from moorline.demo.canaries import CANARY, hunt
from tests.given import (
    CERTIFIED,
    FILES,
    LINKED,
    STATEMENT,
    brought,
    certifying,
    file_of,
    read_through,
    secrets_of,
    write_files,
    write_linked,
)
from tests.replay import scenarios
from tests.world import Servers, World, data_of, new_world, until, write_broker


@dataclass
class Lived:
    """A life and what else must not be found in it."""

    connection_id: UUID
    secrets: tuple[str, ...] = ()


async def a_whole_life_with_data(world: World) -> Lived:
    """Authorized, read, refreshed, revoked, authorized again, continued as new, disconnected."""
    begun = await world.connections.connect(world.slug, world.user_id)
    state = state_of(await world.connections.provider_url(begun.attempt_id))
    received = await world.connections.receive_redirect(await world.consent(begun))
    view = await world.connections.authorize(received)

    async def read() -> bool:
        sync = (await world.connections.view(view.connection_id)).sync
        return sync is not None and sync.completed > 0

    await until(read)
    await world.connections.refresh(view.connection_id)
    await world.connections.lease(view.connection_id)
    await world.connections.nudge(view.connection_id)
    await world.connections.revoke(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.REVOKED)
    again = await world.connections.begin_authorization(view.connection_id)
    url = await world.connections.provider_url(again.attempt_id)
    following = Connecting(view.connection_id, again.attempt_id, again.url)
    back = await world.connections.receive_redirect(await world.consent(following))
    await world.connections.authorize(back)
    await world.connections.disconnect(view.connection_id)
    await world.becomes(view.connection_id, ConnectionStatus.DISCONNECTED)
    return Lived(view.connection_id, (state, state_of(url)))


def state_of(url: str) -> str:
    """What ties a redirect to the browser that was sent: a secret, too."""
    (state,) = parse_qs(urlsplit(url).query)["state"]
    return state


async def a_life_by_api_key(world: World) -> Lived:
    """Connected, replaced by a wrong key and by a good one, and disconnected."""
    connection_id, _ = await world.connected_by_key()
    wrong, good = "mlcanary-key-made-up", (await world.sandbox.new_key()).api_key
    for key_text in (wrong, good):
        supplying = world.connections.supply_key(connection_id, Secret(key_text))
        await asyncio.gather(supplying, return_exceptions=True)
    assert (await world.connections.view(connection_id)).generation == 2
    await world.connections.disconnect(connection_id)
    await world.becomes(connection_id, ConnectionStatus.DISCONNECTED)
    return Lived(connection_id)


async def a_life_by_link_token(world: World) -> Lived:
    """Connected, replaced by a wrong token and by a good one, read, and disconnected."""
    first, second = [(await world.sandbox.new_link()).api_key for _ in "ab"]
    parts = [{"access_token": token} for token in (first, "mlcanary-link-made-up", second)]
    return await a_life_by(world, CredentialType.LINK_TOKEN, LINKED, parts)


async def a_life_by_file(world: World) -> Lived:
    """The same with files."""
    parts = [file_of(content) for content in (STATEMENT, "mlcanary-no-file", STATEMENT)]
    return await a_life_by(world, CredentialType.FILE_IMPORT, FILES, parts)


async def a_life_by(
    world: World, kind: CredentialType, slug: str, parts: Sequence[Mapping[str, str]]
) -> Lived:
    connection_id = await brought(world, parts[0], kind, slug)
    for each in parts[1:]:
        supplying = world.connections.supply(connection_id, secrets_of(each))
        await asyncio.gather(supplying, return_exceptions=True)
    assert (await world.connections.view(connection_id)).generation == 2
    await read_through(world, connection_id)
    await world.connections.disconnect(connection_id)
    await world.becomes(connection_id, ConnectionStatus.DISCONNECTED)
    return Lived(connection_id)


def recorded(scenario: scenarios.Scenario) -> Callable[[World], Awaitable[Lived]]:
    """A life that is recorded elsewhere, lived here once more."""

    async def live(world: World) -> Lived:
        return Lived(await scenario(world))

    live.__name__ = scenario.__name__
    return live


LIVES: list[Callable[[World], Awaitable[Lived]]] = [
    a_whole_life_with_data,
    a_life_by_api_key,
    a_life_by_link_token,
    a_life_by_file,
    recorded(scenarios.imported_and_cancelled),
    recorded(scenarios.declined_then_authorized),
    recorded(scenarios.lost_rotation),
    recorded(scenarios.tokens_kept_by_temporal),
]


@pytest.fixture
async def private(servers: Servers, tmp_path: Path) -> AsyncIterator[World]:
    """A world with a worker, providers of every kind, and data to be read."""
    write_broker(tmp_path, servers.sandbox.base_url)
    write_linked(tmp_path, servers.sandbox.base_url)
    write_files(tmp_path)
    async with new_world(servers, tmp_path, entry=data_of(servers)) as world, world.working():
        yield world


@pytest.mark.parametrize("live", LIVES, ids=lambda live: live.__name__)
async def test_a_life_that_is_decrypted_holds_no_secret(
    private: World, live: Callable[[World], Awaitable[Lived]], tmp_path: Path
) -> None:
    await expect_no_secret(private, await live(private), tmp_path)


async def test_a_life_by_certificate_that_is_decrypted_holds_no_key(
    servers: Servers, tmp_path: Path
) -> None:
    async with certifying() as certifier:
        await certifier.write(tmp_path)
        async with new_world(servers, tmp_path) as world, world.working():
            first, second = [(await certifier.parts())[0] for _ in "ab"]
            wrong = {**first, "private_key": second["private_key"]}
            parts = [first, wrong, second]
            lived = await a_life_by(world, CredentialType.CERTIFICATE, CERTIFIED, parts)
            keys = tuple(each["private_key"].splitlines()[1] for each in (first, second))
            with_keys = Lived(lived.connection_id, keys)
            await expect_no_secret(world, with_keys, tmp_path)


async def expect_no_secret(world: World, lived: Lived, folder: Path) -> None:
    """Nothing of what Temporal holds of this life, decrypted, is one."""
    opened = folder / "opened"
    opened.mkdir()
    texts = [text async for text in in_the_clear(world, lived.connection_id)]
    for number, text in enumerate(texts):
        (opened / f"{number}").write_bytes(text)
        assert not any(secret.encode() in text for secret in lived.secrets)
        assert b"XX00CANARY" not in text  # nor a whole account number
    assert [path.read_bytes() for path in hunt(opened).found] == []
    # They were opened indeed: everything says whom it is about.
    about = [text for text in texts if str(lived.connection_id).encode() in text]
    assert len(about) > 5


async def test_a_secret_in_a_history_would_be_found(private: World, tmp_path: Path) -> None:
    view = await private.connected()
    await private.connections.rename(view.connection_id, f"{CANARY.decode()} as a name")
    opened = tmp_path / "opened"
    opened.mkdir()
    async for text in in_the_clear(private, view.connection_id):
        with (opened / "all").open("ab") as file:
            file.write(text)
    assert hunt(opened).found == (opened / "all",)


async def in_the_clear(world: World, connection_id: UUID) -> AsyncIterator[bytes]:
    """Every payload of a life, decrypted, and every event around them as it is."""
    for event in await world.whole_history(connection_id):
        yield event.SerializeToString()
        for payload in payloads(event):
            assert payload.metadata["encoding"] == ENCODING
            (opened,) = await world.codec.decode([payload])
            yield opened.SerializeToString()


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload anywhere in a message; of search attributes, which are plain, none."""
    if isinstance(message, SearchAttributes):
        return
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = value.values()
        else:
            values = value if field.is_repeated else [value]
        for each in values:
            if isinstance(each, Message):
                yield from payloads(each)
