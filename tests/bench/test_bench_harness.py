"""The benchmarks still run: with three connections, for a second. What they find means nothing."""

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.all import ALL
from benchmarks.figures import Effort
from benchmarks.ground import Ground, ground
from tests.world import until
from workflows import renewal

TINY = Effort(connections=3, seconds=1)
BENCHMARKS = [sys.executable, "-m", "benchmarks", "--connections=3", "--seconds=1"]


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    before = dict(os.environ)
    async with ground(tmp_path_factory.mktemp("bench") / "stack") as made:
        yield made
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", ALL)
async def test_a_benchmark_brings_figures(
    servers: Ground, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "LONG_HISTORY", 60)  # continuing as new comes soon
    figures = await ALL[name](servers, TINY)
    assert figures
    for figure in figures:
        assert all(math.isfinite(value) for value in figure.raw.values()), figure
        json.dumps(figure.as_json())


async def test_the_command_prints_json_alone_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [*BENCHMARKS, "--only=leases", "--json=-"]
    run = await started(command, tmp_path)
    output, _ = await run.communicate()
    assert run.returncode == 0
    (figure,) = json.loads(output)["figures"]
    assert figure["name"] == "leases per second"
    assert figure["ratio"] > 0
    assert leftovers(tmp_path) == []


async def test_a_run_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    run = await started([*BENCHMARKS, "--only=leases", "--json=-"], tmp_path)

    async def has_servers() -> bool:
        return any("postgres" in left for left in leftovers(tmp_path))

    await until(has_servers)
    run.send_signal(signal.SIGTERM)
    await run.communicate()
    assert run.returncode == 128 + signal.SIGTERM
    assert leftovers(tmp_path) == []


async def started(command: list[str], folder: Path) -> asyncio.subprocess.Process:
    """A run whose servers all live below this folder."""
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


def leftovers(folder: Path) -> list[str]:
    """Files below this folder, and processes that were told of it."""
    left = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if str(folder).encode() in command:
            left.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return left
