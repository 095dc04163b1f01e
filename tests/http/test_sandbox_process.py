"""The sandbox as a process: what it remembers over `kill -9`, what it never writes, how it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from providers.sandbox.remote import Remote

DEV = httpx.BasicAuth("moorline-dev", "mlcanary-secret-dev")


class Process:
    """A running `python -m providers.sandbox`."""

    def __init__(self, child: asyncio.subprocess.Process, line: str, errors: Path) -> None:
        self.child = child
        self.line = line
        self.errors = errors
        self.base_url = line.split()[-1]

    async def refresh(self, token: str | None) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token or ""}
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.post(f"{self.base_url}/token", data=form, auth=DEV)

    async def end(self, how: signal.Signals) -> int:
        self.child.send_signal(how)
        return await asyncio.wait_for(self.child.wait(), 5)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


Start = Callable[[], Awaitable[Process]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    children: list[asyncio.subprocess.Process] = []

    async def started() -> Process:
        errors = tmp_path / f"stderr-{len(children)}"
        with errors.open("wb") as stderr:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "providers.sandbox", "--port", "0"),
                *("--state", str(tmp_path / "state")),
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        children.append(child)
        assert child.stdout is not None
        line = await asyncio.wait_for(child.stdout.readline(), 20)
        return Process(child, line.decode(), errors)

    yield started
    for child in children:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_everything_but_the_tokens_themselves_survives_a_kill(
    start: Start, tmp_path: Path
) -> None:
    first = await start()
    assert first.line == f"sandbox provider listening on {first.base_url}\n"
    async with Remote.connect(first.base_url) as sandbox:
        minted = await sandbox.mint()
        await sandbox.behave("moorline-dev", access_ttl_s=77)
        newest = (await first.refresh(minted.refresh_token)).json()
        await sandbox.plant("token", "hang", when="after_acting")
        held = asyncio.create_task(first.refresh(newest["refresh_token"]))
        await sandbox.logged(lambda entry: entry.fault == "hang" and entry.acted)
    assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    with pytest.raises(httpx.TransportError):
        await held

    second = await start()
    async with Remote.connect(second.base_url) as sandbox:
        grant = await sandbox.grant(minted.grant_id)
        assert (grant.live, grant.refreshes, grant.generation) == (True, 2, 3)
        whole, broken = await sandbox.log(grant_id=minted.grant_id)
        assert (whole.answered, whole.status) == (True, 200)
        assert (broken.rotated, broken.answered) == (True, False)
        assert broken.finished_at is not None
        lost = await second.refresh(newest["refresh_token"])
        assert lost.json()["error"] == "invalid_grant"
        assert (await sandbox.grant(minted.grant_id)).revoked_by == "reuse"
        again = await sandbox.mint()
        assert again.expires_in == 77
        assert (await second.refresh(again.refresh_token)).status_code == 200
    await second.end(signal.SIGTERM)

    written = everything_in(tmp_path)
    assert minted.grant_id.encode() in written
    assert b"mlcanary-" not in written


async def test_sigterm_ends_it_at_once_although_a_call_hangs(start: Start) -> None:
    process = await start()
    async with Remote.connect(process.base_url) as sandbox:
        minted = await sandbox.mint()
        await sandbox.plant("token", "hang")
        held = asyncio.create_task(process.refresh(minted.refresh_token))
        await sandbox.logged(lambda entry: entry.fault == "hang")
    assert await process.end(signal.SIGTERM) == -signal.SIGTERM
    with pytest.raises(httpx.TransportError):
        await held
    written = process.errors.read_text()
    # The call was let go: nobody had to wait for it until patience ended.
    assert "timeout graceful shutdown exceeded" not in written
    assert "Traceback" not in written


async def test_it_listens_on_loopback_only_and_says_so_when_it_cannot(start: Start) -> None:
    process = await start()
    assert process.base_url.startswith("http://127.0.0.1:")
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "providers.sandbox", "--port", process.base_url.split(":")[-1]),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await second.communicate()
    assert second.returncode == 1
    assert b"cannot listen on port" in errors
