"""The key that wraps data keys is rotated under load, as documented, and its rewrapping killed.

Old and new processes work side by side. What was sealed opens all the while.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

from client.connections import ConnectionsClient
from domain.outcomes import Outcome
from domain.status import ConnectionStatus
from domain.view import ConnectionView
from moorline.cli.retiring import Keys
from storage import data_keys
from storage.database import run
from storage.keyring import Keyring, new_key
from storage.vault import Vault
from tests.cli.terminal import Terminal
from tests.stored import keep_wrapped
from tests.world import World, until

IN_USE = 5
BYSTANDERS = 5_000
"""Connections that nobody uses, so that rewrapping takes long enough to be killed in."""
READY = "worker ready"


async def test_keys_are_rotated_under_load_and_nothing_ever_fails_to_open(
    world: World, terminal: Terminal
) -> None:
    old, new = world.keys, new_key("new")
    added, promoted = f"{old},{new}", f"{new},{old}"
    client = client_with(world, added)
    load = Load(client)
    async with terminal.running("worker", MOORLINE_KEYS=added) as first:
        await first.says(READY)
        views = [await world.imported() for _ in range(IN_USE)]
        await bystanders(world)
        async with load.on(views), terminal.running("worker", MOORLINE_KEYS=promoted) as second:
            await second.says(READY)
            await load.each_again()  # by either of them
            await killed_in_the_middle(world, terminal, promoted)
            status = await keys_status(terminal, promoted)
            assert status["test"][0] > 0
            assert "`moorline keys rewrap` makes it free" in status["test"][1]
            await load.each_again()
        first.process.terminate()  # the last process whose first key is the old one
        assert (await first.ended()).code == 0
    rewrapped = await terminal.run("keys", "rewrap", "--json", MOORLINE_KEYS=promoted)
    assert (rewrapped.code, rewrapped.object["left"]) == (0, 0)
    status = await keys_status(terminal, promoted)
    assert status["test"][0] == 0
    assert "take it out of MOORLINE_KEYS" in status["test"][1]
    async with terminal.running("worker", MOORLINE_KEYS=new) as third:
        await third.says(READY)
        client = client_with(world, new)
        for view in views:
            again = await client.refresh(view.connection_id)
            assert (again.status, again.trouble) == (ConnectionStatus.ACTIVE, None)
            assert (await client.lease(view.connection_id)).generation == again.generation
    assert await failures_to_open(world) == 0


class Load:
    """Refreshes and leases of connections, again and again."""

    def __init__(self, client: ConnectionsClient) -> None:
        self._client = client
        self._rounds: dict[UUID, int] = {}
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def on(self, views: Sequence[ConnectionView]) -> "Load":
        self._rounds = {view.connection_id: 0 for view in views}
        return self

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(self._use(each)) for each in self._rounds]

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _use(self, connection_id: UUID) -> None:
        while not self._over.is_set():
            view = await self._client.refresh(connection_id)
            assert (await self._client.lease(connection_id)).generation == view.generation
            self._rounds[connection_id] += 1

    async def each_again(self) -> None:
        """Wait until each connection has been used once more, from its beginning."""
        wanted = {key: rounds + 2 for key, rounds in self._rounds.items()}

        async def used() -> bool:
            for task in self._tasks:
                if task.done():
                    task.result()
            return all(self._rounds[key] >= rounds for key, rounds in wanted.items())

        await until(used)


async def killed_in_the_middle(world: World, terminal: Terminal, keys: str) -> None:
    async with terminal.running("keys", "rewrap", MOORLINE_KEYS=keys) as rewrap:

        async def is_in_the_middle() -> bool:
            return (await counts(world)).get("new", 0) > IN_USE

        await until(is_in_the_middle)
        rewrap.process.kill()
    half = await counts(world)
    assert half["new"] > IN_USE
    assert half["test"] > IN_USE, "it was not killed in the middle"
    assert sum(half.values()) == IN_USE + BYSTANDERS


async def bystanders(world: World) -> None:
    """Data keys under the old key, of connections that are yet to be born."""
    wrapped = [world.vault.new_data_key(uuid4()) for _ in range(BYSTANDERS)]
    await keep_wrapped(world.database, wrapped)


def client_with(world: World, keys: str) -> ConnectionsClient:
    """An application's process with this keyring."""
    vault = Vault(Keyring.parse(keys, "keys"))
    return ConnectionsClient(world.messaging, world.database, vault, world.catalogue)


async def counts(world: World) -> dict[str, int]:
    async with world.database.transaction() as session:
        return await data_keys.count_by_key(session)


async def keys_status(terminal: Terminal, keys: str) -> dict[str, tuple[int, str]]:
    done = await terminal.run("keys", "status", "--json", MOORLINE_KEYS=keys)
    found = Keys.model_validate_json(done.out)
    return {row.key: (row.connections, row.part) for row in found.keys}


async def failures_to_open(world: World) -> int:
    """As the events tell, which forget nothing."""
    query = "SELECT count(*) FROM events WHERE data->>'reason' = :fault"
    async with world.database.transaction() as session:
        values = {"fault": Outcome.STORAGE_FAULT.value}
        return int((await run(session, query, values)).scalar_one())
