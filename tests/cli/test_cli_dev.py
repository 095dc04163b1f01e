"""``moorline dev``: a whole Moorline in an empty folder, stopped, killed and started again."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from uuid import uuid4

import httpx
import pytest

from moorline.stack.identities import Identity
from moorline.stack.ports import free_ports
from providers.catalogue import SHIPPED
from providers.sandbox.remote import Remote
from tests.cli.terminal import Running, Terminal, bare_environment, get
from tests.world import until

PARTS = ("gateway", "postgres", "sandbox", "temporal", "worker")


@pytest.fixture
def ports() -> str:
    return ",".join(str(port) for port in free_ports(7))


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(bare_environment(), tmp_path)


@asynccontextmanager
async def developing(terminal: Terminal, ports: str) -> AsyncIterator[Running]:
    async with terminal.running("dev", "--ports", ports) as dev:
        await dev.says("Try it, in another terminal")
        yield dev


def running(terminal: Terminal) -> dict[str, Identity]:
    """The parts that run, by the files they are claimed with."""
    folder = terminal.folder / ".moorline" / "run"
    found = {name: Identity.parse((folder / f"{name}.pid").read_text()) for name in PARTS}
    return {name: part for name, part in found.items() if part and part.lives()}


def is_claimed(terminal: Terminal) -> bool:
    lock = terminal.folder / ".moorline" / "run" / "moorline.lock"
    return lock.exists() and lock.read_text() != ""


async def connected(terminal: Terminal, ports: str) -> str:
    """A connection, by the command that `dev` proposes; its id."""
    words = ("connect", "sandbox", "--user", uuid4(), "--json")
    async with (
        terminal.running(*words) as command,
        Remote.connect(f"http://127.0.0.1:{ports.split(',')[4]}") as sandbox,
    ):
        await get(await sandbox.authorize(await command.url()))
        done = await command.ended()
    return str(done.object["connection_id"])


async def check_codec_endpoint(terminal: Terminal) -> None:
    """The address that only this user may read decodes; one letter less, and there is nothing."""
    file = terminal.folder / ".moorline" / "codec-endpoint"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    endpoint = file.read_text().strip()
    async with httpx.AsyncClient(trust_env=False, headers={"x-namespace": "default"}) as http:
        for address, status in ((endpoint, 200), (endpoint[:-1], 404)):
            answer = await http.post(f"{address}/decode", json={"payloads": []})
            assert answer.status_code == status


async def test_a_connection_outlives_ctrl_c_and_kill_9(terminal: Terminal, ports: str) -> None:
    async with developing(terminal, ports) as dev:
        connection_id = await connected(terminal, ports)
        first, doctor = await asyncio.gather(
            terminal.run("token", connection_id), terminal.run("doctor")
        )
        assert doctor.code == 0, doctor.out
        parts = running(terminal)
        assert set(parts) == set(PARTS)
        done = await dev.told(SIGINT)
    assert (done.code, done.err) == (0, "")
    assert "Stopped. Nothing is lost" in done.out
    assert not any(part.lives() for part in parts.values())

    async with developing(terminal, ports) as dev:
        await check_codec_endpoint(terminal)
        assert (await terminal.run("token", connection_id)).out == first.out
        parts = running(terminal)
        dev.process.send_signal(SIGKILL)
        await dev.ended()
        assert all([await part.gone(10) for part in parts.values()])

    async with developing(terminal, ports) as dev:
        refreshed = await terminal.run("refresh", connection_id, "--json")
        assert refreshed.object["status"] == "active"
        newer = await terminal.run("token", connection_id)
        assert newer.out not in {first.out, ""}
        assert (await dev.told(SIGHUP)).code == 0
    log = (terminal.folder / ".moorline" / "logs" / "worker.log").read_text()
    assert "Traceback" not in log
    assert "mlcanary" not in log


async def test_a_part_that_dies_comes_back_and_a_server_takes_all_with_it(
    terminal: Terminal, ports: str
) -> None:
    async with developing(terminal, ports) as dev:
        dead = running(terminal)
        os.kill(dead["worker"].pid, SIGKILL)
        os.kill(dead["gateway"].pid, SIGKILL)
        assert "was ended by SIGKILL" in await dev.says("worker (pid")
        await dev.says("worker runs again")
        await dev.says("gateway runs again")
        parts = running(terminal)
        os.kill(parts["temporal"].pid, SIGKILL)
        done = await dev.ended()
    assert done.code == 1
    assert "Error: temporal is gone, so everything is stopped" in done.err
    assert all([await part.gone(10) for part in parts.values()])


async def test_it_can_be_stopped_while_it_starts(terminal: Terminal, ports: str) -> None:
    async with terminal.running("dev", "--ports", ports) as dev:
        await dev.says("Starting")
        done = await dev.told(SIGTERM)
    assert (done.code, done.err) == (0, "")
    assert "Stopped" in done.out


async def test_taken_ports_and_a_second_one_are_told_in_a_line(
    terminal: Terminal, ports: str
) -> None:
    taken = int(ports.split(",")[0])
    with socket.create_server(("127.0.0.1", taken)):
        done = await terminal.run("dev", "--ports", ports)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"port {taken} is taken (Temporal)" in done.err
    async with terminal.running("dev", "--ports", ports) as dev:

        async def claimed() -> bool:
            return is_claimed(terminal)

        await until(claimed)
        second = await terminal.run("dev", "--ports", ports)
        await dev.told(SIGINT)
    assert second.code == 1
    assert "is already running" in second.err


async def test_bug_entries_of_ones_own_hid_that_the_sandbox_had_moved(
    terminal: Terminal, ports: str
) -> None:
    """Workers read the corrected entries of the sandbox then, and commands one's own."""
    own = terminal.folder / "my-providers"
    own.mkdir()
    (terminal.folder / ".env").write_text("MOORLINE_PROVIDERS=my-providers\n")
    done = await terminal.run("dev", "--ports", ports)
    assert done.code == 1
    assert "copy providers/entries/sandbox*.yaml into my-providers" in done.err
    url = f"http://127.0.0.1:{ports.split(',')[4]}"
    shipped = (SHIPPED / "sandbox.yaml").read_text()
    (own / "sandbox.yaml").write_text(shipped.replace("http://127.0.0.1:8900", url))
    async with developing(terminal, ports) as dev:
        await connected(terminal, ports)
        assert (await dev.told(SIGTERM)).code == 0
