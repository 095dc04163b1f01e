"""The examples do what they say, as programs of their own, beside a real gateway and worker."""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from domain.roles import Role
from domain.status import ConnectionStatus
from moorline.stack.ports import free_ports
from tests.web.gateway import gateway_of, new_key
from tests.web.people import browser, go_on, to_the_end
from tests.world import WITHIN, World

EXAMPLES = Path(__file__).parents[2] / "examples"
NPM = shutil.which("npm")


@asynccontextmanager
async def running(
    argv: list[str], folder: Path, environment: Mapping[str, str]
) -> AsyncIterator[Process]:
    """A program whose output is read; it and its children are gone when the block is left."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
    env.pop("PYTHONPATH", None)
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, env=env, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        async with asyncio.timeout(2 * WITHIN.total_seconds()):
            yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def said(process: Process, word: str) -> str:
    """What the program says after this word, as soon as it does."""
    assert process.stdout is not None
    before = ""
    while line := (await process.stdout.readline()).decode():
        if line.startswith(f"{word} "):
            return line.removeprefix(f"{word} ").strip()
        before += line
    raise AssertionError(f"it never said {word!r}, but:\n{before}")


async def the_rest(process: Process) -> list[str]:
    """All that it says until it ends well."""
    assert process.stdout is not None
    text = (await process.stdout.read()).decode()
    assert await process.wait() == 0, text
    return text.splitlines()


async def ended_at_the_provider(world: World) -> bool:
    grant = await world.grant()
    return grant.revoked_at is not None


async def test_the_python_application_connects_its_user_and_ends_the_connection(
    world: World, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    return_url = f"http://127.0.0.1:{port}/back"
    async with gateway_of(world, return_url=return_url) as web:
        environment = {
            "PORT": str(port),
            "MOORLINE_URL": web.options.public_url,
            "MOORLINE_API_KEY": (await new_key(world, Role.APP)).reveal(),
            "PROVIDER": world.slug,
            "PROVIDER_API": f"{world.sandbox.base_url}/api",
        }
        argv = [sys.executable, str(EXAMPLES / "python/app.py")]
        async with running(argv, tmp_path, environment) as application, browser() as person:
            link = await said(application, "open")
            back = await world.sandbox.authorize(await go_on(person, link))
            onward = await to_the_end(person, back)
            page = await person.get(onward.headers["location"])
            assert "You are connected" in page.text
            assert await the_rest(application) == [
                "status active",
                "the provider says alice",
                "status revoked",
                "receipt refresh_token revoked",
                "receipt access_token revoked",
                "receipt secrets destroyed",
            ]
        assert await ended_at_the_provider(world)


async def test_the_python_application_tells_a_user_who_declines(
    world: World, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    async with gateway_of(world, return_url=f"http://127.0.0.1:{port}/back") as web:
        environment = {
            "PORT": str(port),
            "MOORLINE_URL": web.options.public_url,
            "MOORLINE_API_KEY": (await new_key(world, Role.APP)).reveal(),
            "PROVIDER": world.slug,
        }
        argv = [sys.executable, str(EXAMPLES / "python/app.py")]
        async with running(argv, tmp_path, environment) as application, browser() as person:
            link = await said(application, "open")
            back = await world.sandbox.authorize(await go_on(person, link), decision="deny")
            onward = await to_the_end(person, back)
            page = await person.get(onward.headers["location"])
            assert "You are not connected" in page.text
            assert await the_rest(application) == ["status failed"]


@pytest.mark.skipif(NPM is None, reason="npm is not installed")
async def test_the_typescript_program_connects_and_ends_by_plain_messages(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "typescript"
    ours = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(EXAMPLES / "typescript", folder, ignore=ours)
    npm = str(NPM)
    async with running([npm, "ci", "--no-audit", "--no-fund"], folder, {}) as installing:
        await the_rest(installing)
    async with gateway_of(world) as web:
        environment = {
            "TEMPORAL_ADDRESS": world.servers.temporal_address,
            "TEMPORAL_NAMESPACE": world.temporal.namespace,
            "MOORLINE_TASK_QUEUE": world.task_queue,
            "MOORLINE_CODEC_ENDPOINT": f"{web.options.public_url}/codec/a-token-of-a-test",
            "PROVIDER": world.slug,
        }
        async with running([npm, "start"], folder, environment) as program:
            connection_id = UUID(await said(program, "connection"))
            attempt_id = UUID(await said(program, "attempt"))
            url = await world.connections.provider_url(attempt_id)
            back = await world.sandbox.authorize(url)
            await world.connections.authorize(await world.connections.receive_redirect(back))
            lines = await the_rest(program)
        assert lines[-5:] == [
            "status active authorized",
            "status revoked user_revoked",
            "receipt refresh_token revoked",
            "receipt access_token revoked",
            "receipt secrets destroyed",
        ]
        await world.becomes(connection_id, ConnectionStatus.DISCONNECTED)
        assert await ended_at_the_provider(world)


def test_the_lock_of_the_typescript_example_names_no_host() -> None:
    lock = (EXAMPLES / "typescript/package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "http" not in lock
