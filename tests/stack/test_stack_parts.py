"""The stack as one thing: its addresses, its Python parts, who may run it, its end."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL

import asyncpg
import pytest

from moorline.stack import Ports, Stack, StackError, StackFacts

PAGE = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""
SLEEP = "print('asleep'); import time; time.sleep(60)"

# On SIGTERM a part writes down its name, and whether both servers were there to the last.
LAST_WORDS = """
import signal, socket, sys, time
name, book, *ports = sys.argv[1:]
def end(*_):
    for port in ports: socket.create_connection(("127.0.0.1", int(port))).close()
    time.sleep(0.1)
    open(book, "a").write(name + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("asleep")
while True: signal.pause()
"""


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    state = tmp_path_factory.mktemp("state")
    async with Stack(state, StackFacts.read(), Ports.free(), in_memory=True) as stack:
        yield stack


async def test_it_says_where_everything_is_and_what_runs(stack: Stack) -> None:
    assert stack.temporal_address == f"127.0.0.1:{stack.ports.temporal}"
    assert stack.gateway_url == f"http://127.0.0.1:{stack.ports.gateway}"
    assert stack.database_url.startswith("postgresql+asyncpg://moorline:")
    assert stack.database_url.endswith(f"@127.0.0.1:{stack.ports.postgres}/moorline")
    connection = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
    assert stack.versions["postgresql"] == await connection.fetchval("SHOW server_version")
    await connection.close()
    assert stack.versions.keys() == {"temporal", "ui", "cli", "postgresql"}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's list of sockets")
async def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    owners = [child.pid for child in stack.children.values()]
    sockets = {link for pid in owners for link in open_files(pid) if link.startswith("socket:")}
    addresses = {address for inode, address in listeners() if f"socket:[{inode}]" in sockets}
    assert len(addresses) >= 4
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}


async def test_a_part_is_ready_when_its_page_answers(stack: Stack) -> None:
    await stack.start_python(
        "page",
        ["-c", PAGE, str(stack.ports.sandbox)],
        ready=f"{stack.sandbox_url}/healthz",
    )
    socket.create_connection(("127.0.0.1", stack.ports.sandbox)).close()


async def test_a_part_is_given_its_environment_and_not_the_current_folder(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "providers.py").write_text("raise SystemExit('taken from the current folder')")
    monkeypatch.chdir(tmp_path)
    code = "import os, providers; print(os.environ['COLOUR'], 'and', providers.__doc__)"
    child = await stack.start_python("env", ["-c", code], env={"COLOUR": "blue"}, ready="blue and")
    assert await child.wait() == 0
    assert await stack.wait() is child  # it ended, and nobody had told it to


async def test_a_part_that_dies_is_noticed_and_started_again(stack: Stack) -> None:
    child = await stack.start_python("worker", ["-c", SLEEP], ready="asleep")
    os.kill(child.pid, SIGKILL)
    async with asyncio.timeout(5):
        dead = await stack.wait()
    assert dead is child
    assert dead.obituary().startswith(f"worker (pid {child.pid}) was ended by SIGKILL")
    again = await stack.restart("worker")
    assert again.pid != child.pid
    await again.stop()


async def test_a_part_that_was_killed_on_purpose_can_be_started_again_and_nobody_is_told(
    stack: Stack,
) -> None:
    child = await stack.start_python("demo", ["-c", SLEEP], ready="asleep")
    child.kill()
    again = await stack.start_python("demo", ["-c", SLEEP], ready="asleep")
    assert child.returncode == -SIGKILL
    os.kill(again.pid, SIGKILL)
    async with asyncio.timeout(5):
        assert await stack.wait() is again


async def test_the_same_name_does_not_run_twice(stack: Stack) -> None:
    child = await stack.start_python("once", ["-c", SLEEP])
    with pytest.raises(StackError, match="once is already running"):
        await stack.start_python("once", ["-c", SLEEP])
    with pytest.raises(StackError, match="temporal is already running"):
        await stack.start_python("temporal", ["-c", SLEEP])
    await child.stop()


async def test_a_server_that_dies_is_noticed_and_started_again(stack: Stack) -> None:
    os.kill(stack.children["postgres"].pid, SIGKILL)
    async with asyncio.timeout(5):
        assert (await stack.wait()).name == "postgres"
    await stack.restart("postgres")
    await (await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))).close()


async def test_a_second_stack_on_the_same_folder_is_refused(stack: Stack) -> None:
    folder = stack.children["temporal"].log.parents[1]
    with pytest.raises(StackError, match=rf"already running \(pid {os.getpid()}\)"):
        async with Stack(folder, stack.facts, Ports.free()):
            pass
    socket.create_connection(("127.0.0.1", stack.ports.temporal)).close()  # the first is unharmed


async def test_parts_stop_in_the_order_in_which_they_need_one_another(tmp_path: Path) -> None:
    ports, book = Ports.free(), tmp_path / "book"
    async with Stack(tmp_path, StackFacts.read(), ports, headless=True) as stack:
        for name in ("gateway", "sandbox", "worker"):
            args = [name, str(book), str(ports.temporal), str(ports.postgres)]
            await stack.start_python(name, ["-c", LAST_WORDS, *args], ready="asleep")
        children = list(stack.children.values())
    assert book.read_text().split() == ["worker", "gateway", "sandbox"]
    assert {child.name: child.returncode for child in children} == {
        "temporal": 0,
        "postgres": 0,
        "worker": 0,
        "gateway": 0,
        "sandbox": 0,
    }


async def test_a_failing_start_stops_what_was_already_up(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()  # an empty folder is no database
    ports = Ports.free()
    with pytest.raises(StackError, match="postgres"):
        async with Stack(tmp_path, StackFacts.read(), ports, in_memory=True):
            pass
    ports.check()


def open_files(pid: int) -> list[str]:
    return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]


def listeners() -> list[tuple[str, str]]:
    """Inode and hexadecimal local address of every listening TCP socket."""
    lines = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return [(fields[9], fields[1]) for fields in lines if fields[3] == "0A"]
