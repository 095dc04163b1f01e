"""A new build is rolled out over living connections: each moves to it, and none stalls."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from signal import SIGTERM
from typing import Any, TypeVar
from uuid import UUID

from temporalio.client import Client, WorkflowHandle

from client.connections import ConnectionsClient
from client.messaging import Messaging
from client.temporal import data_converter
from tests.cli.terminal import Terminal
from tests.world import World, until
from workflows.names import workflow_id

A = TypeVar("A")
B = TypeVar("B")
CONNECTIONS = 100


async def test_connections_move_to_a_new_build_and_the_old_one_can_be_stopped(
    world: World, terminal: Terminal, namespace: str
) -> None:
    there = {"TEMPORAL_NAMESPACE": namespace}
    old, new = {**there, "MOORLINE_BUILD_ID": "build-1"}, {**there, "MOORLINE_BUILD_ID": "build-2"}
    elsewhere = await in_namespace(world, namespace)
    await terminal.run("setup", **old)
    async with terminal.running("worker", **old) as first:
        await first.says("worker ready")
        ids = await imported(elsewhere)
        async with terminal.running("worker", **new) as second:
            await second.says("worker ready")
            assert "build-2 is the current one" in (await terminal.run("setup", **new)).out
            # Nothing has happened to them: they are where they were.
            assert await builds(elsewhere, ids) == {"build-1": CONNECTIONS}
            await gathered(elsewhere.connections.refresh, ids[: CONNECTIONS // 2])
            await gathered(elsewhere.connections.nudge, ids[CONNECTIONS // 2 :])

            async def moved() -> bool:
                return await builds(elsewhere, ids) == {"build-2": CONNECTIONS}

            await until(moved)
            assert (await first.told(SIGTERM)).code == 0
            await gathered(elsewhere.connections.refresh, ids)
            assert await failures(elsewhere, ids) == 0
    refreshed = await world.refreshes()
    assert len(refreshed) == CONNECTIONS + CONNECTIONS // 2
    assert {entry.presented for entry in refreshed} == {"current"}
    views = await elsewhere.connections.list()
    assert Counter(view.generation for view in views) == {2: 50, 3: 50}
    assert {view.status for view in views} == {"active"}


async def in_namespace(world: World, namespace: str) -> World:
    """The same world, whose connections live in another namespace."""
    temporal = await Client.connect(
        world.servers.temporal_address,
        namespace=namespace,
        data_converter=data_converter(world.codec),
    )
    messaging = Messaging(temporal, world.task_queue)
    connections = ConnectionsClient(messaging, world.database, world.vault, world.catalogue)
    return replace(world, temporal=temporal, messaging=messaging, connections=connections)


async def imported(world: World) -> list[UUID]:
    views = await gathered(lambda _: world.imported(), range(CONNECTIONS))
    return [view.connection_id for view in views]


async def builds(world: World, ids: list[UUID]) -> Counter[str]:
    """How many connections live on each build."""
    described = await gathered(lambda each: handle(world, each).describe(), ids)
    infos = [each.raw_description.workflow_execution_info.versioning_info for each in described]
    return Counter(info.deployment_version.build_id for info in infos)


async def failures(world: World, ids: list[UUID]) -> int:
    """Tasks that failed, in all runs of all of them."""
    return sum(map(len, await gathered(world.failed_tasks, ids)))


def handle(world: World, connection_id: UUID) -> WorkflowHandle[Any, Any]:
    return world.temporal.get_workflow_handle(workflow_id(connection_id))


async def gathered(do: Callable[[A], Awaitable[B]], each: Iterable[A]) -> list[B]:
    """Do it for each, ten at a time."""
    ten = asyncio.Semaphore(10)

    async def one(item: A) -> B:
        async with ten:
            return await do(item)

    return await asyncio.gather(*(one(item) for item in each))
