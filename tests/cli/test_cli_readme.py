"""What the README says to copy is copied, and runs on real parts."""

import asyncio
import inspect
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from client.connections import ConnectionsClient
from domain.status import ConnectionStatus
from moorline.cli.app import app
from moorline.demo.people import visit
from tests.cli.terminal import Running, Terminal
from tests.world import World, write_entry

README = (Path(__file__).parents[2] / "README.md").read_text()


async def test_the_snippet_of_the_readme_led_nowhere(world: World, terminal: Terminal) -> None:
    """Bug: it sent the user to a page that nobody served."""
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    program = world.folder / "snippet.py"
    program.write_text(snippet)
    app = {"client_id": world.client_id, "client_secret": f"mlcanary-secret-{world.client_id}"}
    write_entry(world.folder, world.sandbox.base_url, "sandbox", **app)
    async with terminal.running("worker") as worker:
        await worker.says("worker ready")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", str(program)),
            stdout=PIPE,
            stderr=PIPE,
            cwd=terminal.folder,
            env={**terminal.environment},
        )
        running = Running(process)
        line = await running.says("log in as alice, password sandbox")
        await visit(line.split()[1])
        done = await running.ended()
    assert done.code == 0, done.err
    assert "active" in done.out
    assert "shredded=True" in done.out
    assert "mlcanary" not in done.out + done.err
    (view,) = await world.connections.list()
    assert (view.alias, view.status) == ("my bank", ConnectionStatus.DISCONNECTED)


def test_the_readme_names_the_whole_surface_of_the_client_and_nothing_else() -> None:
    section = README.partition("is the whole surface:")[2].partition("\n### ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    members = inspect.getmembers(ConnectionsClient, inspect.isfunction)
    assert named == {name for name, _ in members if not name.startswith("_")}


def test_commands_in_the_readme_are_commands() -> None:

    commands = {command.name for command in app.registered_commands}
    groups = {"providers", "keys"}
    named = set(re.findall(r"^(?:\.venv/bin/)?moorline (\w+)", README, re.MULTILINE))
    assert named
    assert named <= {*commands, *groups}
